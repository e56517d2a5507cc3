from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opsconsole.errors import OpsError
from opsconsole.logs import MAX_LINE, Follower, OlderLines

ROTATING_WRITER = """
import os, sys, time
path, total, rotations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
every = total // (rotations + 1)
for number in range(total):
    line = b"line %d\\n" % number
    half = number % 11
    os.write(fd, line[:half]); os.write(fd, line[half:])
    if number % every == every - 1 and rotations:
        rotations -= 1
        for index in range(40, 0, -1):
            if os.path.exists(f"{path}.{index}"):
                os.rename(f"{path}.{index}", f"{path}.{index + 1}")
        os.rename(path, path + ".1")
        # the server goes on writing to the old file until it is told
        os.write(fd, b"late %d\\n" % rotations)
        new = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.close(fd)
        fd = new
        if rotations % 3:
            time.sleep(0.01)
"""


def read_all(follower: Follower, until: int, seconds: float = 30) -> list[bytes]:
    """Lines until there are ``until`` of them."""
    lines: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(lines) < until:
        assert time.monotonic() < deadline, f"{len(lines)} of {until} lines"
        found = follower.read(4096)
        lines += found
        if not found:
            time.sleep(0.001)
    return lines


def test_twenty_rotations_under_a_writer_lose_nothing(tmp_path: Path) -> None:
    path, total, rotations = tmp_path / "log", 60_000, 20
    with Follower(path) as follower:
        writer = subprocess.Popen(
            [sys.executable, "-c", ROTATING_WRITER, str(path), str(total), str(rotations)]
        )
        try:
            lines = read_all(follower, total + rotations)
            assert writer.wait(10) == 0
        finally:
            writer.kill()
            writer.wait()
        assert follower.read() == []
    numbered = [line for line in lines if line.startswith(b"line")]
    assert numbered == [b"line %d" % number for number in range(total)]
    assert sum(line.startswith(b"late") for line in lines) == rotations


def test_rotations_between_two_reads_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0\n")
    with Follower(path, backlog=None) as follower:
        assert follower.read() == [b"0"]
        with path.open("ab") as old:
            old.write(b"1\n")
        for number in (2, 3, 4):
            for index in (3, 2, 1):
                source = tmp_path / f"log.{index}"
                if source.exists():
                    source.rename(tmp_path / f"log.{index + 1}")
            path.rename(tmp_path / "log.1")
            path.write_bytes(b"%d\n" % number)
        assert follower.read() == [b"1", b"2", b"3", b"4"]


def test_lines_written_after_the_new_file_appeared_still_come(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")
    with path.open("ab", buffering=0) as writer, Follower(path) as follower:
        path.rename(tmp_path / "log.1")
        path.write_bytes(b"new\n")  # the keeper made it; the writer does not know yet
        assert follower.read() == [b"new"]
        writer.write(b"late\n")
        assert follower.read() == [b"late"]


def test_a_line_that_rotation_cut_short_comes_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")
    with Follower(path, linger=0.0) as follower:
        path.write_bytes(b"cut sho")
        assert follower.read() == []
        path.rename(tmp_path / "log.1")
        path.write_bytes(b"new\n")
        assert sorted(follower.read() + follower.read()) == [b"cut sho", b"new"]


def test_the_backlog_comes_first_and_no_line_twice(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthree\npart")
    with Follower(path, backlog=2) as follower:
        with path.open("ab") as writer:
            writer.write(b"ial\n")
        assert follower.read() == [b"two", b"three", b"partial"]
        older = OlderLines(path, follower.origin)
        assert older.read(5) == [b"one"]
        assert older.read(5) == []


def test_without_a_backlog_only_new_lines_come(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\nha")
    with Follower(path) as follower:
        with path.open("ab") as writer:
            writer.write(b"lf\nnew\n")
        assert follower.read() == [b"half", b"new"]


def test_a_file_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Follower(path) as follower:
        assert follower.read() == []
        path.write_bytes(b"first\n")
        assert follower.read() == [b"first"]


def test_truncation_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\nb\n")
    with Follower(path, backlog=None) as follower:
        assert follower.read() == [b"a", b"b"]
        os.truncate(path, 0)
        assert follower.read() == []
        with path.open("ab") as writer:
            writer.write(b"c\n")
        assert follower.read() == [b"c"]


def test_truncation_is_seen_when_the_file_has_outgrown_the_old_place(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old line\n")
    with Follower(path, backlog=None) as follower:
        assert follower.read() == [b"old line"]
        with path.open("r+b") as writer:
            writer.truncate(0)
            writer.write(b"new line 1\nnew line 2\n")
        assert follower.read() == [b"new line 1", b"new line 2"]


def test_deletion_and_creation_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    stale = tmp_path / "log.1"
    stale.write_bytes(b"stale\n")
    os.utime(stale, (1, 1))
    path.write_bytes(b"a\n")
    with Follower(path, backlog=None) as follower:
        assert follower.read() == [b"a"]
        with path.open("ab") as writer:
            writer.write(b"b\n")
            writer.flush()
            path.unlink()
            assert follower.read() == [b"b"]
        path.write_bytes(b"c\n")
        assert follower.read() == [b"c"]


def test_long_lines_come_in_pieces_and_odd_bytes_untouched(tmp_path: Path) -> None:
    path = tmp_path / "log"
    huge = b"z" * (2 * MAX_LINE + 10)
    path.write_bytes(huge + b"\n\x00\xff\x1b[2J\r\n")
    with Follower(path, backlog=None) as follower:
        lines = read_all(follower, 4)
    assert [len(line) for line in lines[:3]] == [MAX_LINE, MAX_LINE, 10]
    assert lines[3] == b"\x00\xff\x1b[2J\r"


def test_an_endless_line_is_not_held_back_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"q" * (MAX_LINE + 5))
    with Follower(path, backlog=None) as follower:
        assert [len(line) for line in read_all(follower, 1)] == [MAX_LINE]


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1234567\n" * 1000)
    with Follower(path, backlog=None) as follower:
        assert len(follower.read(800)) == 100


def test_older_lines_go_on_into_rotated_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    (tmp_path / "log.2").write_bytes(b"1\n2\n")
    (tmp_path / "log.1").write_bytes(b"3\n")
    path.write_bytes(b"4\n5\n")
    with Follower(path, backlog=1) as follower:
        older = OlderLines(path, follower.origin)
        assert older.read(10) == [b"4"]
        # a rotation while somebody pages back
        (tmp_path / "log.2").rename(tmp_path / "log.3")
        (tmp_path / "log.1").rename(tmp_path / "log.2")
        path.rename(tmp_path / "log.1")
        path.write_bytes(b"6\n")
        assert older.read(10) == [b"3"]
        assert older.read(1) == [b"2"]
        assert older.read(1) == [b"1"]
        assert older.read(1) == []


def test_nothing_is_older_than_a_log_that_was_not_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Follower(path, backlog=10) as follower:
        path.write_bytes(b"1\n2\n")
        assert follower.read() == [b"1", b"2"]
        assert OlderLines(path, follower.origin).read(10) == []


def test_a_log_that_was_just_rotated_away_is_older(tmp_path: Path) -> None:
    path = tmp_path / "log"
    (tmp_path / "log.1").write_bytes(b"1\n2\n")
    with Follower(path, backlog=10) as follower:
        path.write_bytes(b"3\n")
        assert follower.read() == [b"3"]
        assert OlderLines(path, follower.origin).read(10) == [b"1", b"2"]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="not a regular file"):
        Follower(tmp_path)
