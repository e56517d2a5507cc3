"""What a keeper costs, and how it lives beside its server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opsconsole.daemon import notes
from opsconsole.daemon.states import DaemonState
from tests.daemon.bed import Daemon, until

HEAVY = {
    "asyncio", "click", "ctypes", "dataclasses", "email", "hashlib", "http", "httpx", "inspect",
    "logging", "msgspec", "pathlib", "platformdirs", "psutil", "random", "ssl", "subprocess",
    "tempfile", "textual", "threading", "torch", "traceback", "urllib", "yaml",
}  # fmt: skip


def imported(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after ``statement``."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    # -S: a .pth file of some installed package must not decide this.
    package = Path(notes.__file__).parents[2]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(package), *sys.path])}
    command = [sys.executable, "-S", "-c", code]
    return set(subprocess.check_output(command, text=True, env=environ, cwd="/").split())


def test_a_keeper_imports_nothing_heavy() -> None:
    names = imported("import opsconsole.daemon.keeper")
    assert not HEAVY & names
    assert {name for name in names if name.startswith("opsconsole")} == {
        "opsconsole",
        "opsconsole.errors",
        "opsconsole.daemon",
        *(
            f"opsconsole.daemon.{name}"
            for name in (
                "exits", "folder", "group", "identity", "journal", "keeper", "logfile", "notes",
                "probe", "record", "spawn", "states", "supervise", "watch",
            )
        ),
    }  # fmt: skip


def test_a_status_imports_nothing_heavy() -> None:
    names = imported("import opsconsole.daemon.observe")
    wrong = {"asyncio", "click", "httpx", "psutil", "subprocess", "textual", "torch", "yaml"}
    assert not wrong & names


def test_a_living_keeper_is_small_and_idle(daemon: Daemon) -> None:
    daemon.runs(probe_interval=2.0).start()
    pid = daemon.keeper().pid
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    assert resident < 20_000  # kB
    before, began = switches(pid), time.monotonic()
    time.sleep(1.0)  # what is measured is that nothing happens
    woken = (switches(pid) - before) / (time.monotonic() - began)
    assert woken < 20  # a busy loop would wake thousands of times a second


def switches(pid: int) -> int:
    """How often a process has given up the processor."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)


def test_a_keeper_holds_nothing_of_its_launcher(daemon: Daemon) -> None:
    daemon.start()
    pid = daemon.keeper().pid
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    ours = {name for name in held if not name.startswith(("pipe:", "socket:"))}
    assert ours == {os.devnull, daemon.folder.keeper_log, daemon.folder.keeper_lock}
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[4]) == 0  # no controlling terminal


def test_descriptors_do_not_pile_up(daemon: Daemon) -> None:
    daemon.runs(start_limit=100, backoff=0.01, backoff_max=0.02, probe_interval=0.01).start()
    folder = f"/proc/{daemon.keeper().pid}/fd"
    counts = []
    for number in range(1, 7):
        daemon.kill_server()
        daemon.restarted(number)
        counts.append(len(os.listdir(folder)))
    assert max(counts) - min(counts) <= 1  # a probe may be in flight


def test_the_notes_are_bounded(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.path.mkdir(parents=True)
    Path(daemon.folder.keeper_log).write_bytes(b"x" * (notes.MAX_BYTES + 1))
    daemon.start()
    assert (daemon.path / "keeper.log.1").stat().st_size == notes.MAX_BYTES + 1
    assert "started process" in daemon.notes()
    assert "x" not in daemon.notes()[:10]


def test_hangup_and_the_like_do_not_end_a_keeper(daemon: Daemon) -> None:
    daemon.start()
    keeper = daemon.keeper()
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2, signal.SIGUSR1):
        os.kill(keeper.pid, number)
    daemon.kill_server()  # it still does its work
    assert daemon.restarted(1).keeper_pid == keeper.pid


def test_interrupt_to_a_keeper_stops_the_daemon(daemon: Daemon) -> None:
    daemon.start()
    os.kill(daemon.keeper().pid, signal.SIGINT)
    assert daemon.reaches(DaemonState.STOPPED).last_exit == "exit 0"
    assert daemon.processes() == []


def test_a_servers_signals_are_the_defaults_again(daemon: Daemon) -> None:
    """An ignored signal would be inherited: the server could not be hung up, or piped."""
    daemon.spec = daemon.spec._replace(argv=["/bin/sleep", "3600"])
    daemon.start(wait=False)
    pid = until("a server", lambda: p[0] if (p := daemon.processes()) else None)
    until("its program", lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    lines = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert int(lines["SigIgn"], 16) == 0
    assert int(lines["SigBlk"], 16) == 0
