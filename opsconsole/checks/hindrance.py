"""Why a server is not one to send requests to now, said before somebody does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsconsole.daemon import DaemonState
from opsconsole.fleet import ServerState, Snapshot

if TYPE_CHECKING:
    from opsconsole.daemon import DaemonStatus

_AWAY = {
    DaemonState.STOPPED: "its daemon is stopped",
    DaemonState.STOPPING: "its daemon is being stopped",
    DaemonState.EXITED: "its daemon has ended",
    DaemonState.FATAL: "its keeper gave up",
    DaemonState.BACKOFF: "it crashed and waits to be restarted",
    DaemonState.STARTING: "its daemon is starting",
}
_STATES = {
    ServerState.LOADING: "it is loading its model",
    ServerState.DRAINING: "it is draining",
}


def hindrance(snapshot: Snapshot | None, daemon: DaemonStatus | None) -> str:
    """Why requests to a server would fail, or reach another program.

    Empty when they would not, or when nothing is known yet.
    """
    if daemon is not None:
        if daemon.state is DaemonState.FOREIGN:
            return f"{daemon.detail}: not this profile's server, which is stopped"
        if daemon.left_behind:
            return daemon.left_behind
        if _silent(snapshot) and daemon.state in _AWAY:
            return _AWAY[daemon.state]
    if snapshot is None:
        return ""
    if snapshot.state is ServerState.DOWN:
        return f"it is down: {snapshot.words}"
    return _STATES.get(snapshot.state, "")


def _silent(snapshot: Snapshot | None) -> bool:
    """Whether nothing that serves was seen there."""
    return snapshot is None or snapshot.state not in (ServerState.UP, ServerState.DEGRADED)
