"""Load tests of other processes of this user that load the same servers now.

Each holds a lock on a note of its own, which dies with it: no note can lie about a test that is
gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from opsconsole import paths


class _Note(Struct, frozen=True):
    pid: int
    plan: str
    urls: tuple[str, ...]


class Other(NamedTuple):
    """A load test that another process runs, and which of the urls asked for it loads."""

    pid: int
    plan: str
    urls: tuple[str, ...]


@contextlib.contextmanager
def announced(urls: Collection[str], plan: str) -> Iterator[None]:
    """Tell others which servers are loaded, for as long as the block lasts.

    Where that cannot be written it is not told: a full disk stops no load test.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path = paths.private_dir(_folder()) / f"{os.getpid()}-{secrets.token_hex(4)}"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, fd)
            note = path.with_suffix(".json")
            stack.callback(_remove, path, note)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(fd, msgspec.json.encode(_Note(os.getpid(), plan, tuple(urls))))
            path.rename(note)  # whole and held before anybody looks at it
        yield


def others(urls: Collection[str]) -> list[Other]:
    """Who else loads one of these servers now; a few microseconds where nobody does."""
    found = []
    try:
        notes = sorted(_folder().glob("*.json"))
    except OSError:
        return []
    for path in notes:
        note = _held(path)
        if note is None or note.pid == os.getpid():
            continue
        if common := tuple(url for url in note.urls if url in urls):
            found.append(Other(note.pid, note.plan, common))
    return found


def _held(path: Path) -> _Note | None:
    """The note of a test that lives; one of a killed test is cleared away."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            data = os.pread(fd, 65_536, 0)
            return msgspec.json.decode(data, type=_Note) if data else None
        os.unlink(path)
        return None
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _folder() -> Path:
    return paths.state_dir() / "load-tests-under-way"
