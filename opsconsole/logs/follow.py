"""Following a log that is written, rotated, truncated and deleted meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import TracebackType

from opsconsole.logs.line import MAX_LINE
from opsconsole.logs.tail import open_log, page_before

_BLOCK = 1 << 18
_FINGERPRINT = 256
FileId = tuple[int, int]
Place = tuple[FileId, int]
"""A file and a byte offset in it."""


def rotated(path: Path) -> list[Path]:
    """The files ``path.1``, ``path.2``… that rotation by rename has left, newest first."""
    numbered = re.compile(re.escape(path.name) + r"\.(\d{1,6})")
    found: list[tuple[int, Path]] = []
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if match := numbered.fullmatch(entry.name):
                found.append((int(match[1]), path.parent / entry.name))
    return [file for _, file in sorted(found)]


def file_id(fd: int) -> FileId:
    """Device and inode: what a file keeps when it is renamed."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


class _OpenLog:
    """One file of a rotated log, held open so that its inode cannot be given to another."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.id = file_id(fd)
        self.position = 0
        self.partial = b""
        self.retired_at = 0.0
        self._head = b""

    def lines(self, max_bytes: int) -> tuple[list[bytes], int]:
        """Complete lines of the next block, and how many bytes were read."""
        lines = self._restarted()
        block = os.pread(self.fd, min(max_bytes, _BLOCK), self.position)
        self.position += len(block)
        if len(self._head) < _FINGERPRINT and block:
            self._head = os.pread(self.fd, _FINGERPRINT, 0)
        if not block:
            return lines, 0
        found = (self.partial + block).split(b"\n")
        self.partial = found.pop()
        if any(len(line) > MAX_LINE for line in found):
            for line in found:
                lines += (line[at : at + MAX_LINE] for at in range(0, max(1, len(line)), MAX_LINE))
        else:
            lines += found
        while len(self.partial) >= MAX_LINE:
            lines.append(self.partial[:MAX_LINE])
            self.partial = self.partial[MAX_LINE:]
        return lines, len(block)

    def _restarted(self) -> list[bytes]:
        """After a truncation (copytruncate), begin again; gives the line that was cut short."""
        shorter = os.fstat(self.fd).st_size < self.position
        if shorter or os.pread(self.fd, len(self._head), 0) != self._head:
            self.position, self._head = 0, b""
            return self.flush()
        return []

    def flush(self) -> list[bytes]:
        """The partial line, which nobody will complete."""
        rest, self.partial = self.partial, b""
        return [rest] if rest else []

    def close(self) -> None:
        os.close(self.fd)


class Follower:
    """Gives each line of a log once, as it is written.

    Survives rotation by rename (``log`` → ``log.1`` → ``log.2``) without losing a line: a file is
    read to its end before the next one, and watched a little longer, because a writer may hold it
    open until it is told. Truncation begins the file again. A file that is not there is waited for.

    Args:
        path: The log.
        backlog: How many of the lines already there come first; None for all.
        linger: Seconds for which a file that was rotated away is still watched.
    """

    def __init__(self, path: Path, *, backlog: int | None = 0, linger: float = 5.0) -> None:
        self.path = path
        self.linger = linger
        self._backlog = backlog
        self._files: list[_OpenLog] = []  # the one being read first, newer ones after it
        self._retired: list[_OpenLog] = []
        self.origin: Place = self._newest_rotated()
        """File and byte offset of the first line given: where reading further back begins."""
        with contextlib.suppress(FileNotFoundError):
            file = self._start(open_log(path))
            self.origin = (file.id, file.position)
            self._files.append(file)
        self._backlog = None  # a file that comes later is new from its first line on

    def _newest_rotated(self) -> Place:
        """The end of the newest rotated file: what is older than a log that is not there yet."""
        for path in rotated(self.path):
            with contextlib.suppress(FileNotFoundError):
                fd = open_log(path)
                try:
                    return file_id(fd), os.fstat(fd).st_size
                finally:
                    os.close(fd)
        return (0, 0), 0

    def _start(self, fd: int) -> _OpenLog:
        file = _OpenLog(fd)
        if self._backlog is not None:
            end = os.fstat(fd).st_size
            # without the line that is still being written: it belongs to what comes
            last = page_before(fd, end, 1)
            if last.lines and os.pread(fd, 1, end - 1) != b"\n":
                end = last.start
            file.position = page_before(fd, end, self._backlog).start if self._backlog else end
        return file

    def read(self, max_bytes: int = 1 << 20) -> list[bytes]:
        """Complete lines written since the last call, at most about ``max_bytes``; never waits.

        Raises:
            OpsError: the log cannot be read.
        """
        lines = self._late_lines()
        while max_bytes > 0:
            if not self._files:
                try:
                    self._files.append(self._start(open_log(self.path)))
                except FileNotFoundError:
                    break
            file = self._files[0]
            found, count = file.lines(max_bytes)
            lines += found
            max_bytes -= count
            if count:
                continue
            if len(self._files) == 1:
                newer = self._newer_files()
                if not newer:
                    break
                self._files += newer
                continue  # what was written before the new file appeared is read first
            file.retired_at = monotonic()
            self._retired.append(self._files.pop(0))
        return lines

    def _late_lines(self) -> list[bytes]:
        """Lines written to a file after it was rotated away; closes files watched long enough."""
        lines: list[bytes] = []
        for file in list(self._retired):
            found, count = file.lines(_BLOCK)
            lines += found
            if not count and monotonic() - file.retired_at >= self.linger:
                lines += file.flush()
                file.close()
                self._retired.remove(file)
        return lines

    def _newer_files(self) -> list[_OpenLog]:
        """The files that rotation has put after the one being read, oldest first.

        Looked for from the newest to the oldest: a rotation meanwhile moves files towards older
        names, so one may be seen twice but none is missed.
        """
        current = self._files[-1]
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return []  # renamed or deleted, and not yet made anew: the old one may still grow
        if (status.st_dev, status.st_ino) == current.id:
            return []
        newer: list[_OpenLog] = []
        reached = False
        for path in (self.path, *rotated(self.path)):
            try:
                file = _OpenLog(open_log(path))
            except FileNotFoundError:
                continue
            if file.id == current.id:
                file.close()
                reached = True
                break
            if any(file.id == other.id for other in newer):
                file.close()
                continue
            newer.append(file)
        if (
            not reached
        ):  # the old file was deleted: only the order of writing tells older from newer
            last_write = os.fstat(current.fd).st_mtime_ns
            for file in newer[1:]:
                if os.fstat(file.fd).st_mtime_ns < last_write:
                    file.close()
                    newer.remove(file)
        newer.reverse()
        return newer

    def close(self) -> None:
        """Close the files; a later read begins anew."""
        for file in (*self._files, *self._retired):
            file.close()
        self._files.clear()
        self._retired.clear()

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class OlderLines:
    """Pages from before a place in a log, on into the files that rotation has left.

    Args:
        path: The log.
        origin: Where to begin, as :attr:`Follower.origin`; None for the end of the log.
    """

    def __init__(self, path: Path, origin: Place | None = None) -> None:
        self.path = path
        self._place = origin

    def read(self, lines: int) -> list[bytes]:
        """The ``lines`` lines before those given last; an empty list at the beginning of all.

        Raises:
            OpsError: a file cannot be read.
        """
        for fd in self._from_here():
            end = os.fstat(fd).st_size
            if self._place is not None and self._place[0] == file_id(fd):
                end = min(end, self._place[1])
            page = page_before(fd, end, lines)
            self._place = (file_id(fd), page.start)
            if page.lines:
                return page.lines
        return []

    def _from_here(self) -> Iterator[int]:
        """Open files from the one of the present place to the oldest."""
        reached = self._place is None
        for path in (self.path, *rotated(self.path)):
            try:
                fd = open_log(path)
            except FileNotFoundError:
                continue
            try:
                reached = reached or file_id(fd) == (self._place or ((0, 0), 0))[0]
                if reached:
                    yield fd
            finally:
                os.close(fd)
