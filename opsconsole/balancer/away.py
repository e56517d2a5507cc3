"""Which daemons a failover test has taken away: a journal that outlives a kill -9 of it.

A name is written before its daemon is touched and crossed out when it is back. Who finds names
while nobody holds the lock puts them back. `opsconsole status` reads this: no heavy import here.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from opsconsole import paths
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.folder import remove
from opsconsole.daemon.holding import Held, hold, hold_daemon, holder, unwritable
from opsconsole.errors import OpsError
from opsconsole.profile import Profile, Server

_WHAT = "failover test"
RESTORE = "opsconsole load failover --restore"


class Noted(Struct, frozen=True, kw_only=True):
    """What a daemon ran with: its spec and its variables. ``left_out``: names of those that are
    not written down, as secrets are not. ``chosen``: what it had measured by itself."""

    spec: dict[str, Any]
    environ: dict[str, str]
    left_out: tuple[str, ...] = ()
    chosen: dict[str, str] = {}


class Away(Struct, frozen=True, kw_only=True):
    """The journal as JSON. ``at``: Unix seconds of its latest change; ``pid``: of who wrote it."""

    profile: str
    names: tuple[str, ...]
    pid: int
    at: float
    started: dict[str, Noted] = {}


class Journal:
    """The journal of one profile, of which :func:`begin` gave out the only one that writes.

    Attributes:
        names: Of the daemons that are away, or may be.
        started: What they ran with, where that is known.
    """

    def __init__(self, profile: Profile) -> None:
        self.names, self.started = _read(profile)
        self._profile = profile
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def keep(self, held: Held) -> None:
        """Let go of this lock, too, at the end."""
        self._held.enter_context(held)

    def claim(self, server: Server) -> None:
        """See that no tuning restarts this daemon meanwhile.

        Raises:
            OpsError: one is at work.
        """
        self.keep(hold_daemon(folder_of(self._profile, server), _WHAT, server.name))

    def away(self, name: str, started: Noted | None = None) -> None:
        """Write down that it will be away, and what it runs with, before it is touched.

        Raises:
            OpsError: it cannot be written; then it must not be touched.
        """
        names = tuple(dict.fromkeys((*self.names, name)))
        all_started = self.started if started is None else {**self.started, name: started}
        path = _path(self._profile)
        try:
            paths.private_dir(path.parent)
            self._write(names, all_started)
        except OSError as error:
            raise unwritable(str(path), error) from error
        self.names, self.started = names, all_started

    def back(self, name: str) -> None:
        """It is back, or somebody else's concern."""
        self.names = tuple(other for other in self.names if other != name)
        self.started = {other: told for other, told in self.started.items() if other != name}
        if not self.names:
            remove(str(_path(self._profile)))
            return
        with contextlib.suppress(OSError):  # the disk is full: starting it again does no harm
            self._write(self.names, self.started)

    def _write(self, names: tuple[str, ...], started: dict[str, Noted]) -> None:
        journal = Away(profile=self._profile.name, names=names, pid=os.getpid(), at=time.time(),
                       started=started)  # fmt: skip
        data = msgspec.json.format(msgspec.json.encode(journal), indent=1)
        paths.write_atomic(_path(self._profile), data)


def begin(profile: Profile) -> Journal:
    """The journal, for whoever takes daemons of ``profile`` away or brings them back; a context
    manager that keeps every other one off. A profile without daemons needs no lock.

    Raises:
        OpsError: a failover test of this profile is at work, or what one left cannot be read.
    """
    if not profile.daemons:
        return Journal(profile)
    held = hold(_lock(profile), _WHAT, profile.name)
    try:
        journal = Journal(profile)
    except BaseException:
        held.__exit__()
        raise
    journal.keep(held)
    return journal


def forget(profile: Profile, server: Server) -> None:
    """An operator has decided what this daemon does: that holds, not what a killed test found.

    While a test is at work it goes on to put everything back. Raises nothing.
    """
    with contextlib.suppress(OpsError):
        if server.name in _read(profile)[0]:
            with begin(profile) as journal:
                journal.back(server.name)


class Remark(NamedTuple):
    """That a daemon is away. ``remedy``: the command that brings it back; empty where a test is
    at work, which does that itself."""

    name: str
    why: str
    remedy: str = ""


def told(profile: Profile, stopped: Collection[str]) -> list[Remark]:
    """Which of the ``stopped`` daemons a failover test has taken away.

    Raises:
        OpsError: the journal cannot be read.
    """
    names = [name for name in _read(profile)[0] if name in stopped]
    if not names:
        return []
    if theirs := holder(_lock(profile)):
        return [Remark(name, f"away for a while: a {theirs}") for name in names]
    # Read again: a test that ends just now empties it before it lets go of its lock.
    left = [name for name in _read(profile)[0] if name in names]
    return [Remark(name, "left away by a failover test", RESTORE) for name in left]


def remarks(profile: Profile, stopped: Collection[str]) -> list[str]:
    """:func:`told` as lines; one that says so where the journal cannot be read."""
    try:
        found = told(profile, stopped)
    except OpsError as error:
        return [str(error)]
    return [
        f"{name}: {why}; back with: {remedy}" if remedy else f"{name}: {why}"
        for name, why, remedy in found
    ]


def _read(profile: Profile) -> tuple[tuple[str, ...], dict[str, Noted]]:
    path = _path(profile)
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=Away)
    except FileNotFoundError:
        return (), {}
    except (OSError, ValueError) as error:
        raise OpsError(
            f"cannot be read: {error}", where=str(path),
            hint="start the daemons that a failover test left away, and delete it",
        ) from error  # fmt: skip
    return journal.names, journal.started


def _path(profile: Profile) -> Path:
    # No server's name begins with a dot: this is no daemon's folder.
    return paths.state_dir() / "daemons" / profile.name / ".failover.json"


def _lock(profile: Profile) -> str:
    return str(_path(profile).with_name(".failover.lock"))
