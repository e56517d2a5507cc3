"""Start, crash, restart, stop: what a keeper does with a server that behaves badly."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconsole.daemon.states import DaemonState
from opsconsole.errors import OpsError
from tests.daemon.bed import Daemon, alive, until


def test_start_runs_a_server_that_is_ready_and_detached(daemon: Daemon) -> None:
    found = daemon.start()
    assert found.state is DaemonState.RUNNING
    assert found.ready
    assert found.pid is not None
    assert found.keeper_pid is not None
    assert (found.restarts, found.last_exit, found.survivors) == (0, None, [])
    assert os.getsid(found.pid) == found.pid
    assert os.getsid(found.keeper_pid) == os.getpgid(found.keeper_pid) == found.keeper_pid
    assert Path(daemon.folder.pid).read_text() == f"{found.pid}\n"
    assert os.readlink(f"/proc/{found.pid}/fd/0") == os.devnull
    assert os.readlink(f"/proc/{found.pid}/fd/1") == daemon.folder.log
    assert os.readlink(f"/proc/{found.pid}/cwd") == "/"
    descriptors = {os.readlink(f"/proc/{found.pid}/fd/{fd}") for fd in (0, 1, 2)}
    assert descriptors == {os.devnull, daemon.folder.log}
    assert f"begun by odd, process {found.pid}" in daemon.log()


def test_files_are_private(daemon: Daemon) -> None:
    daemon.start()
    assert daemon.path.stat().st_mode & 0o777 == 0o700
    for path in daemon.path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_start_again_changes_nothing(daemon: Daemon) -> None:
    first = daemon.start()
    assert daemon.start() == first


def test_stop_ends_server_and_keeper(daemon: Daemon) -> None:
    daemon.start()
    keeper, server = daemon.keeper(), daemon.server()
    found = daemon.stop()
    assert found.state is DaemonState.STOPPED
    assert (found.pid, found.keeper_pid, found.survivors) == (None, None, [])
    assert found.last_exit == "exit 0"
    assert not alive(keeper.pid)
    assert not alive(server.pid)
    assert not Path(daemon.folder.pid).exists()
    assert daemon.stop().state is DaemonState.STOPPED


def test_stop_of_what_never_ran(daemon: Daemon) -> None:
    assert daemon.stop().state is DaemonState.STOPPED
    assert not daemon.path.exists()


def test_a_killed_server_comes_back_after_a_visible_backoff(daemon: Daemon) -> None:
    daemon.runs(backoff=1.5).start()
    killed_at, killed = time.time(), daemon.kill_server()
    waiting = daemon.reaches(DaemonState.BACKOFF)
    assert waiting.pid is None
    assert waiting.last_exit == "signal 9 (SIGKILL)"
    assert "signal 9" in waiting.detail
    assert waiting.backoff_until is not None
    assert killed_at < waiting.backoff_until <= time.time() + 1.65
    back = daemon.reaches(DaemonState.RUNNING)
    assert back.pid not in (None, killed.pid)
    assert back.restarts == 1
    assert back.last_exit == "signal 9 (SIGKILL)"
    assert back.backoff_until is None


def pauses(daemon: Daemon) -> list[float]:
    """The backoffs that the keeper has decided on, seconds."""
    found = re.findall(r"starting again in ([\d.]+) s", daemon.notes())
    return [float(seconds) for seconds in found]


def test_the_backoff_doubles(daemon: Daemon, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    daemon.runs("--crash-unless", str(mended), backoff=0.02, backoff_max=0.1, start_limit=50)
    daemon.start(wait=False)
    until("five restarts", lambda: daemon.status().restarts >= 5)
    mended.touch()
    daemon.reaches(DaemonState.RUNNING)
    for pause, expected in zip(pauses(daemon), [0.02, 0.04, 0.08, 0.1, 0.1], strict=False):
        assert pause == pytest.approx(expected, rel=0.11)


@pytest.mark.parametrize(("stable", "second"), [(0.0, 0.05), (60.0, 0.1)])
def test_a_server_that_was_stable_waits_the_first_backoff(
    daemon: Daemon, stable: float, second: float
) -> None:
    daemon.runs(backoff=0.05, stable=stable).start()
    for number in (1, 2):
        daemon.kill_server()
        daemon.restarted(number)
    assert pauses(daemon) == pytest.approx([0.05, second], rel=0.11)


def test_a_crash_is_seen_at_once(daemon: Daemon) -> None:
    """Not when the next health check is due."""
    daemon.runs(probe_interval=60.0, backoff=60.0).start()
    daemon.kill_server()
    daemon.reaches(DaemonState.BACKOFF, seconds=30)


def test_start_cuts_a_long_backoff_short(daemon: Daemon) -> None:
    daemon.runs(backoff=60.0).start()
    daemon.kill_server()
    daemon.reaches(DaemonState.BACKOFF)
    assert daemon.start().restarts == 1


def test_a_server_that_keeps_crashing_is_given_up(daemon: Daemon, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    daemon.runs("--crash-unless", str(mended), start_limit=3, backoff=0.02)
    with pytest.raises(OpsError, match="3 starts in 600 s, the last: exit 1: error: it crashed"):
        daemon.start()
    found = daemon.status()
    assert found.state is DaemonState.FATAL
    assert found.keeper_pid is None
    assert found.restarts == 2
    assert "| error: it crashed" in daemon.notes()
    mended.touch()
    again = daemon.start()
    assert (again.state, again.restarts) == (DaemonState.RUNNING, 0)


def test_an_error_that_no_start_mends_is_fatal_at_once(daemon: Daemon) -> None:
    say = '{"level": "error", "message": "no such model: /m\x1b]52;c;x\x07"}'
    daemon.runs("--say", say, "--exit", "78", restart="always")
    with pytest.raises(OpsError, match="no such model: /m") as caught:
        daemon.start()
    assert "\x1b" not in caught.value.what
    found = daemon.status()
    assert (found.state, found.last_exit, found.restarts) == (DaemonState.FATAL, "exit 78", 0)


def test_a_program_that_is_not_there_is_fatal(daemon: Daemon) -> None:
    daemon.spec = daemon.spec._replace(argv=["/no/such/python"])
    with pytest.raises(OpsError, match="cannot start /no/such/python: No such file"):
        daemon.start()
    assert daemon.status().state is DaemonState.FATAL


@pytest.mark.parametrize(
    ("policy", "code", "state"),
    [
        ("on-failure", "0", DaemonState.EXITED),
        ("never", "3", DaemonState.EXITED),
        ("always", "0", DaemonState.FATAL),
        ("on-failure", "3", DaemonState.FATAL),
    ],
)
def test_restart_policies(daemon: Daemon, policy: str, code: str, state: DaemonState) -> None:
    daemon.runs("--exit", code, restart=policy, start_limit=2, backoff=0.02)
    with pytest.raises(OpsError):
        daemon.start()
    found = daemon.status()
    assert (found.state, found.last_exit) == (state, f"exit {code}")
    assert found.restarts == (1 if state is DaemonState.FATAL else 0)


def test_a_server_that_ends_by_itself_has_exited(daemon: Daemon, tmp_path: Path) -> None:
    daemon.runs("--exit-when", str(tmp_path / "end")).start()
    (tmp_path / "end").touch()
    found = daemon.reaches(DaemonState.EXITED)
    assert found.last_exit == "exit 0"
    assert not found.ready


def test_a_server_that_never_gets_ready_is_a_failed_start(daemon: Daemon) -> None:
    daemon.runs("--never-ready", start_timeout=0.3, start_limit=2, backoff=0.02)
    with pytest.raises(OpsError, match=r"2 starts in 600 s, the last: not ready within 0\.3 s"):
        daemon.start(timeout=60)
    assert daemon.status().state is DaemonState.FATAL
    assert daemon.processes() == []


def test_start_does_not_wait_for_ever(daemon: Daemon) -> None:
    daemon.runs("--never-ready")
    with pytest.raises(OpsError, match=r"not ready after 1\.5 s: starting, HTTP 503 loading"):
        daemon.start(timeout=1.5)
    assert daemon.status().state is DaemonState.STARTING


@pytest.mark.parametrize("habit", ["--sick-while", "--hang-while"])
def test_a_sick_server_is_unready_and_not_restarted(
    daemon: Daemon, tmp_path: Path, habit: str
) -> None:
    sick = tmp_path / "sick"
    pid = daemon.runs(habit, str(sick), probe_timeout=0.1).start().pid
    sick.touch()
    found = daemon.reaches(DaemonState.UNREADY)
    assert not found.ready
    assert found.detail in ("HTTP 503 loading", "no answer within 0.1 s")
    sick.unlink()
    found = daemon.reaches(DaemonState.RUNNING)
    assert (found.pid, found.restarts, found.ready) == (pid, 0, True)


def sockets(pid: int) -> set[str]:
    """The open sockets of a process."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return {name for name in found if name.startswith("socket:")}


