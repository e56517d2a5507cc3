"""The screen Load: choosing and editing a test by keys alone, running it, and its stored runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.widgets import Input

from opsconsole.load import store
from opsconsole.profile import Profile
from opsconsole.tui.screens.page import PageScreen
from opsconsole.tui.screens.pick import PickScreen
from tests.load.farside import Far
from tests.load.sample_runs import sample_run
from tests.tui.load_console import (
    LONG,
    SMOKE,
    at_runs,
    console,
    footer,
    opened,
    profile_of,
    screen_of,
    shows,
)
from tests.tui.render import screen_text, wait_for

OLD, MIDDLE, NEW = "20261121-100000-smoke-aaaa", "20261121-110000-smoke-bbbb", "20261121-12-cccc"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def profile(tmp_path: Path, far: Far) -> Profile:
    return profile_of(tmp_path, far, SMOKE, LONG)


@pytest.fixture
def runs() -> list[str]:
    """Three stored runs of one test and one of another profile; the oldest is the baseline."""
    for number, run_id in enumerate((OLD, MIDDLE, NEW)):
        run = sample_run(run_id=run_id, errors=run_id == MIDDLE, seed=number)
        store.save(replace(run, at=run.at + 60 * number))
    store.save(replace(sample_run(run_id="20261121-130000-other-dddd"), profile="elsewhere"))
    store.set_baseline(OLD)
    return [OLD, MIDDLE, NEW]


async def test_a_test_is_chosen_changed_started_and_watched(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app)
        await wait_for(pilot, shows(app, "2 clients for 40 requests", "one, http://127.0.0.1"))
        assert "p95 <= 10s (service level)" in screen_text(app)
        assert "load.start" in footer(app)
        await pilot.press("enter", *"3", "down", *"60")
        await wait_for(pilot, shows(app, "3 clients for 60 requests"))
        await pilot.press("escape")
        await wait_for(pilot, shows(app, "changed here"))
        await pilot.press("S")
        await wait_for(pilot, lambda: screen_of(app).shows_run)
        session = app.load_desk.session
        assert session is not None
        await wait_for(pilot, lambda: session.saved != "", seconds=30)
        await wait_for(pilot, shows(app, "ended"))
        assert footer(app) >= {"load.repeat", "load.choose", "load.baseline", "load.export"}
        assert "load.start" not in footer(app)

        await pilot.press("n")
        await wait_for(pilot, shows(app, "stored run", "passed"))
        await pilot.press("escape")
        await wait_for(pilot, lambda: screen_of(app).shows_run)
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.current_mode == "servers")
    run = store.find("smoke")
    assert (run.plan.phases[-1].requests, run.plan.phases[-1].concurrency) == (60, 3)


async def test_a_run_under_way_is_slowed_stopped_and_repeated(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await opened(pilot, app)
        await pilot.press("down", "S")
        await wait_for(pilot, lambda: screen.shows_run)
        session = app.load_desk.session
        assert session is not None
        await wait_for(pilot, lambda: session.state == "running", seconds=30)
        assert footer(app) >= {"load.pause", "load.stop", "load.faster", "load.slower"}
        assert "load.repeat" not in footer(app)
        await pilot.press("minus")
        assert session.rate == 40
        await pilot.press("b")
        await wait_for(pilot, shows(app, "nothing to keep yet"))
        await pilot.press("n")
        await wait_for(pilot, lambda: not screen.shows_run)
        assert "load.stop" in footer(app)
        await pilot.press("X")
        await wait_for(pilot, lambda: session.state == "ended", seconds=30)
        await wait_for(pilot, lambda: len(screen.setup.runs.rows) == 1)
        await pilot.press("tab", "tab", "R")
        await wait_for(pilot, lambda: app.load_desk.session is not session)
        await wait_for(pilot, lambda: screen.shows_run)
        assert app.load_desk.session is not None
        assert app.load_desk.session.plan == session.plan


async def test_mistakes_stand_at_their_fields_and_nothing_starts(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await opened(pilot, app)
        # S, D, n, q and 3 are keys elsewhere; in a field they are letters.
        await pilot.press("enter", *"SDnq3")
        await wait_for(pilot, shows(app, "× expected a whole number", "a mistake: it cannot start"))
        assert isinstance(app.focused, Input)
        assert app.focused.value == "SDnq3"
        assert not footer(app) & {"load.start", "load.delete"}
        await pilot.press("ctrl+r")
        await wait_for(pilot, shows(app, "nothing was started"))
        await pilot.press("escape", "S")
        await wait_for(pilot, lambda: screen.setup.pane == "form")
        assert app.load_desk.session is None
        await pilot.press("ctrl+u", *"8", "ctrl+r")
        await wait_for(pilot, lambda: screen.shows_run)


async def test_a_mistake_behind_the_fold_opens_it(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        assert screen.setup.draft is not None
        assert not screen.setup.form.rows["seed"].display
        screen.setup.draft.texts["seed"] = "x"
        screen.setup.check()
        await wait_for(pilot, lambda: screen.setup.form.rows["seed"].has_class("-wrong"))
        assert screen.setup.form.rows["seed"].display


async def test_the_fold_is_opened_and_walked_by_keys(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await pilot.press(*["down"] * 3, "enter")
        await wait_for(pilot, shows(app, "clients", "10 documents of about 70 words"))
        form = screen.setup.form
        for _ in range(20):
            if app.focused is form.fold:
                break
            await pilot.press("down")
        await pilot.press("enter", "down")
        await wait_for(pilot, shows(app, "query words", "less"))
        await pilot.press(*"9", "down", *"30%")
        await wait_for(pilot, shows(app, "30% sent"))
        draft = screen.setup.draft
        assert draft is not None
        assert (draft.texts["query_tokens"], draft.texts["repeat"]) == ("9", "30%")
        await pilot.press("escape", "up", "down")
        await wait_for(pilot, shows(app, "30% sent"))  # each test keeps what was typed


async def test_servers_are_ticked_and_turned_through(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        screen.setup.form.rows["servers"].control.focus()
        await pilot.press("right")
        await wait_for(pilot, shows(app, "two, http://localhost"))
        await pilot.press("enter")
        await wait_for(pilot, shows(app, "Which servers"))
        await pilot.press("space", "enter")
        await wait_for(pilot, shows(app, "2 in turn: one, two"))
        await pilot.press("backspace")
        await wait_for(pilot, shows(app, "one, http://127.0.0.1"))


async def test_servers_chosen_elsewhere_are_taken_over(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await pilot.press("1")
        app.load_desk.wanted = ("two",)
        await pilot.press("3")
        await wait_for(pilot, shows(app, "two, http://localhost"))


async def test_http_asks_for_a_path_and_not_for_documents(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 40)) as pilot:
        screen = await opened(pilot, app)
        await pilot.press("down", "down", "down")
        await wait_for(pilot, shows(app, "words each"))
        screen.setup.form.rows["dialect"].control.focus()
        await pilot.press("left")
        await wait_for(pilot, shows(app, "‹ http ›", "× the dialect http needs", "method"))
        assert "words each" not in screen_text(app)
        screen.setup.form.rows["path"].control.focus()
        await pilot.press(*"/health")
        await wait_for(pilot, shows(app, "GET /health"))


async def test_a_replay_file_is_looked_for(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_text('{"query": "q", "documents": ["d"]}\n' * 3)
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app)
        await pilot.press("end", "enter")
        await wait_for(pilot, shows(app, "needs a file"))
        await pilot.press(*"day.json")
        await wait_for(pilot, shows(app, "× cannot be read"))
        await pilot.press("l")
        await wait_for(pilot, shows(app, "the bodies in day.jsonl", "for 3 requests"))


async def test_stored_runs_are_listed_and_opened(profile: Profile, runs: list[str]) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await at_runs(pilot, app)
        assert [row.key for row in screen.setup.runs.rows] == [NEW, MIDDLE, OLD]
        await wait_for(pilot, shows(app, "● passed", "baseline", "2 of 2 thresholds kept"))
        assert footer(app) >= {"load.report", "load.baseline", "load.compare", "load.export"}
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: screen.shows_run)
        session = app.load_desk.session
        assert session is not None
        assert session.run.id == MIDDLE
        await wait_for(pilot, shows(app, "smoke", "p95"))


async def test_escape_goes_from_a_stored_run_back_to_where_it_was_opened(
    profile: Profile, runs: list[str]
) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await at_runs(pilot, app)
        await wait_for(pilot, shows(app, "enter opens"))
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: screen.shows_run)
        await pilot.press("escape")
        await wait_for(pilot, lambda: not screen.shows_run and screen.setup.pane == "runs")
        assert screen.setup.runs.cursor == MIDDLE
        await pilot.press("escape")
        await wait_for(pilot, lambda: screen.setup.pane == "tests")
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.current_mode == "servers")


async def test_the_newest_run_is_in_sight_unless_somebody_is_in_the_list(
    profile: Profile, runs: list[str]
) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await wait_for(pilot, lambda: screen.setup.runs.cursor == NEW)
        for number in range(8):
            run = sample_run(run_id=f"20261122-10000{number}-smoke-ffff")
            store.save(replace(run, at=run.at + 3600 + number))
        screen.setup.load_runs()
        newest = "20261122-100007-smoke-ffff"
        await wait_for(pilot, lambda: screen.setup.runs.cursor == newest)
        await wait_for(pilot, lambda: screen.setup.runs.scroll_offset.y == 0)
        await pilot.press("tab", "tab", "down")
        await wait_for(pilot, lambda: screen.setup.runs.cursor != newest)
        at = screen.setup.runs.cursor
        store.save(replace(sample_run(run_id="20261123-100000-smoke-ffff"), at=run.at + 9000))
        screen.setup.load_runs()
        await wait_for(pilot, lambda: len(screen.setup.runs.rows) == 12)
        assert screen.setup.runs.cursor == at


async def test_the_report_and_the_baseline(profile: Profile, runs: list[str]) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await at_runs(pilot, app)
        await pilot.press("o")
        await wait_for(pilot, lambda: isinstance(app.screen, PageScreen))
        await wait_for(pilot, shows(app, "smoke: PASSED", NEW))
        assert isinstance(app.screen, PageScreen)
        assert "late sending" in str(app.screen.body)
        await pilot.press("escape", "b")
        await wait_for(pilot, lambda: NEW in screen.setup.baselines)
        assert OLD not in screen.setup.baselines


async def test_two_marked_runs_are_compared_the_older_first(
    profile: Profile, runs: list[str]
) -> None:
    app = console(profile)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        screen = await at_runs(pilot, app)
        await pilot.press("space", "down", "c")
        await wait_for(pilot, lambda: isinstance(app.screen, PageScreen), seconds=30)
        assert isinstance(app.screen, PageScreen)
        assert f"{OLD} → {NEW}" in str(app.screen.body).replace("\n", " ")
        await pilot.press("escape", "escape")
        await wait_for(pilot, lambda: not screen.setup.runs.marked)
        assert screen.setup.pane == "runs"


async def test_a_run_is_compared_with_the_baseline_unless_another_is_picked(
    profile: Profile, runs: list[str]
) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        await at_runs(pilot, app)
        await pilot.press("c")
        await wait_for(pilot, shows(app, "Compare 2026", "baseline, ● passed", "× failed"))
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, PageScreen), seconds=30)
        assert isinstance(app.screen, PageScreen)
        assert f"{OLD} → {NEW}" in str(app.screen.body).replace("\n", " ")


async def test_a_run_is_exported_and_nothing_is_replaced_unasked(
    profile: Profile, runs: list[str], tmp_path: Path
) -> None:
    app = console(profile)
    path = tmp_path / f"{NEW}.json"
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await at_runs(pilot, app)
        for question in (False, True):
            await pilot.press("e")
            await wait_for(pilot, lambda: isinstance(app.screen, PickScreen))
            await pilot.press("down", "down", "enter")
            await wait_for(pilot, shows(app, f"write to {NEW}.json"))
            await pilot.press("enter")
            if question:
                await wait_for(pilot, shows(app, "Replace"))
                await pilot.press("y")
            await wait_for(pilot, lambda: path.exists() and path.stat().st_size > 1000)
            assert json.loads(path.read_text())["id"] == NEW
            path.write_text("old")
            if question:
                break
        await pilot.press("e")
        await wait_for(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("enter")
        await wait_for(pilot, shows(app, f"write to {NEW}.html"))
        await pilot.press("ctrl+u", *"/nowhere/x.html", "enter")
        await wait_for(pilot, shows(app, "cannot be written"))


async def test_a_run_is_deleted_when_that_is_confirmed(profile: Profile, runs: list[str]) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await at_runs(pilot, app)
        await pilot.press("down", "down", "D")
        await wait_for(pilot, shows(app, "Delete the baseline"))
        await pilot.press("n")
        assert len(store.runs()) == 4
        await pilot.press("D", "y")
        await wait_for(pilot, lambda: len(screen.setup.runs.rows) == 2)
        assert OLD not in [run.id for run in store.runs()]
        assert store.baselines() == frozenset()


async def test_commands_name_a_test_or_a_run(profile: Profile, runs: list[str]) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await opened(pilot, app)
        await wait_for(pilot, lambda: len(screen.setup.runs.rows) == 3)
        await pilot.press("colon", *"baseline 20261121-11", "enter")
        await wait_for(pilot, shows(app, "Hold later runs of smoke against one that failed?"))
        assert MIDDLE not in screen.setup.baselines
        await pilot.press("y")
        await wait_for(pilot, lambda: MIDDLE in screen.setup.baselines)
        await pilot.press("colon", *"report nothing", "enter")
        await wait_for(pilot, shows(app, "there is no stored run nothing"))
        await pilot.press("colon", *"repeat smoke", "enter")
        await wait_for(pilot, shows(app, "there is no server 'alpha'"))
        await pilot.press("colon", *"start nothing", "enter")
        await wait_for(pilot, shows(app, "there is no load test nothing"))
        await pilot.press("colon", *"start long", "enter")
        await wait_for(pilot, lambda: screen.shows_run)
        assert app.load_desk.session is not None
        assert app.load_desk.session.plan.name == "long"


async def test_a_stored_run_is_not_started_by_the_key_of_the_tests(
    profile: Profile, runs: list[str]
) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await at_runs(pilot, app)
        assert "load.start" not in footer(app)
        await pilot.press("S")
        await wait_for(pilot, shows(app, "R repeats this run"))
        assert app.load_desk.session is None


async def test_what_works_on_a_run_needs_one(profile: Profile, runs: list[str]) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app)
        assert not footer(app) & {"load.baseline", "load.delete", "load.export"}
        await pilot.press("D")
        await wait_for(pilot, shows(app, "choose a stored run first"))
        assert len(store.runs()) == 4


async def test_a_run_that_cannot_be_read_is_said_so(profile: Profile, runs: list[str]) -> None:
    (store.folder() / NEW / "run.bin").write_bytes(b"nonsense")
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await at_runs(pilot, app)
        await pilot.press("enter")
        await wait_for(pilot, shows(app, "no run that this version"))
        assert not screen.shows_run
        await pilot.press("o")
        await pilot.press("D", "y")
        await wait_for(pilot, lambda: len(screen.setup.runs.rows) == 2)


async def test_production_is_loaded_only_after_its_name(tmp_path: Path, far: Far) -> None:
    app = console(profile_of(tmp_path, far, SMOKE, environment="production"))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app)
        await pilot.press("S")
        await wait_for(pilot, shows(app, "read-only: start is refused"))
        await pilot.press("U", *"dev", "enter")
        await wait_for(pilot, lambda: not app.read_only)
        await pilot.press("S")
        await wait_for(pilot, shows(app, "Load one: smoke, "))
        await pilot.press("escape")
        assert app.load_desk.session is None


@pytest.mark.parametrize("ascii", [False, True], ids=["unicode", "ascii"])
async def test_the_set_up_fits_every_size(ascii: bool, profile: Profile, runs: list[str]) -> None:
    app = console(profile, ascii=ascii)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await wait_for(pilot, lambda: app.current_mode == "load")
        screen = screen_of(app)
        await wait_for(pilot, lambda: NEW in screen.setup.summaries)
        for size in ((80, 24), (40, 12), (200, 60), (120, 40), (20, 5)):
            await pilot.resize_terminal(*size)
            for pane in ("tests", "form", "runs"):
                await wait_for(pilot, lambda pane=pane: screen.setup.pane == pane)
                lines = screen_text(app).splitlines()
                assert (len(lines), max(map(len, lines)) <= size[0]) == (size[1], True)
                assert "\n".join(lines).isascii() or not ascii
                if pane == "runs" and size[0] >= 40:
                    assert "passed" in "\n".join(lines)
                await pilot.press("tab")


async def test_read_only_keeps_the_baselines_as_they_are(profile: Profile, runs: list[str]) -> None:
    app = console(profile, read_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await at_runs(pilot, app)
        assert "load.compare" in footer(app)
        assert "load.baseline" not in footer(app)
        await pilot.press("b")
        await wait_for(pilot, shows(app, "baseline is refused"))
        assert screen.setup.baselines == {OLD}
