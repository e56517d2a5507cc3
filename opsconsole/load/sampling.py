"""What the loaded servers say of themselves meanwhile, on the run's own time axis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from opsconsole.fleet import Counters, Snapshot, watch
from opsconsole.load.records import ServerSample
from opsconsole.profile import Server


class Sampler:
    """Polls the servers as the console does, and keeps the difference since the last tick."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = [server for server in servers if server.kind == "own"]
        self._newest: dict[str, Snapshot] = {}
        self._told: dict[str, Counters] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to poll; needs a running loop."""
        if self._servers:
            self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End the polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        async with aclosing(watch(self._servers)) as snapshots:
            async for snapshot in snapshots:
                self._newest[snapshot.server] = snapshot

    def samples(self) -> dict[str, ServerSample]:
        """By server, what happened since this was last asked."""
        found = {}
        for name, snapshot in self._newest.items():
            now, before = snapshot.counters, self._told.get(name)
            if now is None:
                found[name] = ServerSample(state=str(snapshot.state))
                continue
            self._told[name] = now
            found[name] = _sample(str(snapshot.state), before, now)
        return found


def _sample(state: str, before: Counters | None, now: Counters) -> ServerSample:
    if before is None or before.start_time != now.start_time:
        return ServerSample(state=state, waiting=now.waiting, active=now.active)
    answered = _grown(before.succeeded, now.succeeded)
    hits, misses = (
        _grown(before.cache_hits, now.cache_hits),
        _grown(before.cache_misses, now.cache_misses),
    )
    looked = (hits or 0) + (misses or 0)
    return ServerSample(
        state=state,
        waiting=now.waiting,
        active=now.active,
        inference_ms=_mean_ms(_grown(before.inference_seconds, now.inference_seconds), answered),
        queue_ms=_mean_ms(_grown(before.queue_seconds, now.queue_seconds), answered),
        cache_hits=hits / looked if hits is not None and looked else None,
    )


def _grown(before: float | None, now: float | None) -> float | None:
    return now - before if before is not None and now is not None and now >= before else None


def _mean_ms(seconds: float | None, count: float | None) -> float | None:
    return seconds * 1000 / count if seconds is not None and count else None