def lasts(pid: int, found: set[str]) -> bool:
    """Whether they are still open later than a probe that is answered would be."""
    time.sleep(0.3)
    return sockets(pid) == found


def test_stop_while_the_server_hangs_does_not_wait_for_the_probe(
    daemon: Daemon, tmp_path: Path
) -> None:
    hang = tmp_path / "hang"
    daemon.runs("--hang-while", str(hang), probe_timeout=60.0).start()
    hang.touch()
    keeper = daemon.keeper().pid
    until("a probe that hangs", lambda: (found := sockets(keeper)) and lasts(keeper, found))
    began = time.monotonic()
    assert daemon.stop().state is DaemonState.STOPPED
    assert time.monotonic() - began < 30


def test_stop_during_backoff_starts_nothing(daemon: Daemon) -> None:
    daemon.runs(backoff=1.0).start()
    daemon.kill_server()
    daemon.reaches(DaemonState.BACKOFF)
    assert daemon.stop().state is DaemonState.STOPPED
    time.sleep(1.2)  # longer than the backoff
    assert daemon.status().state is DaemonState.STOPPED
    assert daemon.processes() == []


def test_stop_during_starting_is_not_made_to_wait(daemon: Daemon) -> None:
    daemon.runs("--never-ready", start_timeout=60.0)
    errors: list[OpsError] = []

    def starts() -> None:
        try:
            daemon.start()
        except OpsError as error:
            errors.append(error)

    waiting = threading.Thread(target=starts)
    waiting.start()
    daemon.reaches(DaemonState.STARTING)
    until("a server", daemon.processes)
    began = time.monotonic()
    assert daemon.stop().state is DaemonState.STOPPED
    assert time.monotonic() - began < 30
    waiting.join(30)
    assert not waiting.is_alive()
    assert "stopped while it started" in errors[0].what
    assert daemon.processes() == []


