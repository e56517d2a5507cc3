"""One key on the screen Servers: a load test of what is marked there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from opsconsole.actions import audit
from opsconsole.load import store
from opsconsole.profile import Profile
from opsconsole.tui.app import ConsoleApp
from tests.load.farside import Far
from tests.tui.load_console import BRIEF, LONG, console, profile_of
from tests.tui.render import screen_text, wait_for


@pytest.fixture
def profile(tmp_path: Path, far: Far) -> Profile:
    return profile_of(tmp_path, far, LONG, BRIEF)


def good(app: ConsoleApp) -> int:
    session = app.load_desk.session
    return session.live.whole.totals.good if session is not None else 0


async def test_the_marked_servers_are_loaded_at_once(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_for(pilot, lambda: "two" in screen_text(app))
        await pilot.press("space", "space", "L")
        await wait_for(pilot, lambda: good(app) > 20)
        assert app.load_desk.session is not None
        assert app.load_desk.session.servers == ("one", "two")
        await wait_for(pilot, lambda: "one, two" in screen_text(app))
        await pilot.press("1")
        await wait_for(pilot, lambda: "● load" in screen_text(app))
        await pilot.press("q")
        await wait_for(pilot, lambda: "a load test is under way" in screen_text(app))
        await pilot.press("3", "X")
        await wait_for(pilot, lambda: not app.loading)
    assert [record.target for record in audit.read()] == ["one,two"]


async def test_the_command_names_a_test_and_servers(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_for(pilot, lambda: "two" in screen_text(app))
        await pilot.press("colon", *"load brief two", "enter")
        await wait_for(pilot, lambda: app.loading)
        assert app.load_desk.session is not None
        assert app.load_desk.session.plan.name == "brief"
        assert app.load_desk.session.servers == ("two",)
        await pilot.press("1", "T")
        await wait_for(pilot, lambda: "only a local daemon" in screen_text(app))


async def test_what_is_read_only_is_not_loaded_but_stopped(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_for(pilot, lambda: "two" in screen_text(app))
        await pilot.press("L")
        await wait_for(pilot, lambda: good(app) > 20)
        await pilot.press("U", "plus")
        await wait_for(pilot, lambda: "read-only: more is refused" in screen_text(app))
        await pilot.press("X")
        await wait_for(pilot, lambda: not app.loading)
        await pilot.press("1", "L")
        await wait_for(pilot, lambda: "read-only: load test is refused" in screen_text(app))
        assert not app.loading


async def test_another_profile_waits_for_the_load(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_for(pilot, lambda: "two" in screen_text(app))
        await pilot.press("L")
        await wait_for(pilot, lambda: app.loading)
        await app.open_profile("local")
        assert app.profile.name == "dev"


async def test_a_lost_terminal_keeps_what_was_measured(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, lambda: "two" in screen_text(app))
        await pilot.press("L")
        await wait_for(pilot, lambda: good(app) > 20)
        os.kill(os.getpid(), signal.SIGHUP)
        await wait_for(pilot, lambda: app._exit)
    found = store.find("latest")
    assert found.stopped == "the console was left"
    whole = found.measured()
    assert whole is not None
    assert whole.all().good > 20
