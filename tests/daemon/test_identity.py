"""A pid alone is never trusted: nothing but the process that was recorded is ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.daemon import identity as subject
from opsconsole.daemon.identity import (
    Handle,
    Identity,
    Presence,
    argv_hash,
    boot_id,
    identify,
    presence,
    read_stat,
    signal_exactly,
)
from opsconsole.daemon.states import DaemonState
from opsconsole.errors import OpsError
from tests.daemon.bed import Daemon, until

Stranger = subprocess.Popen[bytes]


@pytest.fixture(params=["linux", "elsewhere"])
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to know a process: /proc with pidfd, and psutil as on macOS."""
    boot_id()
    if request.param == "elsewhere":
        monkeypatch.setattr(subject, "LINUX", False)
    return str(request.param)


def test_a_process_is_itself(platform: str, stranger: Stranger) -> None:
    found = identify(stranger.pid)
    assert found is not None
    assert presence(found) is Presence.SAME
    assert isinstance(stranger.args, list)
    assert found.argv == argv_hash([str(word) for word in stranger.args])


def test_another_start_time_is_a_stranger(platform: str, stranger: Stranger) -> None:
    found = identify(stranger.pid)
    assert found is not None
    other = found._replace(start=found.start - 1)
    assert presence(other) is Presence.STRANGER
    assert Handle.claim(other) is None
    assert not signal_exactly(other.pid, other.start, signal.SIGKILL)


def test_another_boot_is_gone(platform: str, stranger: Stranger) -> None:
    found = identify(stranger.pid)
    assert found is not None
    other = found._replace(boot="00000000-0000-0000-0000-000000000000")
    assert presence(other) is Presence.GONE
    assert Handle.claim(other) is None


def test_another_command_line_is_unknown_and_refused(platform: str, stranger: Stranger) -> None:
    found = identify(stranger.pid)
    assert found is not None
    other = found._replace(argv=argv_hash(["another", "program"]))
    assert presence(other) is Presence.UNKNOWN
    with pytest.raises(OpsError, match="cannot be proved"):
        Handle.claim(other)


def test_a_zombie_is_dead(platform: str) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = until("an identity", lambda: identify(child.pid))
        handle = Handle.claim(found)
        assert handle is not None
        with handle:
            assert handle.alive()
            assert not handle.wait(0.05)
            child.kill()
            assert handle.wait(60)
            stat = read_stat(child.pid)
            assert stat is not None  # not reaped yet
            assert stat.dead
            assert presence(found) is Presence.GONE
            assert identify(child.pid) is None
    assert presence(found) is Presence.GONE
    assert not handle.send(signal.SIGTERM) if platform == "elsewhere" else True


def test_nobody_has_this_pid(platform: str) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as child:
        pass
    assert read_stat(child.pid) is None
    assert identify(child.pid) is None
    assert presence(Identity(child.pid, 1.0, boot_id(), "")) is Presence.GONE


def test_a_name_with_brackets_and_blanks_does_not_confuse(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to(sys.executable)
    code = "print(1, flush=True); input()"
    with subprocess.Popen(
        [odd, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert Path(f"/proc/{child.pid}/comm").read_text() == "a) R 1 (b\n"
        stat = read_stat(child.pid)
        assert stat is not None
        assert (stat.dead, stat.group, stat.session) == (False, os.getpgid(0), os.getsid(0))
        child.kill()


def test_a_leader_whose_main_thread_ended_is_alive() -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(3600,)).start()\n"
        "print(1, flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            state = Path(f"/proc/{child.pid}/stat")
            until("a dead main thread", lambda: ") Z " in state.read_text())
            stat = read_stat(child.pid)
            assert stat is not None
            assert not stat.dead
        finally:
            child.kill()


# The same, as an operator meets it


def forge(daemon: Daemon, stranger: Stranger) -> None:
    """State and PID file of a daemon that ran, naming a stranger's process."""
    daemon.start()
    daemon.kill_keeper()
    daemon.kill_server()
    record = daemon.record()
    assert record.server is not None
    daemon.folder.write_record(record._replace(server=record.server._replace(pid=stranger.pid)))
    Path(daemon.folder.pid).write_text(f"{stranger.pid}\n")


def test_a_stale_pid_file_naming_a_stranger(daemon: Daemon, stranger: Stranger) -> None:
    """paseo#1304, wazuh#38733: it neither stops the start nor kills the stranger."""
    forge(daemon, stranger)
    found = daemon.status()
    assert (found.state, found.pid) == (DaemonState.STOPPED, None)
    assert f"its pid {stranger.pid} belongs to another process" in found.detail
    assert daemon.start().pid != stranger.pid
    assert Path(daemon.folder.pid).read_text() != f"{stranger.pid}\n"
    daemon.stop()


def test_stop_with_a_stale_pid_file(daemon: Daemon, stranger: Stranger) -> None:
    forge(daemon, stranger)
    assert daemon.stop().state is DaemonState.STOPPED
    assert not Path(daemon.folder.pid).exists()


def test_a_pid_file_without_a_state_file(daemon: Daemon, stranger: Stranger) -> None:
    daemon.path.mkdir(parents=True)
    Path(daemon.folder.pid).write_text(f"{stranger.pid}\n")
    assert daemon.status().state is DaemonState.STOPPED
    daemon.start()
    daemon.stop()


def test_a_process_that_cannot_be_proved_is_left_alone(daemon: Daemon, stranger: Stranger) -> None:
    forge(daemon, stranger)
    record = daemon.record()
    found = identify(stranger.pid)
    assert found is not None
    assert record.server is not None
    doubtful = found._replace(argv=record.server.argv)
    daemon.folder.write_record(record._replace(server=doubtful))
    assert daemon.status().state is DaemonState.UNKNOWN
    for act in (daemon.start, daemon.stop):
        with pytest.raises(OpsError, match="cannot be proved"):
            act()


def test_after_a_reboot_a_daemon_is_stopped(daemon: Daemon, stranger: Stranger) -> None:
    daemon.start()
    daemon.kill_keeper()
    daemon.kill_server()
    before = "11111111-2222-3333-4444-555555555555"
    found = identify(stranger.pid)
    assert found is not None
    record = daemon.record()._replace(boot=before, server=found._replace(boot=before))
    daemon.folder.write_record(record)
    status = daemon.status()
    assert (status.state, status.pid, status.started_at) == (DaemonState.STOPPED, None, None)
    assert "restarted" in status.detail
    daemon.start()


def test_a_keeper_of_another_machine_is_not_touched(daemon: Daemon) -> None:
    """Two machines may share a home folder, and with it this lock."""
    daemon.path.mkdir(parents=True)
    lock = daemon.folder.become_keeper()
    assert lock is not None
    elsewhere = b'{"pid": 4711, "start": 1.0, "boot": "elsewhere", "argv": ""}'
    os.pwrite(lock, elsewhere, 0)
    try:
        assert daemon.status().state is DaemonState.UNKNOWN
        for act in (daemon.start, daemon.stop):
            with pytest.raises(OpsError, match="another container or machine"):
                act()
    finally:
        os.close(lock)
