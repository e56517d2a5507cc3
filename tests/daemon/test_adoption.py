"""The keeper dies: the server must not notice, and a later console takes it over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from opsconsole.daemon import group, halt
from opsconsole.daemon.identity import Handle
from opsconsole.daemon.launch import adopt_orphan
from opsconsole.daemon.states import DaemonState
from tests.daemon.bed import ODD_SERVER, Daemon, alive, clean_up, kill, until


def test_a_dead_keeper_leaves_an_orphan_that_goes_on(daemon: Daemon) -> None:
    pid = daemon.runs("--flood", "3000").start().pid
    keeper = daemon.kill_keeper()
    found = daemon.status()
    assert (found.state, found.pid, found.keeper_pid) == (DaemonState.ORPHANED, pid, None)
    assert "keeper died" in found.detail
    assert not alive(keeper.pid)
    until("its output goes on", lambda: "line 3000\n" in daemon.log())


@pytest.mark.parametrize("how", ["start", "adopt"])
def test_adoption_touches_nothing(daemon: Daemon, how: str) -> None:
    before = daemon.start()
    daemon.kill_keeper()
    if how == "start":
        daemon.start()
    else:
        assert adopt_orphan(daemon.folder, daemon.spec)
    found = daemon.reaches(DaemonState.RUNNING)
    assert (found.pid, found.started_at) == (before.pid, before.started_at)
    assert found.keeper_pid not in (None, before.keeper_pid)
    assert daemon.log().count("begun by") == 1
    assert not adopt_orphan(daemon.folder, daemon.spec)


def test_nothing_to_adopt(daemon: Daemon) -> None:
    assert not adopt_orphan(daemon.folder, daemon.spec)
    daemon.start()
    daemon.stop()
    assert not adopt_orphan(daemon.folder, daemon.spec)


def test_an_adopted_server_is_restarted_when_it_crashes(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_THE_FIRST_CONSOLE", "yes")
    daemon.runs("--environment", "FROM_THE_FIRST_CONSOLE").start()
    daemon.kill_keeper()
    monkeypatch.delenv("FROM_THE_FIRST_CONSOLE")
    daemon.start()
    killed = daemon.kill_server()
    back = until(
        "a new server",
        lambda: s if (s := daemon.status()).state == "running" and s.pid != killed.pid else None,
    )
    assert back.restarts == 1
    assert back.last_exit == "unknown exit"
    # It has the environment that it was first started with.
    assert daemon.log().count("FROM_THE_FIRST_CONSOLE=yes") == 2


def test_restarts_are_still_limited_after_an_adoption(daemon: Daemon) -> None:
    daemon.runs(start_limit=2, backoff=0.02).start()
    daemon.kill_server()
    daemon.restarted(1)
    daemon.kill_keeper()
    daemon.start()
    daemon.kill_server()
    assert "2 starts in 600 s" in daemon.reaches(DaemonState.FATAL).detail


@pytest.mark.parametrize("adopted", [True, False])
def test_stop_after_the_keepers_death_ends_the_whole_group(daemon: Daemon, adopted: bool) -> None:
    daemon.runs("--child", stop_grace=0.3).start()
    both = until("leader and child", lambda: p if len(p := daemon.processes()) == 2 else None)
    daemon.kill_keeper()
    if adopted:
        daemon.start()
    found = daemon.stop()
    assert (found.state, found.survivors) == (DaemonState.STOPPED, [])
    assert not any(alive(pid) for pid in both)
    assert daemon.record().desired == "stopped"
    assert not Path(daemon.folder.pid).exists()


def test_a_keeper_killed_while_it_stops_is_stood_in_for(daemon: Daemon) -> None:
    daemon.runs("--ignore-term", stop_grace=0.5).start()
    with Handle.claim(daemon.keeper()) as keeper:  # type: ignore[union-attr]
        keeper.send(signal.SIGTERM)
        daemon.reaches(DaemonState.STOPPING)
        keeper.send(signal.SIGKILL)
        assert keeper.wait(60)
    assert daemon.record().desired == "stopped"
    found = daemon.stop()
    assert found.state is DaemonState.STOPPED
    assert daemon.processes() == []


def test_server_and_keeper_both_killed(daemon: Daemon) -> None:
    daemon.start()
    daemon.kill_keeper()
    server = daemon.kill_server()
    found = daemon.status()
    assert (found.state, found.pid) == (DaemonState.EXITED, None)
    assert "nobody saw" in found.detail
    assert daemon.start().pid != server.pid


def test_children_of_a_server_that_died_unseen_are_reported_and_ended(daemon: Daemon) -> None:
    daemon.runs("--child", stop_grace=0.2).start()
    both = until("leader and child", lambda: p if len(p := daemon.processes()) == 2 else None)
    daemon.kill_keeper()
    leader = daemon.kill_server()
    child = next(pid for pid in both if pid != leader.pid)
    assert daemon.status().survivors == [child]
    assert daemon.start().state is DaemonState.RUNNING
    assert not alive(child)


def test_stop_ends_children_of_a_server_that_died_unseen(daemon: Daemon) -> None:
    daemon.runs("--child", stop_grace=0.2).start()
    both = until("leader and child", lambda: p if len(p := daemon.processes()) == 2 else None)
    daemon.kill_keeper()
    daemon.kill_server()
    found = daemon.stop()
    assert (found.state, found.survivors) == (DaemonState.STOPPED, [])
    assert not any(alive(pid) for pid in both)


def test_a_group_without_our_mark_is_left_alone(
    daemon: Daemon, stranger: subprocess.Popen[bytes]
) -> None:
    """The number of a dead leader's session says nothing once nobody watched it."""
    daemon.start()
    daemon.kill_keeper()
    daemon.kill_server()
    record = daemon.record()
    assert record.server is not None
    # As if our leader had had the stranger's number: the stranger leads a session by it now.
    forged = record.server._replace(pid=stranger.pid)
    daemon.folder.write_record(record._replace(server=forged))
    assert group.remnants(forged, daemon.folder.log) == []
    assert daemon.status().survivors == []
    daemon.stop()
    assert daemon.start().state is DaemonState.RUNNING


