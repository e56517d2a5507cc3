"""The story of the first day: real daemons, a real model, driven by keys alone."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from opsconsole.actions import audit
from opsconsole.daemon import DaemonState, status, stop
from opsconsole.profile import Profile
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.screens.rerank import RerankScreen
from tests.tui.fleet import local_profile
from tests.tui.render import screen_text, wait_for

pytestmark = pytest.mark.timeout(180)
START = 90.0


@contextmanager
def stopping(profile: Profile) -> Iterator[Profile]:
    """Whatever a test leaves running is stopped."""
    try:
        yield profile
    finally:
        for server in profile.daemons:
            stop(profile, server)


@asynccontextmanager
async def opened(app: ConsoleApp) -> AsyncIterator[object]:
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        yield pilot


def shows(app: ConsoleApp, *words: str) -> Callable[[], bool]:
    return lambda: all(word in screen_text(app) for word in words)


def up(app: ConsoleApp, name: str = "local-0") -> Callable[[], bool]:
    return lambda: (
        (last := app.model.snapshot(name)) is not None
        and last.state == "up"
        and name not in app.model.busy
    )


async def test_start_watch_rank_tail_check_and_stop(tmp_path: Path) -> None:
    with stopping(local_profile(tmp_path)) as profile:
        app = ConsoleApp(profile)
        async with opened(app) as pilot:
            await wait_for(pilot, shows(app, "stopped", "try  start it  S"))
            await pilot.press("S")
            await wait_for(pilot, up(app), seconds=START)
            await wait_for(pilot, shows(app, "● up", "cpu", "all-MiniLM-L6-v2"))

            await pilot.press("r")
            await wait_for(pilot, lambda: app.current_mode == "rerank")
            assert isinstance(app.screen, RerankScreen)
            assert app.screen.sides == ["", "local-0"]
            await pilot.press("ctrl+r")
            await wait_for(pilot, shows(app, "same order"), seconds=START)
            embedded, served = app.screen.rankings
            assert [i for i, _ in embedded.results] == [i for i, _ in served.results]
            for (_, a), (_, b) in zip(embedded.results, served.results, strict=True):
                # Each may have taken a reduced precision: which, depends on the processor.
                assert a == pytest.approx(b, abs=0.02)

            await pilot.press("escape", "escape")
            await wait_for(pilot, lambda: app.current_mode == "servers")
            await pilot.press("l")
            await wait_for(pilot, shows(app, "following", "/v1/rerank"), seconds=60)

            await pilot.press("escape", "v")
            await wait_for(pilot, shows(app, "Verdict", "pass: profile here"), seconds=60)
            await pilot.press("escape", "y")
            await wait_for(pilot, shows(app, "HTTP 200", '"status": "healthy"'))

            await pilot.press("escape", "X")
            await wait_for(pilot, shows(app, "stop local-0?"))
            await pilot.press("n")
            assert status(profile, profile.daemons[0]).state is DaemonState.RUNNING
            await pilot.press("X")
            await wait_for(pilot, shows(app, "stop local-0?"))
            await pilot.press("y")
            await wait_for(pilot, shows(app, "○ stopped"), seconds=60)
        assert [r.action for r in audit.read()] == ["server.start", "server.stop"]
        assert {r.via for r in audit.read()} == {"tui"}


async def test_daemons_outlive_the_console_and_two_consoles_see_one_daemon(tmp_path: Path) -> None:
    with stopping(local_profile(tmp_path)) as profile:
        first = ConsoleApp(profile, start=True)
        async with opened(first) as pilot:
            await wait_for(pilot, up(first), seconds=START)
        pid = status(profile, profile.daemons[0]).pid
        assert pid is not None

        second, third = ConsoleApp(profile), ConsoleApp(profile, start=True)
        async with opened(second) as pilot:
            await wait_for(pilot, up(second), seconds=60)
            async with opened(third) as other:
                await wait_for(other, up(third), seconds=60)
                assert status(profile, profile.daemons[0]).pid == pid


async def test_a_dead_keeper_is_replaced_and_a_killed_server_comes_back(tmp_path: Path) -> None:
    with stopping(local_profile(tmp_path)) as profile:
        server = profile.daemons[0]
        app = ConsoleApp(profile, start=True)
        async with opened(app) as pilot:
            await wait_for(pilot, up(app), seconds=START)
            before = status(profile, server)
            assert before.pid is not None
            assert before.keeper_pid is not None
            os.kill(before.keeper_pid, signal.SIGKILL)
            await wait_for(
                pilot,
                lambda: status(profile, server).keeper_pid not in (None, before.keeper_pid),
                seconds=30,
            )
            adopted = status(profile, server)
            assert adopted.pid == before.pid

            os.kill(before.pid, signal.SIGKILL)
            await wait_for(
                pilot,
                lambda: (
                    (now := status(profile, server)).state is DaemonState.RUNNING
                    and now.pid != before.pid
                ),
                seconds=START,
            )
            await wait_for(pilot, up(app), seconds=60)
            assert status(profile, server).restarts >= 1


async def test_rolling_restart_keeps_one_server_up(tmp_path: Path) -> None:
    with stopping(local_profile(tmp_path, daemons=2)) as profile:
        app = ConsoleApp(profile, start=True)
        async with opened(app) as pilot:
            for name in ("local-0", "local-1"):
                await wait_for(pilot, up(app, name), seconds=START)
            pids = {s.name: status(profile, s).pid for s in profile.daemons}
            await pilot.press("ctrl+r")
            await wait_for(pilot, shows(app, "rolling local-0, local-1?"))
            await pilot.press("y")
            worst = 2

            def done() -> bool:
                nonlocal worst
                states = [status(profile, s) for s in profile.daemons]
                worst = min(worst, sum(s.state is DaemonState.RUNNING for s in states))
                return all(s.state is DaemonState.RUNNING and s.pid != pids[s.name] for s in states)

            await wait_for(pilot, done, seconds=2 * START)
            assert worst == 1
