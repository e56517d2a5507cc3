"""What nginx did with each request, from the access log that :mod:`config` has it write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct


class Entry(Struct, frozen=True):
    """One request.

    Attributes:
        at: Its end, Unix seconds. ``seconds``: how long it took.
        status: What the client got.
        tries: Servers that were tried, in order: address and what came of it (502 where it could
            not be reached); none when all were out.
    """

    at: float
    seconds: float
    status: int
    tries: tuple[tuple[str, int | None], ...]

    @property
    def good(self) -> bool:
        """Whether the client got an answer that it can use."""
        return 200 <= self.status < 300

    @property
    def answered(self) -> str:
        """Who answered; empty where no server did."""
        return self.tries[-1][0] if self.tries else ""


class AccessLog:
    """A growing log, read from where it was left. ``entries``: all so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: BinaryIO | None = None
        self._rest = b""
        self.entries: list[Entry] = []

    def read(self) -> list[Entry]:
        """Take in what was written meanwhile; all entries."""
        try:
            if self._stream is None:
                # Held open: its last lines are read when nginx and the folder are gone.
                self._stream = self._path.open("rb")
            data = self._rest + self._stream.read()
        except OSError:
            return self.entries
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        for line in data[:end].decode("utf-8", "replace").splitlines():
            if (entry := parse(line)) is not None:
                self.entries.append(entry)
        return self.entries

    def close(self) -> None:
        """Take in the rest."""
        self.read()
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            self._path = Path(os.devnull)

    def first(self, after: float, wanted: Callable[[Entry], bool]) -> Entry | None:
        """The first entry that ended at ``after`` or later and is wanted."""
        return next((e for e in self.read() if e.at >= after and wanted(e)), None)


def parse(line: str) -> Entry | None:
    """A line of the log; None where it is no whole one."""
    fields = line.split("|")
    if len(fields) != 5:
        return None
    addresses, statuses = _words(fields[3]), _words(fields[4])
    try:
        return Entry(
            at=float(fields[0]),
            status=int(fields[1]),
            seconds=float(fields[2]),
            tries=tuple(
                (address, int(status) if status.isdecimal() else None)
                for address, status in zip(addresses, statuses, strict=False)
                if ":" in address  # else it is the upstream's own name: all of it was out
            ),
        )
    except ValueError:
        return None


def _words(text: str) -> list[str]:
    return [] if text == "-" else text.replace(" : ", ", ").split(", ")


def answered(entries: Iterable[Entry]) -> dict[str, int]:
    """By address, how many requests it answered."""
    found: dict[str, int] = {}
    for entry in entries:
        if entry.answered:
            found[entry.answered] = found.get(entry.answered, 0) + 1
    return found
