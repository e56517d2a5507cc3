"""What a keeper asks, and a server that answers but is not well."""

from __future__ import annotations

import re
from pathlib import Path

from opsconsole.daemon.record import Spec
from opsconsole.daemon.states import DaemonState
from tests.daemon.bed import Daemon, until


def test_degraded_for_too_long_is_restarted(daemon: Daemon, tmp_path: Path) -> None:
    ill = tmp_path / "ill"
    daemon.runs("--degraded-while", str(ill), restart_on_degraded=0.2, backoff=1.0)
    first = daemon.start()
    assert first.state is DaemonState.RUNNING
    ill.touch()
    waiting = daemon.reaches(DaemonState.BACKOFF)
    assert waiting.detail == "starting again after degraded for 0.2 s"
    assert waiting.last_exit == "exit 0"  # it was asked to end, and could
    ill.unlink()
    back = daemon.restarted(1)
    assert back.pid != first.pid
    assert "degraded for 0.2 s: HTTP 200 degraded" in daemon.notes()


def test_the_start_limit_holds_for_it_too(daemon: Daemon, tmp_path: Path) -> None:
    ill = tmp_path / "ill"
    ill.touch()
    daemon.runs("--degraded-while", str(ill), restart_on_degraded=0.05, start_limit=3, backoff=0.01)
    daemon.start(wait=False)
    failed = daemon.reaches(DaemonState.FATAL)
    assert re.match(r"3 starts in 600 s, the last: degraded for 0\.05 s", failed.detail)
    assert daemon.processes() == []


def test_who_recovers_in_time_is_left_alone(daemon: Daemon, tmp_path: Path) -> None:
    ill = tmp_path / "ill"
    daemon.runs("--degraded-while", str(ill), restart_on_degraded=600.0)
    first = daemon.start()
    ill.touch()
    until("it to be seen", lambda: "degraded" in daemon.status().detail)
    ill.unlink()
    until("its recovery", lambda: daemon.status().detail == "HTTP 200 healthy")
    assert daemon.status().pid == first.pid


def test_by_default_a_degraded_server_goes_on(daemon: Daemon, tmp_path: Path) -> None:
    ill = tmp_path / "ill"
    ill.touch()
    daemon.runs("--degraded-while", str(ill))
    first = daemon.start()
    assert first.state is DaemonState.RUNNING
    assert first.detail == "HTTP 200 degraded"
    assert Spec.parse(daemon.spec.dump()).restart_on_degraded == 0
    assert daemon.status().pid == first.pid


def test_a_server_without_the_route_is_asked_for_its_health(daemon: Daemon) -> None:
    daemon.runs("--no-ready", health="/ready")
    assert daemon.start().detail == "HTTP 200 healthy"
    daemon.kill_server()
    assert daemon.restarted(1).detail == "HTTP 200 healthy"