def test_stop_ends_the_whole_group(daemon: Daemon) -> None:
    """process-compose#520, circus#1044: the leader obeys TERM, its child lives on."""
    daemon.runs("--child", stop_grace=0.3).start()
    both = until("leader and child", lambda: p if len(p := daemon.processes()) == 2 else None)
    found = daemon.stop()
    assert found.state is DaemonState.STOPPED
    assert found.last_exit == "exit 0"
    assert not any(alive(pid) for pid in both)


def test_stop_shows_who_is_still_to_end(daemon: Daemon) -> None:
    """process-compose#354."""
    daemon.runs("--child", "--ignore-term", stop_grace=2.0).start()
    both = until("leader and child", lambda: p if len(p := daemon.processes()) == 2 else None)
    stopping = threading.Thread(target=daemon.stop)
    stopping.start()
    found = until("survivors", lambda: s if len((s := daemon.status()).survivors) == 2 else None)
    assert found.state is DaemonState.STOPPING
    assert sorted(found.survivors) == sorted(both)
    assert daemon.record().desired == "stopped"
    stopping.join(60)
    assert not stopping.is_alive()
    assert daemon.status().last_exit == "signal 9 (SIGKILL)"
    assert not any(alive(pid) for pid in both)


def test_stop_with_a_grace_period_of_its_own(daemon: Daemon) -> None:
    daemon.runs("--ignore-term", stop_grace=60.0).start()
    began = time.monotonic()
    assert daemon.stop(grace=0.2).state is DaemonState.STOPPED
    assert 0.2 <= time.monotonic() - began < 30


def test_stop_ends_a_server_that_is_suspended(daemon: Daemon) -> None:
    daemon.runs(stop_grace=30.0).start()
    os.kill(daemon.server().pid, signal.SIGSTOP)
    began = time.monotonic()
    found = daemon.stop()
    assert found.last_exit == "exit 0"
    assert time.monotonic() - began < 25


def test_a_crash_takes_the_servers_children_with_it(daemon: Daemon) -> None:
    """circus#831: a restart beside the children of the life before leaks them."""
    daemon.runs("--child", stop_grace=0.2).start()
    before = until("leader and child", lambda: p if len(p := daemon.processes()) == 2 else None)
    daemon.kill_server()
    daemon.restarted(1)
    assert not any(alive(pid) for pid in before)
    until("leader and child", lambda: len(daemon.processes()) == 2)


def test_a_restart_is_a_new_process(daemon: Daemon) -> None:
    first = daemon.start()
    daemon.stop()
    second = daemon.start()
    assert second.pid != first.pid
    assert second.restarts == 0


def test_two_starts_at_once_make_one_server(daemon: Daemon) -> None:
    found: list[int | None] = []
    threads = [threading.Thread(target=lambda: found.append(daemon.start().pid)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(daemon.processes()) == 1
    assert daemon.log().count("begun by") == 1


def test_the_environment_is_the_callers_with_the_specs_on_top(
    make_daemon: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "kept")
    monkeypatch.setenv("OF_BOTH", "caller")
    first = make_daemon("first").runs("--environment", "OF_THE_CALLER")
    first.start()
    assert "OF_THE_CALLER=kept" in first.log()
    second = make_daemon("second").runs("--environment", "OF_BOTH", env={"OF_BOTH": "spec"})
    second.start()
    assert "OF_BOTH=spec" in second.log()


def test_another_program_that_answers_is_not_taken_for_the_server(
    make_daemon: Callable[..., Daemon],
) -> None:
    other = make_daemon("other")
    other.start()
    daemon = make_daemon("daemon").runs()
    # Its health is asked for where the other answers, as if the other had come in between.
    daemon.spec = daemon.spec._replace(port=other.port, env={"HOST": "127.0.0.9"})
    with pytest.raises(OpsError, match=f"answered by another process, {other.server().pid}"):
        daemon.start(timeout=2.0)
