"""The keeper rotates; the server appends and reopens. No line is lost, none doubled."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from opsconsole.daemon import logfile
from opsconsole.daemon.states import DaemonState
from tests.daemon.bed import Daemon, until


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"^line (\d+)$", text, re.MULTILINE)]


def flooded(daemon: Daemon, lines: int) -> None:
    """Wait until the server has written its last line, and the files hold still."""
    last = [f"line {lines}"]
    until("the flood's end", lambda: logfile.last_lines(daemon.folder.log, 1) == last)

    def settled() -> bool:
        size = logfile.size(daemon.folder.log)
        return size is not None and size <= daemon.spec.log_max_bytes

    if daemon.status().ready:
        until("the last rotation", settled)


def test_many_rotations_under_a_flood(daemon: Daemon) -> None:
    lines = 40_000
    daemon.runs("--flood", str(lines), log_max_bytes=8_000, log_keep=500, probe_interval=0.01)
    pid = daemon.start().pid
    flooded(daemon, lines)
    rotated = len(list(daemon.path.glob("server.log.*")))
    assert rotated >= 8  # a keeper that seldom gets a core rotates less often
    assert numbers(daemon.log()) == list(range(1, lines + 1))
    found = daemon.status()
    assert (found.pid, found.restarts) == (pid, 0)


def test_only_so_many_are_kept(daemon: Daemon) -> None:
    daemon.runs("--flood", "20000", log_max_bytes=5_000, log_keep=2, probe_interval=0.01).start()
    flooded(daemon, 20_000)
    names = {path.name for path in daemon.path.glob("server.log*")}
    assert names == {"server.log", "server.log.1", "server.log.2"}
    kept = numbers(daemon.log())
    assert kept == list(range(kept[0], 20_001))  # what is dropped is the oldest, without a hole


def test_a_server_that_was_never_ready_is_not_signalled(daemon: Daemon) -> None:
    """Until it has set up its handler, SIGUSR1 would kill it."""
    habits = ["--never-ready", "--flood", "2000"]
    daemon.runs(*habits, log_max_bytes=1_000).start(wait=False)
    flooded(daemon, 2_000)
    until("some probes", lambda: "503" in daemon.status().detail)
    assert not list(daemon.path.glob("server.log.*"))
    assert daemon.status().restarts == 0


def test_a_log_that_is_too_large_is_rotated_before_a_start(daemon: Daemon) -> None:
    daemon.path.mkdir(parents=True)
    Path(daemon.folder.log).write_text("before\n" * 1000)
    daemon.runs(log_max_bytes=5_000).start()
    assert (daemon.path / "server.log.1").read_text() == "before\n" * 1000
    assert Path(daemon.folder.log).read_text().startswith("begun by")


def test_a_small_log_is_continued(daemon: Daemon) -> None:
    daemon.start()
    daemon.stop()
    daemon.start()
    assert daemon.log().count("begun by") == 2
    assert not list(daemon.path.glob("server.log.*"))


def test_a_rotation_that_a_keeper_did_not_survive_is_finished(daemon: Daemon) -> None:
    """The keeper died between the rename and the signal; the next one asks for the new file."""
    daemon.start()
    daemon.kill_keeper()
    os.replace(daemon.folder.log, f"{daemon.folder.log}.1")
    daemon.start()
    until("a new log", lambda: Path(daemon.folder.log).exists())
    assert os.readlink(f"/proc/{daemon.server().pid}/fd/1") == daemon.folder.log
    assert daemon.status().state is DaemonState.RUNNING


def test_an_adopted_server_that_was_never_ready_is_not_signalled(daemon: Daemon) -> None:
    daemon.runs("--never-ready").start(wait=False)
    until("a probe", lambda: "503" in daemon.status().detail)
    daemon.kill_keeper()
    os.replace(daemon.folder.log, f"{daemon.folder.log}.1")
    daemon.start(wait=False)
    until("a probe", lambda: "adopted" not in daemon.status().detail)
    assert not Path(daemon.folder.log).exists()


def test_the_renaming_chain(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    for text in "abcd":
        log.write_text(text)
        logfile.rotate(str(log), 3)
    assert [(tmp_path / f"server.log.{n}").read_text() for n in (1, 2, 3)] == ["d", "c", "b"]
    assert not log.exists()
    log.write_text("e")
    (tmp_path / "server.log.1").unlink()
    logfile.rotate(str(log), 3)
    assert [(tmp_path / f"server.log.{n}").read_text() for n in (1, 3)] == ["e", "c"]
    with pytest.raises(FileNotFoundError):
        logfile.rotate(str(log), 3)


def test_last_lines_reach_into_the_file_before(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    (tmp_path / "server.log.1").write_bytes(b"one\ntwo\n\xff\n")
    log.write_bytes(b"three\n\nfour")
    assert logfile.last_lines(str(log), 4) == ["two", "\ufffd", "three", "four"]
    assert logfile.last_lines(str(log), 2) == ["three", "four"]
    assert logfile.last_lines(str(tmp_path / "none"), 2) == []
    log.write_bytes(b"x" * 1_000_000)
    assert logfile.last_lines(str(log), 1) == ["x" * 65_536]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], ""),
        (["a", "b"], "b"),
        (["RuntimeError: out of memory", "bye"], "RuntimeError: out of memory"),
        (['{"level":"error","message":"no model"}', '{"level":"info","message":"x"}'], "no model"),
        (['{"level":"info","message":"x"}'], "x"),
        (['{"broken'], '{"broken'),
        (["[1]"], "[1]"),
    ],
)
def test_a_servers_own_words(lines: list[str], reason: str) -> None:
    assert logfile.reason(lines) == reason


def test_the_signal_to_reopen_goes_to_the_server_alone(daemon: Daemon) -> None:
    """Its children need not handle it."""
    daemon.runs("--plain-child", "--flood", "4000", log_max_bytes=1_000, log_keep=300)
    daemon.start()
    flooded(daemon, 4_000)
    until("a rotation", lambda: list(daemon.path.glob("server.log.*")))
    assert len(daemon.processes()) == 2  # the signal's default action would have ended the child
