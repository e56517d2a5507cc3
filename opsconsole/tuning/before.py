"""What was there before a tuning, and putting it back: also by another process, after a kill -9.

Before anything is touched, a journal beside the daemon's files says what ran, or that it was
stopped. It is deleted when that is there again; whoever finds one whose writer is gone puts it
back. A lock that dies with its holder keeps two tunings apart.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opsconsole import paths
from opsconsole.daemon import DaemonState, status
from opsconsole.daemon.command import folder_of, spec_of
from opsconsole.daemon.folder import Folder, remove
from opsconsole.daemon.halt import halt
from opsconsole.daemon.holding import Held, hold_daemon, unwritable
from opsconsole.daemon.leftovers import tuning_journal
from opsconsole.daemon.record import Spec
from opsconsole.daemon.started import Started, ours, remembered, running_environ, writable
from opsconsole.daemon.started import look as look_at
from opsconsole.errors import OpsError
from opsconsole.load.secrecy import is_secret
from opsconsole.profile import Profile, Server

_WERE_RUNNING = frozenset(
    {DaemonState.RUNNING, DaemonState.UNREADY, DaemonState.ORPHANED, DaemonState.STARTING}
)
_WERE_STOPPED = frozenset({DaemonState.STOPPED, DaemonState.EXITED, DaemonState.FATAL})


class Before(Struct, kw_only=True):
    """What was there; the journal is this as JSON.

    Attributes:
        spec: What ran, or for a stopped daemon what would.
        environ: Variables that the server had, but for those ``left_out``: secrets.
        chosen: Settings that it had measured by itself, as variables.
        files: The text of the daemon's files when it was stopped; None: not there.
        pid: Of the process that tunes.
    """

    profile: str
    server: str
    running: bool
    spec: dict[str, Any]
    environ: dict[str, str] = {}
    left_out: tuple[str, ...] = ()
    chosen: dict[str, str] = {}
    files: dict[str, str | None] = {}
    pid: int = 0
    at: float = 0.0

    def plain_spec(self) -> Spec:
        """``spec`` as the daemon package has it. ValueError: it is none."""
        return Spec.parse(msgspec.json.encode(self.spec))


def hold(profile: Profile, server: Server) -> Held:
    """Be the only tuning of this daemon, and beside no failover test that takes it away.

    Raises:
        OpsError: another one is at work, opsconsole does not run this server, or the folder
            cannot be written.
    """
    spec_of(profile, server)  # says why, when it is no daemon of ours
    return hold_daemon(folder_of(profile, server), "tuning", server.name)


def look(
    profile: Profile, server: Server, health: Mapping[str, Any] | None = None
) -> tuple[Before, Started]:
    """What is there now: as the journal has it, and with the secrets, which are in no file.

    Args:
        health: What the server's ``/health`` says, if it does.

    Raises:
        OpsError: it is in no state that could be put back: its port is a stranger's, it fails, or
            it cannot be told what runs.
    """
    found = status(profile, server)
    folder = folder_of(profile, server)
    if found.state in _WERE_STOPPED:
        files = {path: _text(path) for path in (folder.spec, folder.state)}
        started = Started(spec_of(profile, server), ours(server))
        return _before(profile, server, started, running=False, files=files), started
    if found.state in _WERE_RUNNING:
        started = look_at(profile, server, health or {})
        environ, left_out = writable(started.environ, is_secret)
        before = _before(
            profile, server, started, running=True, environ=environ, left_out=left_out,
            chosen=dict(started.chosen),
        )  # fmt: skip
        return before, started
    raise OpsError(
        f"it is {found.state}: {found.detail}" if found.detail else f"it is {found.state}",
        where=server.name,
        hint="a daemon is tuned when it runs well or is stopped",
    )


def _before(profile: Profile, server: Server, started: Started, **more: Any) -> Before:
    return Before(
        profile=profile.name, server=server.name, spec=started.spec._asdict(),
        pid=os.getpid(), at=time.time(), **more,
    )  # fmt: skip


def write_journal(folder: Folder, before: Before) -> None:
    """Write down what was there, before anything is touched.

    Raises:
        OpsError: it cannot be written; then nothing must be touched.
    """
    path = tuning_journal(folder)
    try:
        paths.write_atomic(Path(path), msgspec.json.format(msgspec.json.encode(before), indent=1))
    except OSError as error:
        raise unwritable(path, error) from error


def read_journal(folder: Folder) -> Before | None:
    """What a tuning that was killed left behind; None when none did.

    Raises:
        OpsError: it cannot be read.
    """
    path = tuning_journal(folder)
    try:
        before = msgspec.json.decode(Path(path).read_bytes(), type=Before)
        before.plain_spec()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OpsError(
            f"cannot be read: {error}", where=path,
            hint="restart the daemon with what the profile says, and delete it",
        ) from error  # fmt: skip
    return before


def put_back(
    profile: Profile, server: Server, before: Before, started: Started | None = None
) -> str:
    """Restore what was there, and delete the journal. What was done, in words. Blocks.

    Args:
        started: As :func:`look` told it; None, after a kill, takes it from the journal.

    Raises:
        OpsError: it could not be restored; the journal stays.
    """
    folder = folder_of(profile, server)
    lost: tuple[str, ...] = ()
    if started is None:
        started, lost = _remembered(profile, server, before)
    stopped = halt(folder, started.spec)
    if stopped.survivors:
        pids = ", ".join(map(str, stopped.survivors))
        raise OpsError(f"processes do not end: {pids}", where=server.name,
                       hint=_AGAIN.format(server.name))  # fmt: skip
    if before.running:
        try:
            now = started.again(folder)
        except OpsError as error:
            raise OpsError(
                f"could not be started again: {error}", where=server.name,
                hint=_AGAIN.format(server.name),
            ) from error  # fmt: skip
        words = f"running again as before, pid {now.pid}"
        if lost:
            words += f", but without {', '.join(lost)}: secrets are in no file"
    else:
        _put_files_back(before)
        words = "stopped again, as before"
    remove(tuning_journal(folder))
    return words


def _remembered(
    profile: Profile, server: Server, before: Before
) -> tuple[Started, tuple[str, ...]]:
    """What ran before a tuning that was killed, and the names of secrets that are lost."""
    spec = before.plain_spec()
    if not before.running:  # nothing is started, so that no key is asked for
        return Started(spec, {}), ()
    environ, lost = remembered(
        server, spec, before.environ or ours(server), before.left_out,
        running_environ(profile, server),  # a trial's server has what the first one had
    )  # fmt: skip
    return Started(spec, environ, before.chosen), lost


_AGAIN = "then: opsconsole tune --restore {}"


def _put_files_back(before: Before) -> None:
    """A daemon that had failed says again why."""
    for path, text in before.files.items():
        if text is None:
            remove(path)
            continue
        with contextlib.suppress(OSError):  # the disk is full: it is stopped all the same
            paths.write_atomic(Path(path), text.encode())


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except (OSError, ValueError):
        return None
