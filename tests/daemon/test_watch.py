"""How the end of a server is seen, on systems that can look without reaping and on others."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opsconsole.daemon.exits import Exit, backoff
from opsconsole.daemon.identity import identify, read_stat
from opsconsole.daemon.spawn import spawn
from opsconsole.daemon.watch import Child
from tests.daemon.bed import alive, until

# A keeper has one thread; a test runner may have more, which Python 3.12 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(params=["waitid", "waitpid"])
def begin(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], Child]]:
    """Starts Python code as a keeper starts a server. It runs once its process is identified."""
    if request.param == "waitpid":
        monkeypatch.delattr(os, "waitid")
    made: list[Child] = []

    def start(code: str) -> Child:
        gate = tmp_path / f"gate-{len(made)}"
        os.mkfifo(gate)
        log = os.open(os.devnull, os.O_WRONLY)
        argv = [sys.executable, "-S", "-c", f"open({str(gate)!r}).read()\n{code}"]
        pid = spawn(argv, os.environ, log, lambda pid: None)
        os.close(log)
        identity = identify(pid)
        assert identity is not None
        made.append(Child(identity))
        gate.open("w").close()
        return made[-1]

    yield start
    for child in made:
        child.send(signal.SIGKILL)
        until("its end", child.ended)
        child.release()
        assert read_stat(child.identity.pid) is None


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        ("raise SystemExit(3)", Exit(code=3), "exit 3"),
        ("", Exit(code=0), "exit 0"),
        ("import os; os.kill(os.getpid(), 9)", Exit(signum=9), "signal 9 (SIGKILL)"),
        ("import os; os.kill(os.getpid(), 34)", Exit(signum=34), "signal 34 (SIGRTMIN)"),
    ],
)
def test_how_a_child_ended(
    begin: Callable[[str], Child], code: str, expected: Exit, words: str
) -> None:
    child = begin(code)
    found = until("its end", child.ended)
    assert found == expected
    assert child.ended() == expected  # and again
    assert str(found) == words


def test_a_living_child(begin: Callable[[str], Child]) -> None:
    child = begin("import time; time.sleep(3600)")
    assert child.ended() is None
    assert alive(child.identity.pid)
    assert os.getsid(child.identity.pid) == child.identity.pid
    assert child.send(signal.SIGTERM)
    assert until("its end", child.ended) == Exit(signum=signal.SIGTERM)
    assert not child.send(signal.SIGTERM)


def test_unknown_ends_have_words() -> None:
    assert str(Exit()) == "unknown exit"
    assert str(Exit(signum=255)) == "signal 255"
    assert not Exit().clean


def test_the_pid_is_told_before_the_program_begins(
    tmp_path: Path,
) -> None:
    marker = tmp_path / "begun"
    log = os.open(os.devnull, os.O_WRONLY)
    seen: list[tuple[int, bool, bool]] = []

    def record(pid: int) -> None:
        seen.append((pid, alive(pid), marker.exists()))

    pid = spawn(["/bin/touch", str(marker)], os.environ, log, record)
    os.close(log)
    os.waitpid(pid, 0)
    assert seen == [(pid, True, False)]
    assert marker.exists()


def test_a_server_whose_keeper_dies_before_it_is_recorded_never_begins(
    tmp_path: Path,
) -> None:
    marker = tmp_path / "begun"
    told, tell = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            log = os.open(os.devnull, os.O_WRONLY)

            def die(pid: int) -> None:
                os.write(tell, str(pid).encode())
                os.kill(os.getpid(), signal.SIGKILL)

            spawn(["/bin/touch", str(marker)], os.environ, log, die)
        finally:
            os._exit(1)
    os.close(tell)
    server = int(os.read(told, 20))
    os.close(told)
    os.waitpid(keeper, 0)
    until("the end of what would have been the server", lambda: not alive(server))
    assert not marker.exists()


def test_a_program_that_cannot_be_started() -> None:
    log = os.open(os.devnull, os.O_WRONLY)
    descriptors = set(os.listdir("/proc/self/fd"))
    pids: list[int] = []
    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        spawn(["/no/such/program"], os.environ, log, pids.append)
    assert set(os.listdir("/proc/self/fd")) == descriptors
    os.close(log)
    assert read_stat(pids[0]) is None  # nothing is left to reap


@pytest.mark.parametrize(
    ("failures", "delay"), [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (4000, 60.0)]
)
def test_the_backoff(failures: int, delay: float) -> None:
    delays = [backoff(1.0, failures, 60.0) for _ in range(200)]
    assert 0.9 * delay <= min(delays) < 0.95 * delay
    assert 1.05 * delay < max(delays) <= 1.1 * delay
