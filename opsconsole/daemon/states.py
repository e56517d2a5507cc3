"""The states of a daemon."""

from __future__ import annotations

from enum import StrEnum


class DaemonState(StrEnum):
    """What a daemon is doing; the words that files, commands and screens share."""

    STOPPED = "stopped"
    STARTING = "starting"
    """Its process runs; its health check has not passed yet."""
    RUNNING = "running"
    UNREADY = "unready"
    """It was ready and runs, but its health check fails."""
    BACKOFF = "backoff"
    """It failed and waits for its next start."""
    STOPPING = "stopping"
    EXITED = "exited"
    """It ended without being asked, and is not to be started again."""
    FATAL = "fatal"
    """It failed too often, or in a way that another start cannot mend."""
    ORPHANED = "orphaned"
    """It runs, but nobody would restart it: its keeper is dead."""
    FOREIGN = "foreign"
    """It is stopped, and another program holds its port."""
    UNKNOWN = "unknown"


ALIVE = frozenset({DaemonState.STARTING, DaemonState.RUNNING, DaemonState.UNREADY})
"""States in which a keeper watches a living server."""

ENDED = frozenset({DaemonState.STOPPED, DaemonState.EXITED, DaemonState.FATAL})
"""States in which a keeper has nothing left to do, and leaves."""
