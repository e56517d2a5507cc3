"""What ``/metrics`` says in JSON, and what that and :mod:`exposition` are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from opsconsole import __version__
from opsconsole.engine.counters import POSITION_BOUNDS, ROW_BOUNDS
from opsconsole.engine.records import Agreement, EngineStats, ModelInfo
from opsconsole.server.counting import CLIENT_GONE, Metrics
from opsconsole.server.histogram import BOUNDS, Histogram
from opsconsole.server.usage import Process, process_now

if TYPE_CHECKING:
    from opsconsole.server.admission import Admission


class Snapshot(NamedTuple):
    """Everything that is known at one moment."""

    metrics: Metrics
    admission: Admission
    stats: EngineStats
    info: ModelInfo | None
    """``None`` while the model is being loaded."""
    model: str
    """Its name, as configured until it is loaded."""
    cache: bool
    draining: bool


class Durations(msgspec.Struct, frozen=True):
    """A histogram in JSON. Milliseconds are ``null`` while nothing was counted."""

    count: int
    sum_seconds: float
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    buckets: list[tuple[float | str, int]]
    """(upper bound in seconds, durations up to it); the last bound is ``"+Inf"``."""

    @classmethod
    def of(cls, histogram: Histogram) -> Durations:
        """The view of a histogram."""
        count = histogram.count
        return cls(
            count,
            histogram.total,
            _ms(histogram.total / count) if count else None,
            _ms(histogram.quantile(0.5)),
            _ms(histogram.quantile(0.95)),
            _ms(histogram.quantile(0.99)),
            _ms(histogram.maximum) if count else None,
            list(zip((*BOUNDS, "+Inf"), histogram.cumulative(), strict=True)),
        )


class Sizes(msgspec.Struct, frozen=True):
    """A histogram of batches by their size."""

    count: int
    sum: int
    buckets: list[tuple[float | str, int]]
    """(most in a batch, batches up to it); the last bound is ``"+Inf"``."""

    @classmethod
    def of(cls, bounds: Sequence[int], counts: Sequence[int], total: int) -> Sizes:
        """The view of counts, one for each bound and one above; none at all count as zeros."""
        running, cumulative = 0, []
        for count in counts or (0,) * (len(bounds) + 1):
            running += count
            cumulative.append(running)
        return cls(running, total, list(zip((*bounds, "+Inf"), cumulative, strict=True)))


class Tokens(msgspec.Struct, frozen=True):
    """Tokens of successful requests; ``padded`` counts positions computed, padding included."""

    real: int
    padded: int
    truncated_pairs: int


class Queue(msgspec.Struct, frozen=True):
    """Requests in the engine, and before it; tokens by estimate."""

    active: int
    waiting: int
    max_parallel: int
    max_queue: int
    tokens: int
    max_tokens: int


class Cache(msgspec.Struct, frozen=True):
    """Scores kept of pairs, or vectors of texts."""

    enabled: bool
    hits: int
    misses: int
    hit_rate: float | None
    entries: int
    bytes: int

    @classmethod
    def of(cls, enabled: bool, hits: int, misses: int, entries: int, size: int) -> Cache:
        """The view of the counts."""
        rate = hits / (hits + misses) if hits + misses else None
        return cls(enabled, hits, misses, rate, entries, size)


class DeviceMemory(msgspec.Struct, frozen=True):
    """Bytes of an accelerator."""

    allocated: int
    reserved: int
    total: int


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """What happens below the requests."""

    up: bool
    batches: int
    batch_size: Sizes
    """Pairs in a batch."""
    batch_tokens: Sizes
    """Positions in a batch, padding included."""
    queued_rows: int
    queued_tokens: int
    """Tokenised, and waiting for the device."""
    failures: int
    consecutive_failures: int
    out_of_memory: int
    cancelled: int
    shared_pairs: int
    tokens_per_second: float | None
    last_forward_age_seconds: float | None
    device_memory: DeviceMemory | None


class Build(msgspec.Struct, frozen=True):
    """What runs here; empty where it is not known yet."""

    version: str
    model: str
    revision: str
    backend: str
    device: str
    dtype: str
    kernels: str
    batch_tokens: str
    threads: str

    @classmethod
    def of(cls, name: str, info: ModelInfo | None) -> Build:
        """As labels have it: all text."""
        if info is None:
            return cls(__version__, name, "", "", "", "", "", "", "")
        tuning = info.tuning
        return cls(
            __version__,
            info.name,
            info.revision,
            info.backend,
            info.device,
            info.dtype,
            tuning.kernels,
            str(tuning.batch_tokens),
            str(tuning.threads),
        )


class Client(msgspec.Struct, frozen=True):
    """The requests with one key."""

    requests_by_status: dict[str, int]
    pairs: int


class MetricsView(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of ``/metrics``: requests of the routes that rank, since the server started."""

    total_requests: int
    successful_requests: int
    failed_requests: int
    """5xx that are not refusals."""
    rejected_requests: int
    """503 and 504 for want of time or room: loading, draining, queue full, overloaded, deadline."""
    cancelled_requests: int
    """The client went away; status 499."""
    expired_requests: int
    """The deadline came before the scores; they are among the rejected."""
    invalid_requests: int
    """The client's mistake: 4xx."""
    success_rate: float | None
    """successful / (successful + failed + rejected); ``null`` while that is 0."""
    requests_by_status: dict[str, int]
    requests_by_endpoint: dict[str, dict[str, int]]
    rejected_by_reason: dict[str, int]
    """By the type of error, also of requests that got to no route."""
    clients: dict[str, Client]
    """By the name of the key."""
    pairs: int
    tokens: Tokens
    latency: Durations
    """Successful requests, from their headers to their answer."""
    queue: Queue
    queue_time: Durations
    tokenize_time: Durations
    inference_time: Durations
    cache: Cache
    embedding_cache: Cache
    engine: Engine
    agreement: Agreement | None
    """Of a reduced precision with float32."""
    draining: bool
    build: Build
    process: Process
    uptime_seconds: float

    @classmethod
    def of(cls, snapshot: Snapshot) -> MetricsView:
        """Everything, as JSON shows it."""
        metrics, admission, stats = snapshot.metrics, snapshot.admission, snapshot.stats
        successful = metrics.count(200, 300)
        failed = metrics.count(500, 600) - metrics.shed
        judged = successful + failed + metrics.shed
        by_status: dict[int, int] = {}
        by_endpoint: dict[str, dict[str, int]] = {}
        for (endpoint, status), n in sorted(metrics.requests.items()):
            by_status[status] = by_status.get(status, 0) + n
            by_endpoint.setdefault(endpoint, {})[str(status)] = n
        return cls(
            total_requests=sum(metrics.requests.values()),
            successful_requests=successful,
            failed_requests=failed,
            rejected_requests=metrics.shed,
            cancelled_requests=metrics.count(CLIENT_GONE, 500),
            expired_requests=metrics.rejected["deadline_exceeded"],
            invalid_requests=metrics.count(400, CLIENT_GONE),
            success_rate=successful / judged if judged else None,
            requests_by_status=_by_status(by_status),
            requests_by_endpoint=by_endpoint,
            rejected_by_reason=dict(metrics.rejected),
            clients={
                name: Client(_by_status(counts.requests), counts.pairs)
                for name, counts in sorted(metrics.clients.items())
            },
            pairs=metrics.pairs,
            tokens=Tokens(metrics.tokens_real, metrics.tokens_padded, metrics.truncated_pairs),
            latency=Durations.of(metrics.latency),
            queue=Queue(
                admission.active,
                admission.waiting,
                admission.max_parallel,
                admission.max_queue,
                admission.tokens,
                admission.max_tokens,
            ),
            queue_time=Durations.of(metrics.queue_time),
            tokenize_time=Durations.of(metrics.tokenize_time),
            inference_time=Durations.of(metrics.inference_time),
            cache=Cache.of(
                snapshot.cache,
                stats.cache_hits,
                stats.cache_misses,
                stats.cache_entries,
                stats.cache_bytes,
            ),
            embedding_cache=Cache.of(
                snapshot.cache
                and snapshot.info is not None
                and snapshot.info.family == "bi-encoder",
                stats.embedding_hits,
                stats.embedding_misses,
                stats.embedding_entries,
                stats.embedding_bytes,
            ),
            engine=engine_view(stats, up=snapshot.info is not None),
            agreement=None if snapshot.info is None else snapshot.info.agreement,
            draining=snapshot.draining,
            build=Build.of(snapshot.model, snapshot.info),
            process=process_now(),
            uptime_seconds=metrics.uptime,
        )


def engine_view(stats: EngineStats, *, up: bool) -> Engine:
    """What the engine has counted, as both faces show it."""
    return Engine(
        up=up,
        batches=stats.batches,
        batch_size=Sizes.of(ROW_BOUNDS, stats.batch_rows, stats.rows),
        batch_tokens=Sizes.of(POSITION_BOUNDS, stats.batch_positions, stats.tokens_padded),
        queued_rows=stats.queued_rows,
        queued_tokens=stats.queued_tokens,
        failures=stats.failures,
        consecutive_failures=stats.consecutive_failures,
        out_of_memory=stats.out_of_memory,
        cancelled=stats.cancelled,
        shared_pairs=stats.shared_pairs,
        tokens_per_second=stats.tokens_per_second,
        last_forward_age_seconds=stats.last_forward_age,
        device_memory=None if stats.device_memory is None else DeviceMemory(*stats.device_memory),
    )


def _by_status(counts: dict[int, int]) -> dict[str, int]:
    return {str(status): n for status, n in sorted(counts.items())}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
