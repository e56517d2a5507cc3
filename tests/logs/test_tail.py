from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsconsole.errors import OpsError
from opsconsole.logs import (
    MAX_LINE,
    Pattern,
    find_backward,
    find_forward,
    read_before,
    read_tail,
    tail,
)

LINES = st.lists(
    st.one_of(st.binary(max_size=40), st.integers(0, 90_000).map(lambda n: b"y" * n)).map(
        lambda line: line.replace(b"\n", b"").replace(b"\r", b"")
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=LINES, newline_at_end=st.booleans(), count=st.integers(0, 35))
def test_tail_is_the_end_of_splitlines(
    tmp_path: Path, lines: list[bytes], newline_at_end: bool, count: int
) -> None:
    path = tmp_path / "log"
    data = b"\n".join(lines) + (b"\n" if newline_at_end and lines else b"")
    path.write_bytes(data)
    expected = data.splitlines()
    assert tail(path, count) == (expected[-count:] if count else [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=LINES, count=st.integers(1, 7))
def test_pages_backwards_give_the_whole_file(
    tmp_path: Path, lines: list[bytes], count: int
) -> None:
    path = tmp_path / "log"
    data = b"".join(line + b"\n" for line in lines)
    path.write_bytes(data)
    page = read_tail(path, count)
    collected = page.lines
    while page.start > 0:
        assert data[page.start - 1 : page.start] == b"\n"
        page = read_before(path, page.start, count)
        collected = page.lines + collected
    assert collected == data.splitlines()


def test_a_line_over_a_megabyte_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log"
    huge = bytes(range(33, 127)) * 30_000
    path.write_bytes(b"first\n" + huge + b"\nlast\n")
    page = read_tail(path, 100)
    assert page.lines[0] == b"first"
    assert page.lines[-1] == b"last"
    assert b"".join(page.lines[1:-1]) == huge
    assert all(len(line) <= MAX_LINE for line in page.lines)
    # a page that begins inside the long line says where, so that the next page ends there
    part = read_tail(path, 2)
    assert part.lines[-1] == b"last"
    rest = read_before(path, part.start, 100)
    assert rest.lines[0] == b"first"
    assert b"".join(rest.lines[1:]) + part.lines[0] == huge


def test_a_huge_file_without_a_line_end_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as stream:
        stream.truncate(3 << 30)
    lines = tail(path, 10)
    assert len(lines) == 10
    assert 9 * MAX_LINE < sum(map(len, lines)) <= 10 * MAX_LINE


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="no log yet"):
        tail(tmp_path / "missing", 5)
    with pytest.raises(OpsError, match="not a regular file"):
        tail(tmp_path, 5)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OpsError, match="not a regular file"):
        tail(tmp_path / "pipe", 5)


@pytest.fixture(params=["literal", "regex", "json"])
def searched(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Pattern, list[int]]:
    """A file of 3 MB, a pattern, and the numbers of the lines that match it."""
    path = tmp_path / "log"
    hits = [0, 17, 9_999, 39_999]
    if request.param == "json":
        pattern = Pattern("needle=7")
        good = b'{"time":1,"level":"info","message":"m","needle":7}'
        other = (
            b'{"time":1,"level":"info","message":"m","needle":8,"pad":"........................."}'
        )
    else:
        pattern = Pattern("needle" if request.param == "literal" else "n[e]{2}dle$")
        good, other = b"the NEEDLE", b"hay " * 20
    with path.open("wb") as stream:
        for number in range(40_000):
            stream.write((good if number in hits else other) + b"\n")
    return path, pattern, hits


def test_searching_a_file_finds_every_match_both_ways(
    searched: tuple[Path, Pattern, list[int]],
) -> None:
    path, pattern, hits = searched
    data = path.read_bytes()
    starts = []
    offset = 0
    while (found := find_forward(path, pattern, offset)) is not None:
        assert data[found.offset :].startswith(found.line + b"\n")
        starts.append(data.count(b"\n", 0, found.offset))
        offset = found.offset + len(found.line) + 1
    assert starts == hits
    starts = []
    offset = len(data)
    while (found := find_backward(path, pattern, offset)) is not None:
        assert data[found.offset :].startswith(found.line + b"\n")
        starts.append(data.count(b"\n", 0, found.offset))
        offset = found.offset
    assert starts == hits[::-1]


def test_a_search_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"hit\n")
    assert find_forward(path, Pattern("hit"), 0, cancelled=lambda: True) is None
    assert find_backward(path, Pattern("hit"), 4, cancelled=lambda: True) is None
