"""What the loaded servers say of themselves meanwhile, on the run's own time axis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from msgspec import structs

from opsconsole.fleet import Counters, Snapshot, watch
from opsconsole.host.gpu import GpuReader, Gpus
from opsconsole.load.records import ServerSample
from opsconsole.profile import Server

_GPU_INTERVAL = 1.0


class Sampler:
    """Polls the servers as the console does, and keeps the difference since the last tick."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = [server for server in servers if server.kind == "own"]
        self._ours = {server.name for server in self._servers if server.daemon is not None}
        self._newest: dict[str, Snapshot] = {}
        self._told: dict[str, Counters] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._gpus: dict[int, float] = {}

    def start(self) -> None:
        """Begin to poll; needs a running loop."""
        if self._servers:
            self._tasks.append(asyncio.create_task(self._watch()))
        if self._ours:
            self._tasks.append(asyncio.create_task(self._watch_gpus()))

    async def stop(self) -> None:
        """End the polling."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self) -> None:
        async with aclosing(watch(self._servers)) as snapshots:
            async for snapshot in snapshots:
                self._newest[snapshot.server] = snapshot

    async def _watch_gpus(self) -> None:
        """How busy the GPU of each process of this machine is; without a driver it ends at once."""
        reader = GpuReader()
        try:
            while True:
                # In a thread: a driver may take its time, and the console draws meanwhile.
                gpus = await asyncio.to_thread(reader.read)
                if not gpus.devices:
                    return
                self._gpus = busy_by_process(gpus)
                await asyncio.sleep(_GPU_INTERVAL)
        finally:
            reader.close()

    def samples(self) -> dict[str, ServerSample]:
        """By server, what happened since this was last asked."""
        found = {}
        for name, snapshot in self._newest.items():
            now, before = snapshot.counters, self._told.get(name)
            if now is None:
                found[name] = ServerSample(state=str(snapshot.state))
                continue
            self._told[name] = now
            sample = _sample(str(snapshot.state), before, now)
            pid = snapshot.identity.pid if snapshot.identity is not None else None
            # A pid says something only of this machine.
            gpu = self._gpus.get(pid) if pid and name in self._ours else None
            found[name] = structs.replace(sample, gpu=gpu)
        return found


def busy_by_process(gpus: Gpus) -> dict[int, float]:
    """Busy share (0..1) of the GPU that each process computes on, the busiest where it has
    several."""
    found: dict[int, float] = {}
    for gpu in gpus.devices:
        if gpu.utilization is not None:
            for process in gpu.processes:
                found[process.pid] = max(found.get(process.pid, 0.0), gpu.utilization)
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
        batch_pairs=_mean(
            _grown(before.batch_pairs, now.batch_pairs), _grown(before.batches, now.batches)
        ),
        cache_hits=hits / looked if hits is not None and looked else None,
    )


def _grown(before: float | None, now: float | None) -> float | None:
    return now - before if before is not None and now is not None and now >= before else None


def _mean(whole: float | None, count: float | None) -> float | None:
    return whole / count if whole is not None and count else None


def _mean_ms(seconds: float | None, count: float | None) -> float | None:
    return _mean(seconds * 1000 if seconds is not None else None, count)
