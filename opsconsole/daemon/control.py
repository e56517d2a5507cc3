"""What can be done with the daemons of a profile. All calls block; none prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from opsconsole.daemon.command import folder_of, secrets_of, spec_of
from opsconsole.daemon.halt import halt
from opsconsole.daemon.launch import adopt_orphan, launch
from opsconsole.daemon.observe import DaemonStatus, status
from opsconsole.errors import OpsError

if TYPE_CHECKING:
    from opsconsole.profile import Profile, Server

__all__ = ["adopt", "restart", "rolling_restart", "start", "status", "stop"]


def start(
    profile: Profile, server: Server, *, wait: bool = True, timeout: float | None = None
) -> DaemonStatus:
    """Start the daemon, adopt it if it lost its keeper, or find it running.

    Args:
        profile: The profile that the server is of.
        server: The server; it must have a daemon section.
        wait: Return when it is ready, not when it has been started.
        timeout: Seconds to wait for that; by default its start timeout.

    Raises:
        OpsError: the port is taken (with the owner's pid, name and user), it failed, it is not
            ready in time, its key cannot be had, or it is not ours to run.
    """
    return launch(
        folder_of(profile, server),
        spec_of(profile, server),
        wait=wait,
        timeout=timeout,
        secrets=secrets_of(server),
    )


def stop(profile: Profile, server: Server, *, grace: float | None = None) -> DaemonStatus:
    """Stop the daemon's whole process group; what would not end is in ``survivors``.

    Raises:
        OpsError: a process cannot be proved to be the server, or it is not ours to run.
    """
    return halt(folder_of(profile, server), spec_of(profile, server), grace=grace)


def restart(
    profile: Profile,
    server: Server,
    *,
    wait: bool = True,
    timeout: float | None = None,
    grace: float | None = None,
) -> DaemonStatus:
    """Stop, then start with what the profile says now; the process is proved to be a new one.

    Raises:
        OpsError: the old one does not end, or the new one does not start.
    """
    secrets_of(server)  # what cannot be started again is not stopped
    before = status(profile, server)
    stopped = stop(profile, server, grace=grace)
    if stopped.survivors:
        raise OpsError(
            f"not restarted: {stopped.detail}",
            where=server.name,
            hint="look at it with ps; a process in state D waits for its device",
        )
    after = start(profile, server, wait=wait, timeout=timeout)
    if before.pid is not None and (after.pid, after.started_at) == (before.pid, before.started_at):
        raise OpsError(f"not restarted: process {before.pid} still runs", where=server.name)
    return after


def rolling_restart(
    profile: Profile, servers: Sequence[Server], *, timeout: float | None = None
) -> Iterator[DaemonStatus]:
    """Restart one server at a time, each ready before the next is touched.

    Yields:
        The status of each server that came back.

    Raises:
        OpsError: a server did not come back; those after it were left as they were.
    """
    for number, server in enumerate(servers):
        try:
            yield restart(profile, server, timeout=timeout)
        except OpsError as error:
            untouched = ", ".join(later.name for later in servers[number + 1 :])
            if not untouched:
                raise
            hint = f"not touched: {untouched}"
            raise OpsError(
                error.what,
                where=error.where or server.name,
                hint=f"{error.hint}; {hint}" if error.hint else hint,
                code=error.code,
            ) from error


def adopt(profile: Profile, server: Server) -> bool:
    """Give the daemon a new keeper if it runs without one; whether that was so.

    Raises:
        OpsError: the new keeper cannot start, or the daemon's key cannot be had.
    """
    if server.daemon is None:
        return False
    folder, spec = folder_of(profile, server), spec_of(profile, server)
    return adopt_orphan(folder, spec, secrets_of(server))
