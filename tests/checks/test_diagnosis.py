from __future__ import annotations

from msgspec import structs

from opsconsole.checks import diagnose
from opsconsole.daemon import DaemonState, DaemonStatus
from opsconsole.fleet import Counters, Failure, Figures, ServerState, Snapshot
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


def test_every_problem_has_a_why_and_a_try() -> None:
    sick = snapshot(
        ServerState.DEGRADED, detail="3 forwards failed", metrics_failure=Failure.NOT_JSON,
        counters=Counters(waiting=60, max_queue=64),
    )  # fmt: skip
    figures = Figures(p95=0.9, successes=90, failures=10, reject_rate=3.2)
    found = diagnose(SERVER, sick, figures, None)
    assert len(found) == 6
    assert all(f.why and f.suggestion for f in found)


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
