"""A lock for whoever restarts daemons again and again: a tuning, a failover test.

It dies with its holder, so that no file can lie about it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from opsconsole import paths
from opsconsole.daemon.folder import Folder, lock
from opsconsole.errors import OpsError

_PATIENCE = 0.5
"""Seconds; whoever only looks (:func:`holder`) has it for an instant."""


class Held:
    """A held lock; a context manager."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def hold_daemon(folder: Folder, what: str, name: str) -> Held:
    """Be the only one who restarts this daemon for a purpose of his own, called ``what``.

    Raises:
        OpsError: another is at work, or the folder cannot be written.
    """
    return hold(tuning_lock(folder), what, name)


def tuning_lock(folder: Folder) -> str:
    """What :func:`hold_daemon` takes."""
    return f"{folder.path}/tune.lock"


def hold(path: str, what: str, where: str) -> Held:
    """Take the lock ``path``, whose folder is made. ``where``: what it guards, for the error.

    Raises:
        OpsError: another has it, or it cannot be written.
    """
    try:
        paths.private_dir(Path(path).parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(path, error) from error
    if not lock(fd, _PATIENCE):
        theirs = _told(fd)
        os.close(fd)
        article = "another" if theirs.startswith(what) else "a"
        raise OpsError(f"{article} {theirs}", where=where, hint="wait for its end, or interrupt it")
    with contextlib.suppress(OSError):  # a full disk: the note is a courtesy
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{what} is at work: process {os.getpid()}".encode(), 0)
    return Held(fd)


def holder(path: str) -> str:
    """Who has the lock, as in "tuning is at work: process 1"; empty when nobody has."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(fd)
    else:
        return ""
    finally:
        os.close(fd)


def unwritable(path: str, error: OSError) -> OpsError:
    """That a file of ours cannot be written, and what to do."""
    return OpsError(
        f"cannot be written: {error.strerror}", where=path,
        hint="check the disk's free space and the folder's owner",
    )  # fmt: skip


def _told(fd: int) -> str:
    """The holder's note, for which one that has just taken the lock needs an instant."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        if note := os.pread(fd, 100, 0).decode("utf-8", "replace").strip():
            return note
        if time.monotonic() >= deadline:
            return "test is at work"  # its disk was full
        time.sleep(0.01)