def test_the_launcher_may_be_killed_right_after_the_start(daemon: Daemon, tmp_path: Path) -> None:
    script = tmp_path / "launcher.py"
    script.write_text(
        "import os, sys\n"
        "from opsconsole.daemon.folder import Folder\n"
        "from opsconsole.daemon.record import Spec\n"
        "from opsconsole.daemon.launch import launch\n"
        "spec = Spec.parse(open(sys.argv[2], 'rb').read())\n"
        "launch(Folder(sys.argv[1]), spec, wait=False)\n"
        "os.killpg(0, 9)\n"
    )
    spec = tmp_path / "spec.json"
    spec.write_bytes(daemon.spec.dump())
    command = [sys.executable, str(script), daemon.folder.path, str(spec)]
    assert subprocess.run(command, start_new_session=True, check=False).returncode == -9
    found = daemon.reaches(DaemonState.RUNNING)
    assert found.keeper_pid is not None
    daemon.kill_server()
    daemon.restarted(1)


def test_a_keeper_killed_at_any_moment_leaves_no_server_that_nobody_knows(
    make_daemon: Callable[..., Daemon],
) -> None:
    """The fork, the record and the exec are in an order that leaves no gap."""
    outcomes = set()
    for number in range(12):
        daemon = make_daemon(f"d{number}")
        daemon.start(wait=False)
        time.sleep(number * 0.004)
        if number == 11:
            until("a server", daemon.processes)  # however slow the machine is
        daemon.kill_keeper()
        found = until("no server, or a known one", partial(known, daemon))
        outcomes.add(found)
        assert daemon.start().state is DaemonState.RUNNING
        assert len(daemon.processes()) == 1
        clean_up(daemon.folder)
    assert "server" in outcomes


def known(daemon: Daemon) -> str | None:
    """What there is of the server, as soon as files and kernel agree."""
    running, recorded = daemon.processes(), daemon.record().server
    if not running:
        return "none"
    return "server" if recorded is not None and running == [recorded.pid] else None


def test_a_second_keeper_gives_way(daemon: Daemon) -> None:
    daemon.start()
    command = [sys.executable, "-m", "opsconsole.daemon.keeper", daemon.folder.path]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert b"another keeper keeps this daemon" in done.stderr
    assert daemon.status().state is DaemonState.RUNNING
    assert len(daemon.processes()) == 1


def test_stop_of_a_daemon_whose_keeper_is_stuck(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suspended keeper cannot obey; it is replaced by the one who stops."""
    monkeypatch.setattr(group, "KILL_PATIENCE", 0.3)
    monkeypatch.setattr(halt, "_MARGIN", 0.3)
    daemon.runs(stop_grace=0.1).start()
    keeper = daemon.keeper()
    os.kill(keeper.pid, signal.SIGSTOP)
    found = daemon.stop()
    assert found.state is DaemonState.STOPPED
    assert not alive(keeper.pid)
    assert daemon.processes() == []


def test_the_odd_server_is_what_runs(daemon: Daemon) -> None:
    daemon.start()
    assert str(ODD_SERVER).encode() in Path(f"/proc/{daemon.server().pid}/cmdline").read_bytes()
    kill(daemon.server(), signal.SIGTERM)
    assert daemon.reaches(DaemonState.EXITED).last_exit == "exit 0"
