from __future__ import annotations

import pytest

from opsconsole.checks.hindrance import hindrance
from opsconsole.daemon import DaemonState, DaemonStatus
from opsconsole.fleet import Failure, ServerState, Snapshot


def seen(state: ServerState, **more: object) -> Snapshot:
    return Snapshot(server="a", at=0, clock=0, state=state, poll_seconds=0, **more)  # type: ignore[arg-type]


def daemon(state: DaemonState, **more: str) -> DaemonStatus:
    return DaemonStatus(profile="p", name="a", state=state, **more)  # type: ignore[arg-type]


DOWN = seen(ServerState.DOWN, failure=Failure.REFUSED, detail="connection refused")


@pytest.mark.parametrize(("snapshot", "status", "why"), [
    (DOWN, daemon(DaemonState.STOPPED), "its daemon is stopped"),
    (None, daemon(DaemonState.STARTING), "its daemon is starting"),
    (DOWN, None, "it is down: connection refused"),
    (seen(ServerState.LOADING), daemon(DaemonState.STARTING), "its daemon is starting"),
    (seen(ServerState.LOADING), None, "it is loading its model"),
    (seen(ServerState.DRAINING), None, "it is draining"),
    (seen(ServerState.UP), daemon(DaemonState.FOREIGN, detail="port 1 is held by nginx"),
     "port 1 is held by nginx: not this profile's server, which is stopped"),
    (seen(ServerState.UP), daemon(DaemonState.RUNNING, left_behind="a tuning was killed"),
     "a tuning was killed"),
])  # fmt: skip
def test_what_speaks_against_requests(
    snapshot: Snapshot | None, status: DaemonStatus | None, why: str
) -> None:
    assert hindrance(snapshot, status) == why


@pytest.mark.parametrize(("snapshot", "status"), [
    (None, None),
    (seen(ServerState.UP), None),
    (seen(ServerState.DEGRADED), daemon(DaemonState.RUNNING)),
    (seen(ServerState.UP), daemon(DaemonState.ORPHANED)),
    (seen(ServerState.UP), daemon(DaemonState.STOPPED)),  # the keeper's file is behind
])  # fmt: skip
def test_nothing_speaks_against_a_server_that_answers_or_is_not_known(
    snapshot: Snapshot | None, status: DaemonStatus | None
) -> None:
    assert hindrance(snapshot, status) == ""
