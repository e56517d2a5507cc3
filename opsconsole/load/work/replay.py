"""Requests from a JSONL file, read as they are sent: a recording may be larger than memory."""

from __future__ import annotations

import hashlib
import math
import os
import stat
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from opsconsole.errors import OpsError, UsageError
from opsconsole.load.plan import Work
from opsconsole.load.work.checking import Check, Shape, checker
from opsconsole.load.work.dialects import WIRES

MOST_LINE = 64 << 20
"""Bytes of the longest line."""


class _Line(Struct, forbid_unknown_fields=True):
    body: msgspec.Raw
    at: float | None = None


class _Asked(Struct):
    query: Any = None
    documents: list[msgspec.Raw] | str | UnsetType | None = UNSET
    texts: list[msgspec.Raw] | UnsetType | None = UNSET
    passages: list[msgspec.Raw] | UnsetType | None = UNSET
    text_2: list[msgspec.Raw] | str | UnsetType | None = UNSET
    items: list[msgspec.Raw] | str | UnsetType | None = UNSET
    data_2: list[msgspec.Raw] | str | UnsetType | None = UNSET
    top_n: int | None = None


class _Keys(Struct):
    body: msgspec.Raw | UnsetType = UNSET
    at: msgspec.Raw | UnsetType = UNSET


_LINE = msgspec.json.Decoder(_Line)
_KEYS = msgspec.json.Decoder(_Keys)
_ASKED = msgspec.json.Decoder(_Asked)
_TEXT = msgspec.json.Decoder(str)
_ANY = msgspec.json.Decoder(msgspec.Raw)


class Recording:
    """The ``share``-th of every ``shares`` lines of a file.

    Attributes:
        at: Seconds from the file's first request, by request; None when the file does not say.
        size: Bytes of all bodies.

    Raises:
        UsageError: the file cannot be read; a line is not JSON, is out of order, or has no ``at``
            where others have one.
    """

    def __init__(self, work: Work, share: int, shares: int) -> None:
        self._path = Path(work.replay).expanduser()
        self._dialect = work.dialect
        self._offsets = array("q")
        self._lengths = array("q")
        self._pairs = array("l")
        self._checks: list[Check | None] = []
        self._is_text = bytearray()
        self.at: array[float] | None = None
        self.size = 0
        try:
            self._file = open_plain(self._path)
            self._index(share, shares)
        except OSError as error:
            raise _unreadable(self._path, error) from None

    def __len__(self) -> int:
        return len(self._offsets)

    def body(self, index: int) -> bytes:
        """The body's very bytes.

        Raises:
            OpsError: the file was cut meanwhile.
        """
        length = self._lengths[index]
        data = os.pread(self._file, length, self._offsets[index])
        if len(data) != length:
            raise OpsError("the file was cut while it was replayed", where=str(self._path))
        if self._is_text[index]:
            try:
                return _TEXT.decode(data).encode()
            except msgspec.DecodeError:
                raise OpsError(
                    "the file was changed while it was replayed", where=str(self._path)
                ) from None
        return data

    def is_text(self, index: int) -> bool:
        """Whether a body is a text of its own, not JSON."""
        return bool(self._is_text[index])

    def about(self, index: int) -> tuple[int, Check | None]:
        """How many pairs a body has, and how its answer is checked, if at all."""
        return self._pairs[index], self._checks[index]

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _index(self, share: int, shares: int) -> None:
        found = timed = 0
        first = last = 0.0
        times: array[float] = array("d")
        with os.fdopen(os.dup(self._file), "rb", buffering=1 << 20) as file:
            for number, start, line in _lines(file, self._path):
                body, at = _read(line, number, self._path)
                if at is not None:
                    if timed and at < last:
                        raise self._wrong(
                            number, f"at {at:g} comes before {last:g}, its forerunner"
                        )
                    first = at if not timed else first
                    last = at
                    timed += 1
                found += 1
                if timed not in (0, found):
                    raise self._wrong(number, "some lines have an `at`, others have none")
                if (found - 1) % shares != share:
                    continue
                if at is not None:
                    times.append(at - first)
                self._add(body, start + line.find(body), number)
        if not found:
            raise UsageError("there is no request in it", where=str(self._path))
        self.at = times if timed else None

    def _add(self, body: bytes, offset: int, number: int) -> None:
        is_text = body.startswith(b'"')
        if is_text and self._dialect != "http":
            raise self._wrong(number, "a body that is a text is for the dialect http")
        pairs, check = self._asked(body)
        self._offsets.append(offset)
        self._lengths.append(len(body))
        self._pairs.append(pairs)
        self._checks.append(check)
        self._is_text.append(is_text)
        self.size += len(body)

    def _asked(self, body: bytes) -> tuple[int, Check | None]:
        if self._dialect == "http":
            return 1, None
        wire = WIRES[self._dialect]
        shape: Shape = wire.shape
        try:
            asked = _ASKED.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return 1, checker(shape, None, None)
        names = wire.documents
        if shape == "results" and isinstance(asked.texts, list):
            names, shape = ("texts",), "texts"  # llama.cpp and this server answer as TEI does
        sides = [getattr(asked, name) for name in names]
        documents = next((side for side in sides if side is not UNSET and side is not None), None)
        if documents is None:
            return 1, checker(shape, None, None)
        count = len(documents) if isinstance(documents, list) else 1
        if asked.top_n is None or not wire.top_n or asked.top_n <= 0:
            return count, checker(shape, count, count)
        return count, checker(shape, count, min(asked.top_n, count))

    def _wrong(self, number: int, what: str) -> UsageError:
        return _wrong(self._path, number, what)


