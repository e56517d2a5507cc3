"""Which stored runs are offered to be compared with, and what becomes of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from opsconsole.load import Run, store
from opsconsole.profile import Profile
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.screens.page import PageScreen
from opsconsole.tui.screens.pick import PickScreen
from tests.load.farside import Far
from tests.load.sample_runs import sample_run
from tests.tui.load_console import SMOKE, at_runs, console, profile_of
from tests.tui.render import wait_for

BASE, SHORT, TOUCHED, NEW = (f"20261121-1{hour}0000-smoke-aaaa" for hour in range(4))


def kept(run: Run, hour: int) -> None:
    store.save(replace(run, at=run.at + 3600 * hour + hour))


@pytest.fixture
def profile(tmp_path: Path, far: Far) -> Profile:
    """Four runs of one test: the second of other phases, the third changed by hand."""
    kept(sample_run(run_id=BASE), 0)
    kept(sample_run(run_id=SHORT, seconds=8), 1)
    kept(replace(sample_run(run_id=TOUCHED), interventions=["5s: paused"]), 2)
    kept(sample_run(run_id=NEW, seed=2), 3)
    return profile_of(tmp_path, far, SMOKE)


def toasts(app: ConsoleApp) -> str:
    return " ".join(each.message for each in app._notifications)


async def test_only_what_can_be_compared_is_offered(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await at_runs(pilot, app, 4)
        assert [row.key for row in screen.setup.runs.rows] == [NEW, TOUCHED, SHORT, BASE]
        await pilot.press("c")
        await wait_for(pilot, lambda: isinstance(app.screen, PickScreen), seconds=60)
        assert isinstance(app.screen, PickScreen)
        assert [option[0] for option in app.screen.options] == [BASE]
        [(_, title, note)] = app.screen.options
        assert title.split()[1].count(":") == 2  # two runs of a minute are told apart
        assert "p95 " in note
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, PageScreen), seconds=60)
        assert isinstance(app.screen, PageScreen)
        assert f"{BASE} → {NEW}" in str(app.screen.body).replace("\n", " ")


async def test_where_none_can_be_compared_it_says_why(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await at_runs(pilot, app, 4)
        await pilot.press("down", "down", "c")
        await wait_for(pilot, lambda: "are of different plans (phases:" in toasts(app), seconds=60)
        assert not isinstance(app.screen, PickScreen)


async def test_marks_outlive_a_refusal(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        screen = await at_runs(pilot, app, 4)
        await pilot.press("space", "down", "space", "c")
        await wait_for(pilot, lambda: "are of different plans" in toasts(app), seconds=60)
        assert screen.setup.runs.marked == {NEW, SHORT}
