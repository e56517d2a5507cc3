"""The end of a log file, pages further back, and a search through it, without reading it whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from opsconsole.errors import OpsError
from opsconsole.logs.line import MAX_LINE
from opsconsole.logs.query import Pattern

_BLOCK = 1 << 16
_MAX_BLOCK = 1 << 22
_MAX_PAGE = 64 << 20


class Page(NamedTuple):
    """Consecutive lines of a file and where they are."""

    lines: list[bytes]
    start: int
    """Byte offset of the first line."""
    end: int
    """Byte offset after the last line."""


class Found(NamedTuple):
    """A line that a search found."""

    offset: int
    line: bytes


def open_log(path: Path) -> int:
    """A file descriptor to read a log from; never blocks, even on a pipe without a writer.

    Raises:
        FileNotFoundError: nothing is there (yet).
        OpsError: it cannot be read, or is not a regular file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OpsError(
            f"cannot read the log: {error.strerror}", where=str(path), hint="check its permissions"
        ) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OpsError("cannot read the log: not a regular file", where=str(path))
    return fd


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        fd = open_log(path)
    except FileNotFoundError:
        raise OpsError(
            "no log yet", where=str(path), hint="it is written when the server starts"
        ) from None
    try:
        yield fd
    finally:
        os.close(fd)


def _cut(data: bytes, start: int) -> Iterator[Found]:
    """The lines of ``data`` with their offsets; those over :data:`MAX_LINE` in pieces."""
    for line in data.removesuffix(b"\n").split(b"\n"):
        for at in range(0, max(1, len(line)), MAX_LINE):
            yield Found(start + at, line[at : at + MAX_LINE])
        start += len(line) + 1


def page_before(fd: int, end: int, lines: int) -> Page:
    """The last ``lines`` lines that end at byte ``end`` of an open file.

    Reads blocks backwards, so the cost depends on the page and not on the file. Lines longer
    than :data:`MAX_LINE` come in pieces; a page reads at most about 64 MB.
    """
    if lines <= 0 or end <= 0:
        return Page([], end, end)
    blocks: list[bytes] = []
    start, size, line_ends = end, _BLOCK, 0
    # one more than asked for: the first one found closes the line before the page
    while start > 0 and line_ends <= lines and end - start < _MAX_PAGE:
        take = min(size, start)
        start -= take
        block = os.pread(fd, take, start)
        if len(block) < take:  # truncated meanwhile: what is gone is gone
            blocks, line_ends, end = [], 0, start + len(block)
        blocks.append(block)
        line_ends += block.count(b"\n")
        size = min(2 * size, _MAX_BLOCK)
    data = b"".join(reversed(blocks))
    if not data:
        return Page([], end, end)
    if start > 0 and line_ends > 1:  # the first line is not whole
        whole = data.find(b"\n") + 1
        data, start = data[whole:], start + whole
    if len(data) <= MAX_LINE:
        found = data.removesuffix(b"\n").split(b"\n")
        skipped = found[:-lines]
        return Page(found[-lines:], start + sum(map(len, skipped)) + len(skipped), end)
    located = list(_cut(data, start))[-lines:]
    return Page([line for _, line in located], located[0].offset, end)


def read_tail(path: Path, lines: int) -> Page:
    """The last lines of a file with their place, so that a caller can page on from there.

    Raises:
        OpsError: the file is not there or cannot be read.
    """
    with _opened(path) as fd:
        return page_before(fd, os.fstat(fd).st_size, lines)


def tail(path: Path, lines: int) -> list[bytes]:
    """The last lines of a file, a partial last one included.

    Raises:
        OpsError: the file is not there or cannot be read.
    """
    return read_tail(path, lines).lines


def read_before(path: Path, offset: int, lines: int) -> Page:
    """The lines just before byte ``offset``; an empty page at the beginning of the file.

    Raises:
        OpsError: the file is not there or cannot be read.
    """
    with _opened(path) as fd:
        return page_before(fd, min(offset, os.fstat(fd).st_size), lines)


def find_backward(
    path: Path, pattern: Pattern, offset: int, *, cancelled: Callable[[], bool] | None = None
) -> Found | None:
    """The last line before ``offset`` that matches, or None.

    Blocks, so it belongs in a thread; ``cancelled`` is asked a few times a second and ends it.

    Raises:
        OpsError: the file is not there or cannot be read.
    """
    with _opened(path) as fd:
        end = min(offset, os.fstat(fd).st_size)
        while end > 0 and not (cancelled is not None and cancelled()):
            page = page_before(fd, end, 10_000)
            if page.start >= end:
                return None
            block = os.pread(fd, end - page.start, page.start)
            if pattern.may_match(block):
                for found in reversed(list(_cut(block, page.start))):
                    if pattern.matches(found.line):
                        return found
            end = page.start
    return None


def find_forward(
    path: Path, pattern: Pattern, offset: int, *, cancelled: Callable[[], bool] | None = None
) -> Found | None:
    """The first line that matches from ``offset``, the start of a line, on; or None.

    Blocks, so it belongs in a thread; ``cancelled`` is asked a few times a second and ends it.

    Raises:
        OpsError: the file is not there or cannot be read.
    """
    with _opened(path) as fd:
        while not (cancelled is not None and cancelled()):
            block = os.pread(fd, 2 * MAX_LINE, offset)
            if not block:
                return None
            complete = block.rfind(b"\n") + 1
            if len(block) == 2 * MAX_LINE:  # else the end of the file, and all of it counts
                block = block[: complete or MAX_LINE]
            if pattern.may_match(block):
                for found in _cut(block, offset):
                    if pattern.matches(found.line):
                        return found
            offset += len(block)
    return None
