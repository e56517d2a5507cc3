"""Stop a daemon: the whole group, through its keeper or, where that is dead, in its place."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from opsconsole.daemon import group
from opsconsole.daemon.folder import Folder, remove
from opsconsole.daemon.identity import Handle, Identity, Presence, boot_id
from opsconsole.daemon.observe import DaemonStatus, Sighting, inspect, judge, look
from opsconsole.daemon.record import Record, Spec
from opsconsole.daemon.states import DaemonState
from opsconsole.errors import OpsError

_MARGIN = 5.0


def halt(folder: Folder, spec: Spec, *, grace: float | None = None) -> DaemonStatus:
    """Stop the daemon and wait for its whole group; ``survivors`` tells what would not end.

    Args:
        folder: Where it keeps its files.
        spec: What the profile says of it now.
        grace: Seconds between TERM and KILL, instead of those of its spec.

    Raises:
        OpsError: it cannot be told whether a process is the server, or another operation runs.
    """
    if os.path.isdir(folder.path):
        patience = _grace(folder, spec, grace)
        try:
            with folder.operation("stop", max(spec.stop_grace, patience) + 4 * _MARGIN):
                _stop(folder, grace, patience)
        except OSError as error:
            raise OpsError(
                f"the daemon's files cannot be written: {error.strerror}", where=folder.path
            ) from error
    return inspect(folder, spec.profile, spec.name, spec.host, spec.port)


def _grace(folder: Folder, spec: Spec, grace: float | None) -> float:
    if grace is not None:
        return grace
    try:
        return folder.read_spec().stop_grace
    except (OSError, ValueError):
        return spec.stop_grace


def _stop(folder: Folder, grace: float | None, patience: float) -> None:
    seen = look(folder)
    if seen.kept:
        _stop_keeper(folder, seen, grace, patience)
        seen = look(folder)
        if seen.kept:
            raise OpsError("its keeper does not end", where=os.path.basename(folder.path))
    if seen.server is Presence.SAME or seen.left:
        _stop_in_place(folder, seen, patience)
        return
    if seen.server is Presence.UNKNOWN:
        raise OpsError(judge(seen)[1], where=os.path.basename(folder.path), hint="end it yourself")
    _tidy(folder, seen)


def _stop_keeper(folder: Folder, seen: Sighting, grace: float | None, patience: float) -> None:
    if seen.keeper is None or seen.keeper_presence is not Presence.SAME:
        raise OpsError(
            judge(seen)[1], where=os.path.basename(folder.path), hint="act on it from there"
        )
    if grace is not None:
        # On a full disk it gets the grace period it has.
        with contextlib.suppress(OSError, ValueError):
            folder.write_spec(folder.read_spec()._replace(stop_grace=grace))
    keeper = Handle.claim(seen.keeper)
    if keeper is None:
        return
    with keeper:
        keeper.send(signal.SIGTERM)
        if not keeper.wait(patience + group.KILL_PATIENCE + _MARGIN):
            keeper.send(signal.SIGKILL)
            keeper.wait(_MARGIN)


def _stop_in_place(folder: Folder, seen: Sighting, patience: float) -> None:
    record = seen.record
    assert record is not None
    assert record.server is not None
    # Before the first signal, so that no start takes a dying server for an orphan.
    _write(folder, record._replace(desired="stopped", state=DaemonState.STOPPING, ready=False))
    left = _end(record.server, patience)
    if left:
        record = record._replace(
            state=DaemonState.STOPPING,
            survivors=left,
            detail=f"KILL does not end process {', '.join(map(str, left))}",
        )
    else:
        remove(folder.pid)
        record = record._replace(
            state=DaemonState.STOPPED, server=None, survivors=[], detail="stopped"
        )
    _write(folder, record._replace(desired="stopped", ready=False, since=time.time()))


def _end(server: Identity, patience: float) -> list[int]:
    handle = Handle.claim(server)
    if handle is None:
        return group.end(server, patience)
    with handle:
        return group.end(server, patience, handle)


def _tidy(folder: Folder, seen: Sighting) -> None:
    """Nothing runs: let the files say so, whatever they said."""
    record = seen.record
    remove(folder.pid)
    if record is None and not seen.problem:
        return
    if record is not None and record.state is DaemonState.STOPPED and record.server is None:
        return
    last_exit = record.last_exit if record else None
    _write(
        folder,
        Record(
            DaemonState.STOPPED,
            time.time(),
            boot_id(),
            desired="stopped",
            last_exit=last_exit,
            detail="stopped",
        ),
    )


def _write(folder: Folder, record: Record) -> None:
    # A full disk does not keep anybody from stopping a server.
    with contextlib.suppress(OSError):
        folder.write_record(record)
