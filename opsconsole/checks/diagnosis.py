"""Why a server is not well, since when, and what can be tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from opsconsole.daemon import DaemonState
from opsconsole.figures import rate
from opsconsole.fleet import Failure, Figures, ServerState, Snapshot
from opsconsole.profile import Server

if TYPE_CHECKING:
    from opsconsole.daemon import DaemonStatus
    from opsconsole.host import Busy


class Finding(Struct, frozen=True):
    """One reason. ``action`` names an entry of the action registry that may help, or is empty."""

    why: str
    suggestion: str = ""
    action: str = ""


_DAEMON: dict[DaemonState, tuple[str, str, str]] = {
    DaemonState.STOPPED: ("the daemon is stopped", "start it", "server.start"),
    DaemonState.EXITED: ("the server ended by itself", "look at the log, start it", "server.logs"),
    DaemonState.FATAL: ("the keeper gave up", "look at the log, then start it", "server.logs"),
    DaemonState.BACKOFF: ("it crashed and waits to be restarted", "look at the log", "server.logs"),
    DaemonState.ORPHANED: ("its keeper died; the server serves on", "adopt it", "server.start"),
    DaemonState.FOREIGN: ("", "stop that program, or change the port", ""),
    DaemonState.UNREADY: ("it runs but does not answer /health", "restart it", "server.restart"),
}
_ON_ITS_WAY = (DaemonState.STARTING, DaemonState.STOPPING)
_FAILURE: dict[Failure, str] = {
    Failure.REFUSED: "is it started, and is the port right?",
    Failure.TIMEOUT: "is the host reachable, and not overloaded?",
    Failure.DNS: "correct the host name in the profile",
    Failure.TLS: "renew the certificate, name its CA by tls: {ca: FILE}, or mend the url's scheme",
    Failure.UNAUTHORIZED: "set api_key in the profile",
    Failure.SECRET: "set the secret, then open the console again",
    Failure.NOT_JSON: "is it an opsconsole server? else use kind: http",
    Failure.SHAPE: "is it an opsconsole server? else use kind: http",
    Failure.NOT_HTTP: "correct the port in the profile",
    Failure.STATUS: "look at the server's log",
}
_REFUSED: dict[str, tuple[str, str]] = {
    "queue_full": ("its queue is full", "raise MAX_QUEUE_SIZE"),
    "overloaded": ("too many tokens wait", "raise MAX_QUEUE_TOKENS"),
    "loading": ("it loads its model", "wait until it is up"),
    "draining": ("it is stopping", "let clients ask another server meanwhile"),
    "deadline_unmeetable": ("it cannot keep their deadlines", "more time, or more servers"),
    "deadline_exceeded": ("their deadlines passed", "more time, or more servers"),
    "too_many_connections": (
        "all its connections are in use", "raise OPSCONSOLE_MAX_CONNECTIONS"
    ),
}  # fmt: skip
"""By the type of the error: why, and what can be tried."""
_PASSING = {"loading": "while it loaded its model", "draining": "while it stopped"}
UNCHECKED = "its certificate is not checked: whoever answers there is taken for it"
_QUEUE_FULL = 0.8
_HIGH_ERRORS = 0.01
_BUSY = 0.9
"""Share of this machine's cores from which whoever has little of them waits for the others."""
_SMALL = 0.5
"""Of what is worked there: a server with less is not who keeps the machine busy."""


def diagnose(
    server: Server,
    snapshot: Snapshot | None,
    figures: Figures,
    daemon: DaemonStatus | None,
    machine: Busy | None = None,
) -> list[Finding]:
    """The reasons, most telling first; empty when all is well.

    Args:
        machine: How busy this machine is, over the time of ``figures``; None where that is not
            known. It matters to a server with a daemon alone: any other may run elsewhere.
    """
    found: list[Finding] = []

    def add(why: str, suggestion: str = "", action: str = "") -> None:
        found.append(Finding(why, suggestion, action))

    if daemon and daemon.left_behind:
        add(daemon.left_behind, daemon.remedy)
    told = _DAEMON.get(daemon.state) if daemon else None
    # Whoever took it away says why it is stopped, and what is to be done about it.
    away = daemon is not None and daemon.left_behind and daemon.state is DaemonState.STOPPED
    if daemon and told and not away:
        why, suggestion, action = told
        # A keeper's own words say more than ours; "stopped: stopped" says nothing.
        known = daemon.detail and daemon.detail.lower() != str(daemon.state).lower()
        add(
            f"{why}: {daemon.detail}" if known and why else why or daemon.detail, suggestion, action
        )
    if snapshot is None:
        return found
    moving = daemon is not None and daemon.state in _ON_ITS_WAY
    if snapshot.failure is not None and not told and not moving:
        add(snapshot.words, _FAILURE.get(snapshot.failure, ""))
    if snapshot.state is ServerState.DEGRADED:
        add(snapshot.detail or "the server says degraded", "restart it", "server.restart")
    if snapshot.metrics_failure is not None:
        add(f"no metrics: {snapshot.metrics_failure}", "look at the raw answer", "server.metrics")
    counters = snapshot.counters
    if counters and counters.max_queue and counters.waiting is not None:
        waiting, places = counters.waiting, counters.max_queue
        if waiting >= _QUEUE_FULL * places:
            add(f"the queue is full: {waiting:.0f} of {places:.0f}", "raise MAX_PARALLEL_REQUESTS")
    found += _refusals(figures, snapshot.state)
    level = server.service_level
    if level.p95 is not None and figures.p95 is not None and figures.p95 > level.p95:
        found.append(_slow(figures.p95, level.p95, figures.cpu_cores, machine if daemon else None))
    share = figures.error_share
    allowed = 1 - level.success_rate if level.success_rate is not None else _HIGH_ERRORS
    if share is not None and share > allowed:
        add(f"{share:.1%} of requests failed or were refused", "look at the log", "server.logs")
    if server.is_unchecked:
        add(UNCHECKED, "tls: {ca: FILE} instead of verify: false")
    return found


def _refusals(figures: Figures, state: ServerState) -> list[Finding]:
    """Why requests are refused for want of time or room, the most frequent reason first."""
    found = []
    for reason, per_second in figures.reject_reasons:
        words = f"{rate(per_second)} requests/s"
        if reason in _PASSING and state in (ServerState.UP, ServerState.DEGRADED):
            found.append(Finding(f"it refused {words} {_PASSING[reason]}", "wait: it is back"))
        elif reason in _REFUSED:
            why, suggestion = _REFUSED[reason]
            found.append(Finding(f"it refuses {words}: {why}", suggestion))
    if figures.reject_rate and not found:
        why = f"it refuses {rate(figures.reject_rate)} requests/s"
        found.append(Finding(why, "look at the log", "server.logs"))
    return found


def _slow(p95: float, limit: float, own: float | None, machine: Busy | None) -> Finding:
    """``own``: cores that the server itself works on."""
    why = f"p95 {p95 * 1000:.0f} ms is above {limit * 1000:.0f} ms"
    if machine is not None and own is not None and machine.share > _BUSY:
        worked = machine.share * machine.cores
        if own < _SMALL * worked:
            # More servers would only make them wait for each other.
            busy = f"others keep this machine busy ({worked:.1f} of {machine.cores} cores work"
            return Finding(f"{why}: {busy}, {own:.1f} for it)", "look who does", "console.host")
    return Finding(why, "fewer documents a request, or more servers")
