"""The headless verdict: is every server of a profile fit to serve, now?

Per server: the process (if it is ours to run), health, the backend, a real rerank, and its latency
against the service level. Servers are checked side by side, results come as they are known.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncGenerator, Sequence

from opsconsole import trust
from opsconsole.checks.result import CheckResult, CheckState
from opsconsole.daemon import DaemonState, DaemonStatus
from opsconsole.daemon import status as daemon_status
from opsconsole.errors import OpsError, UsageError
from opsconsole.fleet import (
    Client,
    FetchError,
    Ranked,
    ServerState,
    Snapshot,
    client_for,
    poll,
    rerank,
)
from opsconsole.profile import Profile, Server

PROBES = 4
QUERY = "how to restart a service"
DOCUMENTS = (
    "restart the service and watch its health",
    "Paris is the capital of France",
    "a reranker sorts documents",
)


async def check(profile: Profile, names: Sequence[str] = ()) -> AsyncGenerator[CheckResult, None]:
    """Check the servers of ``profile`` (or only those in ``names``).

    Raises:
        UsageError: a name that the profile does not have.
    """
    servers = select(profile, names)
    results: asyncio.Queue[CheckResult | None] = asyncio.Queue()

    async def one(server: Server) -> None:
        try:
            async for result in _check_server(profile, server):
                results.put_nowait(result)
        finally:
            results.put_nowait(None)

    tasks = [asyncio.create_task(one(server)) for server in servers]
    running = len(tasks)
    try:
        while running:
            result = await results.get()
            if result is None:
                running -= 1
            else:
                yield result
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def select(profile: Profile, names: Sequence[str]) -> tuple[Server, ...]:
    """The servers called ``names``, in profile order; all when there are no names."""
    known = {server.name for server in profile.servers}
    for name in names:
        if name not in known:
            raise UsageError(
                f"profile {profile.name!r} has no server {name!r}",
                hint="it has: " + ", ".join(s.name for s in profile.servers),
            )
    return tuple(s for s in profile.servers if not names or s.name in names)


async def _check_server(profile: Profile, server: Server) -> AsyncGenerator[CheckResult, None]:
    if server.daemon is not None:
        # It reads files and asks the kernel: no network, but not for the event loop either.
        yield _process(server, await asyncio.to_thread(daemon_status, profile, server))
    try:
        client = client_for(server)
    except OpsError as error:
        yield _unknown(server, "health", str(error))
        return
    async with client:
        snapshot = await poll(server, client, metrics=False)
        yield _health(server, snapshot)
        serving = snapshot.state in (ServerState.UP, ServerState.DEGRADED)
        if server.kind != "own":
            return
        if not serving:
            for name in ("backend", "rerank", *(["latency"] if server.service_level.p95 else [])):
                yield _unknown(server, name, "not checked: the server does not serve")
            return
        yield _backend(server, snapshot)
        first = await _rerank(server, client)
        yield first
        if server.service_level.p95 is not None:
            if first.state is CheckState.PASS:
                yield await _latency(server, client, server.service_level.p95, first.seconds)
            else:
                yield _unknown(server, "latency", "not checked: rerank fails")


def _unknown(server: Server, name: str, why: str) -> CheckResult:
    return CheckResult(server=server.name, check=name, state=CheckState.UNKNOWN, observed=why)


def _process(server: Server, status: DaemonStatus) -> CheckResult:
    states = {
        DaemonState.RUNNING: CheckState.PASS,
        DaemonState.ORPHANED: CheckState.WARN,
        DaemonState.UNREADY: CheckState.WARN,
        DaemonState.UNKNOWN: CheckState.UNKNOWN,
    }
    hints = {
        DaemonState.ORPHANED: f"opsconsole start {server.name} (gives it a new keeper)",
        DaemonState.STOPPED: f"opsconsole start {server.name}",
        DaemonState.EXITED: f"opsconsole start {server.name}",
        DaemonState.FATAL: f"opsconsole logs {server.name}",
    }
    pid = f", pid {status.pid}" if status.pid else ""
    detail = f": {status.remarks}" if status.remarks not in ("", str(status.state)) else ""
    state = states.get(status.state, CheckState.FAIL)
    if state is CheckState.PASS and (status.left_behind or status.at_work):
        state = CheckState.WARN
    return CheckResult(
        server=server.name,
        check="process",
        state=state,
        observed=f"{status.state}{pid}{detail}",
        expected="running",
        hint=status.remedy or ("" if status.at_work else hints.get(status.state, "")),
    )


def _health(server: Server, snapshot: Snapshot) -> CheckResult:
    states = {
        ServerState.UP: CheckState.PASS,
        ServerState.DEGRADED: CheckState.WARN,
        ServerState.UNKNOWN: CheckState.UNKNOWN,
    }
    observed = snapshot.words
    if server.is_unchecked:
        observed += ", certificate not checked"
    return CheckResult(
        server=server.name,
        check="health",
        state=states.get(snapshot.state, CheckState.FAIL),
        observed=observed,
        expected="healthy",
        hint=trust.HINT if snapshot.detail.startswith("certificate: ") else "",
        seconds=snapshot.poll_seconds,
        value=snapshot.poll_seconds * 1000,
        limit=server.timeout * 1000,
        unit="ms",
    )


def _backend(server: Server, snapshot: Snapshot) -> CheckResult:
    identity = snapshot.identity
    backend = identity.backend if identity else None
    device = identity.device if identity else None
    model = (identity.model if identity else None) or "model not told"
    observed = f"{backend or '—'} on {device or '—'}, {model}"
    wanted_backend = server.daemon.backend if server.daemon else "auto"
    wanted_device = server.daemon.device if server.daemon else "auto"
    expected = f"{wanted_backend} on {wanted_device}"
    state, hint = CheckState.PASS, ""
    if backend not in ("pytorch", "mlx") or not device or (backend == "mlx") != (device == "mlx"):
        state, hint = CheckState.FAIL, "the server must name its backend and device on /health"
    elif wanted_backend not in ("auto", backend):
        state, hint = CheckState.FAIL, f"the profile wants backend {wanted_backend}"
    elif wanted_device not in ("auto", device.split(":")[0]):
        state, hint = CheckState.FAIL, f"the profile wants device {wanted_device}"
    return CheckResult(
        server=server.name,
        check="backend",
        state=state,
        observed=observed,
        expected=expected,
        hint=hint,
    )


async def _rerank(server: Server, client: Client) -> CheckResult:
    try:
        ranked = await _ask(server, client)
    except FetchError as error:
        return CheckResult(
            server=server.name,
            check="rerank",
            state=CheckState.FAIL,
            observed=error.detail,
            expected=f"{len(DOCUMENTS)} finite scores, sorted",
            hint=f"opsconsole logs {server.name}" if server.daemon else "",
        )
    best, score = ranked.results[0]
    return CheckResult(
        server=server.name,
        check="rerank",
        state=CheckState.PASS,
        observed=f"{len(ranked.results)} scores, best {score:.4f} (document {best})",
        expected=f"{len(DOCUMENTS)} finite scores, sorted",
        seconds=ranked.seconds,
    )


async def _ask(server: Server, client: Client) -> Ranked:
    # A rerank may take longer than a poll, but not for ever.
    return await rerank(client, QUERY, DOCUMENTS, timeout=max(10.0, server.timeout))


async def _latency(server: Server, client: Client, limit: float, first: float) -> CheckResult:
    times = [first]
    for _ in range(PROBES - 1):
        try:
            times.append((await _ask(server, client)).seconds)
        except FetchError as error:
            return CheckResult(
                server=server.name,
                check="latency",
                state=CheckState.FAIL,
                observed=error.detail,
                expected=f"≤ {limit * 1000:g} ms",
            )
    slowest, median = max(times), statistics.median(times)
    state = CheckState.PASS
    if slowest > limit:
        state = CheckState.FAIL if median > limit else CheckState.WARN
    return CheckResult(
        server=server.name,
        check="latency",
        state=state,
        observed=f"slowest of {PROBES} {slowest * 1000:.1f} ms, median {median * 1000:.1f} ms",
        expected=f"≤ {limit * 1000:g} ms",
        hint="" if state is CheckState.PASS else "is the device shared, or the queue full?",
        seconds=sum(times),
        value=slowest * 1000,
        limit=limit * 1000,
        unit="ms",
    )
