"""The form of a tuning: the request it makes, its mistakes, and that nothing starts unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.errors import OpsError, UsageError
from opsconsole.load.plan import Lengths
from opsconsole.profile import Profile, load_file
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.operate import TUNING
from opsconsole.tui.screens.tune import TuneScreen, failure_words
from opsconsole.tui.screens.tune_setup import TuneSetupScreen
from opsconsole.tui.tune_draft import FIELDS, TuneDraft, in_words
from opsconsole.tuning import PRESETS, Request
from opsconsole.tuning.space import SWEPT
from tests.net import free_port
from tests.tui.fleet import replay
from tests.tui.load_console import footer, shows
from tests.tui.render import screen_text, wait_for

PROFILE = """\
name: dev
servers:
  - name: local
    url: 'http://127.0.0.1:PORT'
    service_level: {p95: 500ms}
    daemon: {device: cpu}
loads:
  - {name: mine, mode: load, documents: 3, document_tokens: 5, repeat: 10%}
  - {name: ping, mode: load, dialect: http, path: /health}
"""


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    path = tmp_path / "dev.yaml"
    path.write_text(PROFILE.replace("PORT", str(free_port())))
    return load_file(path)


@pytest.fixture
def console(profile: Profile) -> ConsoleApp:
    return ConsoleApp(profile, source=replay([]))


def draft(profile: Profile, **texts: str) -> TuneDraft:
    return TuneDraft(profile, profile.servers[0], texts)


def request_of(profile: Profile, **texts: str) -> Request:
    checked = draft(profile, **texts).check()
    assert checked.errors == {}
    assert checked.request is not None
    return checked.request


def test_an_untouched_form_asks_for_what_the_command_does(profile: Profile) -> None:
    assert request_of(profile) == Request()


def test_what_is_typed_is_what_is_asked_for(profile: Profile) -> None:
    found = request_of(
        profile, goal="latency", budget="2m", clients="16", limit="300ms", repeat="0%",
        only="batch_size, DTYPE", values="BATCH_SIZE=8,16; DTYPE=int8", documents="2",
    )  # fmt: skip
    assert (found.goal, found.budget, found.clients, found.limit) == ("latency", 120.0, 16, 0.3)
    assert found.only == ("BATCH_SIZE", "DTYPE")
    assert found.values == {"BATCH_SIZE": ("8", "16"), "DTYPE": ("int8",)}
    assert found.work.documents == Lengths("fixed", 2)
    assert found.work.repeat == 0


def test_a_load_test_lends_its_work(profile: Profile) -> None:
    work = request_of(profile, load="mine").work
    assert (work.documents, work.repeat) == (Lengths("fixed", 3), 0.1)
    shown = {field.key for field in draft(profile, load="mine").fields()}
    assert not shown & {"documents", "document_tokens", "repeat"}
    [load] = [field for field in draft(profile).fields() if field.key == "load"]
    assert load.choices == ("made up", "mine")  # what ranks nothing is not offered


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_step_of_the_checklist_has_its_own_numbers(name: str, profile: Profile) -> None:
    found = request_of(profile, preset=name)
    assert (found.preset, found.clients, found.work.repeat) == (name, None, 0)
    fields = {field.key: field for field in draft(profile, preset=name).fields()}
    assert fields["clients"].default == str(PRESETS[name].clients)
    assert not fields.keys() & {"only", "goal"}
    what, load = in_words(found, profile.servers[0])
    assert PRESETS[name].setting in what
    assert load.startswith(f"{PRESETS[name].clients} clients")


@pytest.mark.parametrize(
    ("texts", "key", "words"),
    [
        ({"budget": "5"}, "budget", "500ms, 30s"),
        ({"budget": "5s"}, "budget", "expected 30s or more"),
        ({"clients": "x"}, "clients", "a whole number"),
        ({"clients": "0"}, "clients", ">= 1"),
        ({"only": "SIZE"}, "only", "SIZE is not tuned"),
        ({"values": "BATCH_SIZE"}, "values", "write BATCH_SIZE=A,B"),
        ({"values": "BATCH_SIZE=x"}, "values", "BATCH_SIZE"),
        ({"only": "DTYPE", "values": "BATCH_SIZE=8"}, "values", "BATCH_SIZE: not among"),
        ({"preset": "batch", "values": "DTYPE=int8"}, "values", "changes BATCH_SIZE alone"),
        ({"documents": "a"}, "documents", "4..16"),
        ({"load": "ping"}, "load", "no pairs"),
        ({"limit": "fast"}, "limit", "duration"),
    ],
)
def test_a_mistake_stands_at_its_field(
    texts: dict[str, str], key: str, words: str, profile: Profile
) -> None:
    checked = draft(profile, **texts).check()
    assert checked.request is None
    assert list(checked.errors) == [key]
    assert words in checked.errors[key]


def test_every_note_has_room() -> None:
    assert all(len(field.note) <= 42 for field in FIELDS)


async def test_what_is_tuned_is_chosen_and_confirmed(console: ConsoleApp) -> None:
    async with console.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_for(pilot, shows(console, "local"))
        await pilot.press("T")
        await wait_for(pilot, shows(console, "tune local", "all settings for the most good"))
        screen = console.screen
        assert isinstance(screen, TuneSetupScreen)
        assert "tune.start" in footer(console)
        await pilot.press("enter", "down", "enter")
        await wait_for(pilot, shows(console, "Which settings are varied?", *SWEPT))
        await pilot.press("space", "down", "down", "space", "enter")
        await wait_for(pilot, shows(console, "BATCH_SIZE, ENABLE_PREDICTION_CACHE"))
        screen.form.rows["budget"].control.focus()
        await pilot.press(*"9sS")
        await wait_for(pilot, shows(console, "a mistake: it cannot start"))
        assert "tune.start" not in footer(console)
        await pilot.press("ctrl+r")
        await wait_for(pilot, shows(console, "nothing was started"))
        await pilot.press("ctrl+u", *"90s", "escape", "S")
        await wait_for(pilot, shows(console, "Tune local for up to 1m 30s: BATCH_SIZE,", "y yes"))
        await pilot.press("n")
        await wait_for(pilot, lambda: console.screen is screen)
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(console.screen, TuneSetupScreen))
    assert not any(isinstance(screen, TuneScreen) for screen in console.screen_stack)


async def test_nothing_starts_beside_another_tuning_or_read_only(console: ConsoleApp) -> None:
    async with console.run_test(size=(100, 30), notifications=True) as pilot:
        await wait_for(pilot, shows(console, "local"))
        await pilot.press("T")
        await wait_for(pilot, shows(console, "tune local", "all settings for"))
        console.model.set_busy("local", TUNING)
        await pilot.press("S")
        await wait_for(pilot, shows(console, "a tuning is under way"))
        console.model.set_busy("local", None)
        await pilot.press("U", "S")
        await wait_for(pilot, shows(console, "read-only: start is refused"))
        assert isinstance(console.screen, TuneSetupScreen)


def test_an_option_of_the_command_line_is_not_named_on_the_screen() -> None:
    short = UsageError("the time is too short", where="--budget", hint="at least 256s")
    assert failure_words(short) == "the time is too short; at least 256s"
    assert failure_words(OpsError("gone", where="local")) == "local: gone"


@pytest.mark.parametrize("ascii", [False, True], ids=["unicode", "ascii"])
async def test_the_form_fits_every_size(ascii: bool, profile: Profile) -> None:
    app = ConsoleApp(profile, source=replay([]), ascii=ascii)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = TuneSetupScreen(profile.servers[0])
        await app.push_screen(screen)
        await wait_for(pilot, lambda: screen.checked is not None)
        await pilot.press("enter")
        for size in ((80, 24), (40, 10), (160, 45), (100, 30), (20, 5)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            text = screen_text(app)
            assert max(map(len, text.splitlines())) <= size[0]
            assert text.isascii() or not ascii
            if size[1] >= 10:
                assert "what" in text
