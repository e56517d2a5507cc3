"""The states of a daemon."""

from __future__ import annotations

from enum import StrEnum


class DaemonState(StrEnum):
    """What a daemon is doing; the words that files, commands and screens share."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    """Its process runs; its health check has not passed yet."""
    RUNNING = "RUNNING"
    UNREADY = "UNREADY"
    """It was ready and runs, but its health check fails."""
    BACKOFF = "BACKOFF"
    """It failed and waits for its next start."""
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    """It ended without being asked, and is not to be started again."""
    FATAL = "FATAL"
    """It failed too often, or in a way that another start cannot mend."""
    ORPHANED = "ORPHANED"
    """It runs, but nobody would restart it: its keeper is dead."""
    FOREIGN = "FOREIGN"
    """It is stopped, and another program holds its port."""
    UNKNOWN = "UNKNOWN"


ALIVE = frozenset({DaemonState.STARTING, DaemonState.RUNNING, DaemonState.UNREADY})
"""States in which a keeper watches a living server."""

ENDED = frozenset({DaemonState.STOPPED, DaemonState.EXITED, DaemonState.FATAL})
"""States in which a keeper has nothing left to do, and leaves."""
