from __future__ import annotations

import pytest
from msgspec import structs

from opsconsole.checks import diagnose
from opsconsole.daemon import DaemonState, DaemonStatus
from opsconsole.fleet import Counters, Failure, Figures, ServerState, Snapshot
from opsconsole.host import Busy
from opsconsole.profile import Server, ServiceLevel, Tls

SERVER = Server(name="a", url="http://127.0.0.1:1", service_level=ServiceLevel(0.5, 0.99))


def snapshot(state: ServerState = ServerState.UP, **more: object) -> Snapshot:
    return Snapshot(server="a", at=0, clock=0, state=state, poll_seconds=0, **more)  # type: ignore[arg-type]


def daemon(state: DaemonState, detail: str = "") -> DaemonStatus:
    return DaemonStatus(profile="p", name="a", state=state, pid=None, keeper_pid=None, port=1,
                        since=None, started_at=None, restarts=0, ready=False, backoff_until=None,
                        last_exit=None, detail=detail, log="", survivors=[])  # fmt: skip


def test_a_healthy_server_has_nothing_wrong() -> None:
    figures = Figures(p95=0.1, successes=100, failures=0)
    assert diagnose(SERVER, snapshot(), figures, daemon(DaemonState.RUNNING)) == []


def test_the_keeper_knows_better_than_the_port() -> None:
    refused = snapshot(ServerState.DOWN, failure=Failure.REFUSED, detail="refused")
    found = diagnose(SERVER, refused, Figures(), daemon(DaemonState.FATAL, "no such model"))
    assert [f.action for f in found] == ["server.logs"]
    assert "no such model" in found[0].why


def test_a_stopped_daemon_is_said_once() -> None:
    (found,) = diagnose(SERVER, None, Figures(), daemon(DaemonState.STOPPED, "stopped"))
    assert found.why == "the daemon is stopped"
    foreign = daemon(DaemonState.FOREIGN, "port 1 is held by nginx")
    assert diagnose(SERVER, None, Figures(), foreign)[0].why == "port 1 is held by nginx"


def test_what_a_killed_tuning_left_is_said_of_a_healthy_server() -> None:
    left = structs.replace(
        daemon(DaemonState.RUNNING), left_behind="a tuning was killed", remedy="do that"
    )
    (found,) = diagnose(SERVER, snapshot(), Figures(), left)
    assert (found.why, found.suggestion) == ("a tuning was killed", "do that")


def test_a_daemon_that_somebody_took_away_is_not_to_be_started() -> None:
    away = structs.replace(daemon(DaemonState.STOPPED), left_behind="away for a while")
    for seen in (None, snapshot(ServerState.DOWN, failure=Failure.REFUSED, detail="refused")):
        (found,) = diagnose(SERVER, seen, Figures(), away)
        assert found.why == "away for a while"


def test_every_problem_has_a_why_and_a_try() -> None:
    sick = snapshot(
        ServerState.DEGRADED, detail="3 forwards failed", metrics_failure=Failure.NOT_JSON,
        counters=Counters(waiting=60, max_queue=64),
    )  # fmt: skip
    figures = Figures(p95=0.9, successes=90, failures=10, reject_rate=3.2)
    found = diagnose(SERVER, sick, figures, None)
    assert len(found) == 6
    assert all(f.why and f.suggestion for f in found)


@pytest.mark.parametrize(("reason", "why", "suggestion"), [
    ("queue_full", "its queue is full", "raise MAX_QUEUE_SIZE"),
    ("overloaded", "too many tokens wait", "raise MAX_QUEUE_TOKENS"),
    ("too_many_connections", "all its connections are in use", "raise OPSCONSOLE_MAX_CONNECTIONS"),
])  # fmt: skip
def test_why_it_refuses_decides_what_to_try(reason: str, why: str, suggestion: str) -> None:
    figures = Figures(reject_rate=3.2, reject_reasons=((reason, 3.2), ("unauthorized", 0.1)))
    (found,) = diagnose(SERVER, snapshot(), figures, daemon(DaemonState.RUNNING))
    assert (found.why, found.suggestion) == (f"it refuses 3.2 requests/s: {why}", suggestion)


@pytest.mark.parametrize(("reason", "state", "now", "later"), [
    ("loading", ServerState.LOADING, ": it loads its model", "while it loaded its model"),
    ("draining", ServerState.DRAINING, ": it is stopping", "while it stopped"),
])  # fmt: skip
def test_a_server_on_its_way_is_not_one_with_a_full_queue(
    reason: str, state: ServerState, now: str, later: str
) -> None:
    figures = Figures(reject_rate=1226.3, reject_reasons=((reason, 1226.3),))
    (found,) = diagnose(SERVER, snapshot(state), figures, daemon(DaemonState.RUNNING))
    assert found.why == f"it refuses 1226 requests/s{now}"
    assert "MAX_QUEUE_SIZE" not in found.suggestion
    (found,) = diagnose(SERVER, snapshot(), figures, daemon(DaemonState.RUNNING))
    assert found.why == f"it refused 1226 requests/s {later}"


def test_an_older_server_does_not_say_why_it_refuses() -> None:
    (found,) = diagnose(SERVER, snapshot(), Figures(reject_rate=3.2), None)
    assert (found.why, found.suggestion) == ("it refuses 3.2 requests/s", "look at the log")


def test_a_certificate_that_is_not_trusted_can_be() -> None:
    untrusted = snapshot(
        ServerState.DOWN, failure=Failure.TLS, detail="certificate: self-signed certificate"
    )
    (found,) = diagnose(SERVER, untrusted, Figures(), None)
    assert "tls: {ca: FILE}" in found.suggestion


def test_a_certificate_that_nobody_checks_is_said_of_a_server_that_is_well() -> None:
    trusting = structs.replace(SERVER, url="https://h:1", tls=Tls(verify=False))
    (found,) = diagnose(trusting, snapshot(), Figures(), None)
    assert "not checked" in found.why


def test_absent_numbers_accuse_nobody() -> None:
    assert diagnose(SERVER, snapshot(), Figures(), None) == []
    assert diagnose(SERVER, None, Figures(), None) == []


def test_a_server_that_waits_for_others_is_not_told_to_be_more() -> None:
    slow, running = Figures(p95=2.88, cpu_cores=0.32), daemon(DaemonState.RUNNING)
    (found,) = diagnose(SERVER, snapshot(), slow, running, Busy(share=1.0, cores=2))
    assert found.why == (
        "p95 2880 ms is above 500 ms: others keep this machine busy (2.0 of 2 cores work, "
        "0.3 for it)"
    )
    assert (found.suggestion, found.action) == ("look who does", "console.host")


@pytest.mark.parametrize(
    ("own", "busy", "ours"),
    [
        (1.6, Busy(share=1.0, cores=2), True),  # it is who keeps the machine busy
        (0.3, Busy(share=0.6, cores=2), True),  # there are cores left
        (0.3, None, True),  # nobody knows
        (None, Busy(share=1.0, cores=2), True),
        (0.3, Busy(share=1.0, cores=2), False),  # it runs elsewhere, maybe
    ],
)
def test_else_more_servers_may_help(own: float | None, busy: Busy | None, ours: bool) -> None:
    slow, running = Figures(p95=2.88, cpu_cores=own), daemon(DaemonState.RUNNING)
    (found,) = diagnose(SERVER, snapshot(), slow, running if ours else None, busy)
    assert found.why == "p95 2880 ms is above 500 ms"
    assert "more servers" in found.suggestion