class Outline(NamedTuple):
    """A file's number of requests, and the seconds from the first to the last of them; None where
    the first says no moment. ``sha256``: of all its bytes, hexadecimal. ``size``: how many."""

    requests: int
    seconds: float | None
    sha256: str
    size: int


def outline(path: Path) -> Outline:
    """What there is to be replayed; of the lines only the first and the last are looked into.

    The digest takes a quarter of the time in which a generator reads the lines.

    Raises:
        UsageError: the file cannot be read, there is nothing in it, a line is too long, or one of
            those two is not to be understood.
    """
    count = size = 0
    at = None
    last: tuple[int, bytes] | None = None
    digest = hashlib.sha256()
    try:
        with os.fdopen(open_plain(path), "rb", buffering=1 << 20) as file:
            for number, _, line in _lines(file, path, digest.update):
                if not count:
                    at = _read(line, number, path)[1]
                count += 1
                last = number, line
            size = file.tell()
    except OSError as error:
        raise _unreadable(path, error) from None
    if last is None:
        raise UsageError("there is no request in it", where=str(path))
    end = _read(last[1], last[0], path)[1]
    seconds = None if at is None or end is None else max(0.0, end - at)
    return Outline(count, seconds, digest.hexdigest(), size)


def open_plain(path: Path) -> int:
    """A descriptor of a plain file.

    Raises:
        OSError: it cannot be opened.
        UsageError: it is a device, a pipe, a folder.
    """
    # Not blocking: to open a named pipe would wait for its writer for ever.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise UsageError("it is not a plain file", where=str(path))
    return file


def _lines(
    file: BinaryIO, path: Path, read: Callable[[bytes], object] | None = None
) -> Iterator[tuple[int, int, bytes]]:
    """The lines that are not empty: number, offset, bytes. ``read`` is told all that was read."""
    number = offset = 0
    while line := file.readline(MOST_LINE + 1):
        number += 1
        start, offset = offset, offset + len(line)
        if read is not None:
            read(line)
        if len(line) > MOST_LINE:
            raise _wrong(path, number, f"longer than {MOST_LINE >> 20} MiB")
        if number == 1 and line.startswith(b"\xef\xbb\xbf"):
            line, start = line[3:], start + 3
        if line.strip():
            yield number, start, line


def _read(line: bytes, number: int, path: Path) -> tuple[bytes, float | None]:
    """The body's bytes as they stand in the line, and its moment."""
    stripped = line.strip()
    at = None
    try:
        parsed = _LINE.decode(stripped)
        body, at = bytes(parsed.body), parsed.at
    except msgspec.ValidationError:
        _refuse_half(stripped, number, path)
        body = stripped  # an object with other keys, or anything else: it is the body itself
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _wrong(path, number, "it is not JSON") from None
    if at is not None and not (math.isfinite(at) and abs(at) < 1e12):
        raise _wrong(path, number, "`at` is no number of seconds")
    try:
        _ANY.decode(body)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _wrong(path, number, "it is not JSON") from None
    return body.strip(), at


def _refuse_half(line: bytes, number: int, path: Path) -> None:
    """Who writes `at` and `body` means a moment and a body."""
    try:
        keys = _KEYS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if keys.body is UNSET or keys.at is UNSET:
        return
    try:
        msgspec.json.decode(keys.at, type=float)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _wrong(path, number, "`at` is no number of seconds") from None
    raise _wrong(path, number, "`at` and `body` have another key beside them")


def _wrong(path: Path, number: int, what: str) -> UsageError:
    return UsageError(what, where=f"{path}:{number}")


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot be read: {error.strerror}", where=str(path))
