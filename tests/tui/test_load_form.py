"""The form of a load test: what its keys do in a field, and what it says of what is left blank."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.load import plan_for
from opsconsole.load.plan import Mode
from opsconsole.profile import Profile
from opsconsole.tui.load_draft import Draft, stages_of
from opsconsole.tui.widgets.setup_controls import Choice, Fold
from tests.load.farside import Far
from tests.tui.load_console import LONG, SMOKE, console, footer, opened, profile_of, shows
from tests.tui.render import screen_text, wait_for

CROWD = "{name: crowd, mode: spike, dialect: http, path: /x, concurrency: 2, duration: 20s}"
SLOW = "{name: slow, mode: rate, dialect: http, path: /x, rate: 50/m, duration: 1m}"
TOP = "{name: top, mode: search, dialect: http, path: /x, rate: 4, duration: 5s}"


@pytest.fixture
def profile(tmp_path: Path, far: Far) -> Profile:
    return profile_of(tmp_path, far, CROWD, SLOW, TOP)


def line_of(text: str, word: str) -> str:
    return next(line for line in text.splitlines() if word in line)


async def test_a_letter_in_a_choice_is_no_key_of_the_console(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await opened(pilot, app)
        assert "load.start" in footer(app)
        control = screen.setup.form.rows["arrivals"].control
        assert isinstance(control, Choice)
        control.focus()
        await pilot.press("1", "q", "S", "n")
        await wait_for(pilot, lambda: app.focused is control)
        assert (app.current_mode, control.words) == ("load", "")
        assert app.load_desk.session is None
        assert "load.start" not in footer(app)
        await wait_for(pilot, shows(app, "choose", "^r start"))
        await pilot.press("p")  # poisson
        await wait_for(pilot, shows(app, "‹ poisson ›"))
        await pilot.press("c")
        await wait_for(pilot, shows(app, "‹ constant ›"))
        screen.setup.form.fold.focus()
        await pilot.press("2")
        assert isinstance(app.focused, Fold)
        assert app.current_mode == "load"


async def test_a_pane_has_the_focus_at_once(profile: Profile) -> None:
    """What is typed next is not for the list, whose test would change under the form."""
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        setup = (await opened(pilot, app)).setup
        setup.focus_pane("form")
        assert app.focused is setup.form.rows["rate"].control
        setup.form.action_move(1)
        assert app.focused is setup.form.rows["concurrency"].control
        setup.focus_pane("runs")
        assert app.focused is setup.runs


async def test_a_blank_field_says_what_will_be_used(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, app)
        await wait_for(pilot, shows(app, "stages      2 8s, 10 4s, 2 8s"))
        await pilot.press("enter", "down", "ctrl+u", *"4")
        await wait_for(pilot, shows(app, "stages      4 8s, 20 4s, 4 8s", "20s in all"))
        await pilot.press("escape", "down")
        await wait_for(pilot, shows(app, "rate        50/m"))
        screen.setup.form.rows["duration"].control.focus()
        await pilot.press("ctrl+u", "space")
        # Blanks say nothing; what holds then is seen.
        await wait_for(pilot, shows(app, "50/m evenly for 30s"))
        assert "30s" in line_of(screen_text(app), "duration  ")


@pytest.mark.parametrize(
    ("mode", "options", "stages"),
    [
        ("spike", {"concurrency": 4}, "4 24s, 20 12s, 4 24s"),
        ("spike", {"rate": "50/s", "duration": "10s"}, "50/s 4s, 250/s 2s, 50/s 4s"),
        ("ramp", {"concurrency": 16}, "1..16 1m"),
        ("ramp", {"rate": "30/m"}, "0..0.5/s 1m"),
        ("load", {}, ""),
    ],
)
def test_stages_that_follow_from_the_rest_could_be_typed(
    mode: Mode, options: dict[str, object], stages: str
) -> None:
    plan = plan_for(mode, **options)
    assert stages_of(plan) == stages
    if stages:
        again = plan_for(mode, stages=tuple(part.strip() for part in stages.split(",")))
        ours = [phase for phase in again.phases if phase.measured]
        theirs = [phase for phase in plan.phases if phase.measured]
        assert [(p.rate, p.concurrency, p.duration) for p in ours] == pytest.approx(
            [(p.rate, p.concurrency, p.duration) for p in theirs]
        )


def test_servers_chosen_elsewhere_are_no_change_of_the_test(profile: Profile) -> None:
    load = profile.load("crowd")
    assert load is not None
    draft = Draft.of(load)
    draft.aim(("two",))
    assert not draft.changed
    assert [server.name for server in draft.check(profile).servers] == ["two"]
    draft.texts["servers"] = "one, two"
    assert draft.changed
    draft.aim(("one",))
    draft.texts["duration"] = "9s"
    assert draft.changed


@pytest.mark.parametrize("width", [80, 100, 160])
async def test_a_changed_test_is_marked_and_one_started_elsewhere_is_not(
    width: int, profile: Profile
) -> None:
    app = console(profile)
    async with app.run_test(size=(width, 30)) as pilot:
        screen = await opened(pilot, app)
        app.load_desk.wanted = ("two",)
        await pilot.press("1", "3")
        await wait_for(pilot, shows(app, "‹ two ›"))
        assert "*" not in screen_text(app)
        await pilot.press("down", "down", "enter", "ctrl+u", *"9/s")
        await wait_for(pilot, shows(app, "9/s, doubled"))
        row = line_of(screen_text(app), "the highest rate").split("│")[0]
        assert "*" in row.split()
        assert "…" not in row
        assert screen.setup.draft is not None
        assert screen.setup.draft.changed


async def test_production_is_asked_with_what_it_will_get(tmp_path: Path, far: Far) -> None:
    app = console(profile_of(tmp_path, far, SMOKE, LONG, environment="production"))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, app)
        await pilot.press("U", *"dev", "enter")
        await wait_for(pilot, lambda: not app.read_only)
        await pilot.press("S")
        said = ("Load one: smoke, 2 clients for 40 requests", "This is production")
        await wait_for(pilot, lambda: all(s in " ".join(screen_text(app).split()) for s in said))
        await pilot.press("escape", "down", "S")
        said = ("Load one: long, 50/s evenly for 10m", "This is production")
        await wait_for(pilot, lambda: all(s in " ".join(screen_text(app).split()) for s in said))
        await pilot.press("escape")
        assert app.load_desk.session is None
