"""Doing the mutating actions on daemons, with their audit record. Both faces come through here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import msgspec.structs

from opsconsole.actions import audit
from opsconsole.balancer.away import forget
from opsconsole.daemon import DaemonStatus, rolling_restart
from opsconsole.daemon import restart as restart_daemon
from opsconsole.daemon import start as start_daemon
from opsconsole.daemon import stop as stop_daemon
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.leftovers import forget_tuning
from opsconsole.errors import OpsError
from opsconsole.profile import Profile, Server

_FUNCTIONS: dict[str, Callable[[Profile, Server], DaemonStatus]] = {
    "server.start": start_daemon,
    "server.stop": stop_daemon,
    "server.restart": restart_daemon,
}


def perform(action: str, profile: Profile, server: Server, *, via: str) -> DaemonStatus:
    """Start, stop or restart one daemon and wait for the outcome. Blocks; use a thread.

    Raises:
        OpsError: it is no daemon of ours, or it could not be done; the record says so too.
    """
    _require_daemon(server)
    begin, at = time.monotonic(), time.time()
    try:
        status = _FUNCTIONS[action](profile, server)
    except OpsError as error:
        note(action, profile, server.name, via, begin, "failed", str(error))
        raise
    forget(profile, server)
    if action != "server.start" or (status.started_at or 0.0) >= at:
        status = _decided(profile, server, status)
    missing = note(action, profile, server.name, via, begin, str(status.state), status.detail)
    return msgspec.structs.replace(status, detail=f"{status.detail} {missing}".strip())


def perform_rolling(
    profile: Profile, servers: Sequence[Server], *, via: str
) -> Iterator[DaemonStatus]:
    """Restart daemons one at a time, yielding each when it is healthy again.

    Raises:
        OpsError: one did not come back; those after it were not touched.
    """
    for server in servers:
        _require_daemon(server)
    begin = time.monotonic()
    done: list[str] = []
    try:
        for status in rolling_restart(profile, servers):
            done.append(status.name)
            forget(profile, servers[len(done) - 1])
            yield _decided(profile, servers[len(done) - 1], status)
    except OpsError as error:
        note("fleet.rolling", profile, ",".join(done) or "-", via, begin, "failed", str(error))
        raise
    note("fleet.rolling", profile, ",".join(done), via, begin, "done", "")


def _decided(profile: Profile, server: Server, status: DaemonStatus) -> DaemonStatus:
    """It is what the operator wants now, and no more what a killed tuning has left."""
    if not status.left_behind or not forget_tuning(folder_of(profile, server), server.name):
        return status
    return msgspec.structs.replace(status, left_behind="", remedy="")


def _require_daemon(server: Server) -> None:
    if server.daemon is None:
        raise OpsError(
            "not run by opsconsole: the profile has no daemon for it",
            where=server.name,
            hint="give it a daemon: section, or act on its own machine",
        )


def note(
    action: str, profile: Profile, target: str, via: str, begin: float, outcome: str, detail: str
) -> str:
    """Write the record. A full disk must not keep anyone from stopping a server, so a record that
    cannot be written is said in the returned words and raises nothing."""
    record = audit.Record(
        at=audit.now(),
        operator=audit.operator(),
        via=via,
        action=action,
        profile=profile.name,
        target=target,
        outcome=outcome,
        detail=detail[:500],
        seconds=round(time.monotonic() - begin, 3),
    )
    try:
        audit.write(record)
    except OpsError as error:
        return f"({error.what})"
    return ""
