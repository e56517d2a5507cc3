"""Watching a fleet: one task and one client a server, one stream of snapshots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from weakref import WeakSet

from opsconsole.errors import OpsError
from opsconsole.fleet.adapters import Reading, read
from opsconsole.fleet.http import Client, FetchError, client_for, secret_failure
from opsconsole.fleet.snapshot import Failure, ServerState, Snapshot
from opsconsole.profile import Server

# DNS look-ups run in the loop's default pool; one dead resolver must not starve the others.
_RESOLVER_THREADS = 64


async def poll(server: Server, client: Client | None = None, *, metrics: bool = True) -> Snapshot:
    """Read one server once. Never raises for what the server does; see ``Snapshot.failure``.

    Args:
        server: The server.
        client: Its client, when there is one already; else one is made for this poll.
        metrics: Read its counters too, if it is of a kind that has them.
    """
    start = time.monotonic()
    own_client = client is None
    try:
        client = client or client_for(server)
    except OpsError as error:
        return _failed(server, start, secret_failure(error))
    try:
        async with asyncio.timeout(server.timeout):
            reading = await read(server, client, metrics=metrics)
    except TimeoutError:
        detail = f"no whole answer within {server.timeout:g} s"
        return _failed(server, start, FetchError(Failure.TIMEOUT, detail))
    except FetchError as error:
        return _failed(server, start, error)
    except Exception as error:  # a fault of ours must not end the watching of this server
        detail = f"{type(error).__name__}: {error}"
        return _failed(server, start, FetchError(Failure.INTERNAL, detail))
    finally:
        if own_client:
            await client.aclose()
    return _stamp(server, start, reading)


async def watch(servers: Sequence[Server]) -> AsyncGenerator[Snapshot, None]:
    """Snapshots of all ``servers``, each at its own interval, for ever.

    A consumer that is slower than the fleet gets the newest snapshot of each server, not a
    growing backlog.
    """
    _widen_resolver(asyncio.get_running_loop())
    newest: dict[str, Snapshot] = {}
    arrived = asyncio.Event()

    async def follow(server: Server, offset: float) -> None:
        async with aclosing(_poll_forever(server, offset)) as snapshots:
            async for snapshot in snapshots:
                newest[server.name] = snapshot
                arrived.set()

    count = max(1, len(servers))
    tasks = [
        asyncio.create_task(follow(server, server.interval * i / count), name=f"poll {server.name}")
        for i, server in enumerate(servers)
    ]
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            batch = list(newest.values())
            newest.clear()
            for snapshot in batch:
                yield snapshot
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_widened: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def _widen_resolver(loop: asyncio.AbstractEventLoop) -> None:
    """Give ``loop`` threads enough for look-ups that hang; once, whoever watches how often."""
    if loop not in _widened:
        _widened.add(loop)
        loop.set_default_executor(
            ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolve")
        )


async def _poll_forever(server: Server, offset: float) -> AsyncGenerator[Snapshot, None]:
    """One server: at once, then every interval, shifted by ``offset`` so that a fleet is spread."""
    client: Client | None = None
    due = time.monotonic() + offset
    try:
        while True:
            if client is None:
                try:
                    client = client_for(server)
                except OpsError as error:
                    yield _failed(server, time.monotonic(), secret_failure(error))
            if client is not None:
                snapshot = await poll(server, client)
                yield snapshot
                if snapshot.failure in (Failure.TIMEOUT, Failure.INTERNAL):
                    # A cancelled request can leave its connection in any state.
                    await client.aclose()
                    client = None
            due += server.interval
            now = time.monotonic()
            if due < now:  # the poll took longer than the interval: no burst to catch up
                due = now
            await asyncio.sleep(due - now)
    finally:
        if client is not None:
            await client.aclose()


def _stamp(server: Server, start: float, reading: Reading) -> Snapshot:
    now = time.monotonic()
    return Snapshot(
        server=server.name,
        at=time.time(),
        clock=now,
        state=reading.state,
        poll_seconds=now - start,
        metrics_failure=reading.metrics_failure,
        detail=reading.detail,
        identity=reading.identity,
        counters=reading.counters,
    )


def _failed(server: Server, start: float, error: FetchError) -> Snapshot:
    now = time.monotonic()
    unsure = error.failure in (Failure.SECRET, Failure.UNAUTHORIZED, Failure.INTERNAL)
    return Snapshot(
        server=server.name,
        at=time.time(),
        clock=now,
        state=ServerState.UNKNOWN if unsure else ServerState.DOWN,
        poll_seconds=now - start,
        failure=error.failure,
        detail=error.detail,
    )
