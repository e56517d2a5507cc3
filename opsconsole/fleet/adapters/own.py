"""Our own server: ``/health`` and the JSON of ``/metrics``."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from opsconsole.fleet.adapters.reading import Reading
from opsconsole.fleet.http import Answer, Client, FetchError, fetch
from opsconsole.fleet.snapshot import (
    INFINITY,
    Counters,
    Failure,
    Histogram,
    Identity,
    ServerState,
)

_STATES = {
    "healthy": ServerState.UP,
    "degraded": ServerState.DEGRADED,
    "loading": ServerState.LOADING,
    "draining": ServerState.DRAINING,
}


class _Model(Struct):
    name: str | None = None
    family: str | None = None
    backend: str | None = None
    device: str | None = None
    dtype: str | None = None
    revision: str | None = None


class _Controller(Struct):
    active: float | None = None
    waiting: float | None = None
    max_parallel: float | None = None
    max_queue: float | None = None


class _Health(Struct):
    status: str
    reason: str | None = None
    version: str | None = None
    pid: int | None = None
    started_at: float | None = None
    model: _Model | None = None
    controller: _Controller | None = None


class _Latency(Struct):
    sum_seconds: float = 0.0
    buckets: list[tuple[float | str, float]] = []


class _Sum(Struct):
    sum_seconds: float | None = None


class _Tokens(Struct):
    real: float | None = None
    padded: float | None = None


class _Cache(Struct):
    hits: float | None = None
    misses: float | None = None


class _Process(Struct):
    start_time: float | None = None
    resident_bytes: float | None = None
    cpu_seconds: float | None = None


class _Total(Struct):
    sum: float | None = None


class _Engine(Struct):
    batches: float | None = None
    batch_size: _Total = msgspec.field(default_factory=_Total)


class _Metrics(Struct):
    total_requests: float
    successful_requests: float | None = None
    failed_requests: float | None = None
    rejected_requests: float | None = None
    rejected_by_reason: dict[str, float] | None = None
    pairs: float | None = None
    tokens: _Tokens = msgspec.field(default_factory=_Tokens)
    latency: _Latency = msgspec.field(default_factory=_Latency)
    queue: _Controller = msgspec.field(default_factory=_Controller)
    queue_time: _Sum = msgspec.field(default_factory=_Sum)
    inference_time: _Sum = msgspec.field(default_factory=_Sum)
    cache: _Cache = msgspec.field(default_factory=_Cache)
    engine: _Engine = msgspec.field(default_factory=_Engine)
    process: _Process = msgspec.field(default_factory=_Process)


async def read_health(client: Client, path: str) -> Reading:
    """State and identity; raises :class:`FetchError` when the answer is not ours."""
    answer = await fetch(client, path)
    # 503 carries the same body: a server that loads or drains says so.
    if answer.status not in (200, 503):
        raise status_error(answer)
    health: _Health = answer.json(_Health)
    model = health.model or _Model()
    return Reading(
        state=_STATES.get(health.status, ServerState.UNKNOWN),
        detail=health.reason or "",
        identity=Identity(
            version=health.version,
            pid=health.pid,
            started_at=health.started_at,
            model=model.name,
            family=model.family,
            backend=model.backend,
            device=model.device,
            dtype=model.dtype,
            revision=model.revision,
        ),
    )


async def read_counters(client: Client) -> Counters:
    """The numbers of ``/metrics``; raises :class:`FetchError`."""
    answer = await fetch(client, "/metrics")
    if answer.status != 200:
        raise status_error(answer)
    metrics: _Metrics = answer.json(_Metrics)
    return Counters(
        requests=metrics.total_requests,
        succeeded=metrics.successful_requests,
        failed=metrics.failed_requests,
        rejected=metrics.rejected_requests,
        rejected_by_reason=metrics.rejected_by_reason,
        pairs=metrics.pairs,
        tokens_real=metrics.tokens.real,
        tokens_padded=metrics.tokens.padded,
        latency=_histogram(metrics.latency),
        queue_seconds=metrics.queue_time.sum_seconds,
        inference_seconds=metrics.inference_time.sum_seconds,
        active=metrics.queue.active,
        waiting=metrics.queue.waiting,
        max_parallel=metrics.queue.max_parallel,
        max_queue=metrics.queue.max_queue,
        cache_hits=metrics.cache.hits,
        cache_misses=metrics.cache.misses,
        batches=metrics.engine.batches,
        batch_pairs=metrics.engine.batch_size.sum,
        resident_bytes=metrics.process.resident_bytes,
        cpu_seconds=metrics.process.cpu_seconds,
        start_time=metrics.process.start_time,
    )


def _histogram(latency: _Latency) -> Histogram | None:
    try:
        bounds = tuple(INFINITY if b == "+Inf" else float(b) for b, _ in latency.buckets)
    except ValueError:
        raise FetchError(Failure.SHAPE, "unexpected answer: a bucket without a bound") from None
    if not bounds or bounds[-1] != INFINITY or list(bounds) != sorted(set(bounds)):
        return None
    return Histogram(bounds, tuple(count for _, count in latency.buckets), latency.sum_seconds)


def status_error(answer: Answer) -> FetchError:
    """An HTTP status that is an answer, but not a good one."""
    if answer.status in (401, 403):
        return FetchError(
            Failure.UNAUTHORIZED, f"HTTP {answer.status}: the server wants another key"
        )
    return FetchError(Failure.STATUS, f"HTTP {answer.status}")
