"""The screen of a tuning, on a real daemon: it shows each trial, stops, and puts back."""

from __future__ import annotations

import pytest
from textual.app import App

from opsconsole import daemon
from opsconsole.daemon.states import DaemonState
from opsconsole.load.plan import Lengths, Work
from opsconsole.paths import state_dir
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.screens.tune import TuneScreen
from opsconsole.tuning import Request, as_json, left_behind
from tests.tui.render import screen_text, wait_for
from tests.tuning.bed import Bed

pytestmark = pytest.mark.timeout(240)
LIGHT = Request(
    budget=240.0, only=("BATCH_SIZE",),
    work=Work(documents=Lengths("fixed", 2), document_tokens=Lengths("fixed", 10)),
)  # fmt: skip


def fits(app: App[object], width: int) -> bool:
    return max(map(len, screen_text(app).splitlines())) <= width


@pytest.mark.parametrize("ascii", [False, True], ids=["unicode", "ascii"])
async def test_escape_asks_then_stops_it_and_puts_back_what_was_there(
    bed: Bed, ascii: bool
) -> None:
    app = ConsoleApp(bed.profile, ascii=ascii)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = TuneScreen(bed.server, LIGHT)
        await app.push_screen(screen)
        await wait_for(pilot, lambda: len(screen.trials) >= 1, "a trial", seconds=90)
        assert app.model.busy[bed.server.name] == "tuning"
        await wait_for(pilot, lambda: "as it was" in screen_text(app))
        assert fits(app, 80)
        assert screen_text(app).isascii() or not ascii
        await pilot.press("escape")
        await wait_for(pilot, lambda: "Stop tuning" in screen_text(app))
        await pilot.press("n")
        await wait_for(pilot, lambda: app.screen is screen)
        assert screen.under_way
        await pilot.press("escape")
        await wait_for(pilot, lambda: "Stop tuning" in screen_text(app))
        await pilot.press("y", "X")
        await wait_for(pilot, lambda: not screen.under_way, "the end", seconds=90)
        assert screen.report is not None
        assert screen.report.stopped == "by the operator"
        (kept,) = (state_dir() / "tunings").iterdir()
        assert kept.read_bytes() == as_json(screen.report)
        assert daemon.status(bed.profile, bed.server).state is DaemonState.STOPPED
        await wait_for(pilot, lambda: "stopped again, as before" in screen_text(app))
        assert bed.server.name not in app.model.busy
        await pilot.press("o")
        await wait_for(pilot, lambda: "STOPPED: by the operator" in screen_text(app))
        await pilot.press("escape", "escape")
        await wait_for(pilot, lambda: app.screen is not screen)


async def test_leaving_the_console_puts_back_what_was_there(bed: Bed) -> None:
    before = daemon.start(bed.profile, bed.server)
    app = ConsoleApp(bed.profile)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = TuneScreen(bed.server, LIGHT)
        await app.push_screen(screen)
        await wait_for(pilot, lambda: left_behind(bed.profile, bed.server), seconds=30)
        await wait_for(pilot, lambda: screen.under_way)
        app.exit()
    assert not screen.under_way
    after = daemon.status(bed.profile, bed.server)
    assert after.ready
    assert after.pid != before.pid
    assert not left_behind(bed.profile, bed.server)


async def test_what_cannot_be_tuned_says_why(bed: Bed) -> None:
    app = ConsoleApp(bed.profile)
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(TuneScreen(bed.profile.servers[1]))
        await wait_for(pilot, lambda: "watched, not run" in screen_text(app))
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, TuneScreen))
