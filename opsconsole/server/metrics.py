"""What one server has done, counted once and shown twice: as JSON and as Prometheus text.

Plain numbers, changed by the event loop alone: counting a request takes no lock, and the
Prometheus library is loaded when somebody asks for its format (see :mod:`exposition`).
"""

from __future__ import annotations

import math
import os
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from opsconsole.engine.records import EngineStats, Scores
    from opsconsole.server.admission import Admission

BOUNDS: tuple[float, ...] = (
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075,
    0.01, 0.015, 0.02, 0.03, 0.05, 0.075,
    0.1, 0.15, 0.2, 0.3, 0.5, 0.75,
    1.0, 1.5, 2.0, 3.0, 5.0, 7.5,
    10.0, 15.0, 20.0, 30.0, 60.0, 120.0,
)  # fmt: skip
"""Upper bounds in seconds: steps of at most 2, so that a quantile is off by less than that."""

REFUSALS = ("loading", "draining", "queue_full")
CLIENT_GONE = 499


class Histogram:
    """Durations in fixed buckets, with their extremes."""

    __slots__ = ("_counts", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.count += 1
        self.total += seconds
        self.minimum = min(self.minimum, seconds)
        self.maximum = max(self.maximum, seconds)

    def cumulative(self) -> list[int]:
        """Counts up to each bound; the last, for +Inf, is the count of all."""
        out, running = [], 0
        for count in self._counts:
            running += count
            out.append(running)
        return out

    def quantile(self, q: float) -> float | None:
        """Seconds below which the share ``q`` lies, linear within a bucket; ``None`` when empty.

        The observed extremes narrow the outer buckets, so that it never lies beyond them.
        """
        if not self.count:
            return None
        rank = q * self.count
        below = 0
        for place, count in enumerate(self._counts):
            if count and below + count >= rank:
                low = max(BOUNDS[place - 1] if place else 0.0, self.minimum)
                high = min(BOUNDS[place] if place < len(BOUNDS) else math.inf, self.maximum)
                return low + (high - low) * max(0.0, rank - below) / count
            below += count
        return self.maximum


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


class Tokens(msgspec.Struct, frozen=True):
    """Tokens of successful requests; ``padded`` counts positions computed, padding included."""

    real: int
    padded: int
    truncated_pairs: int


class Queue(msgspec.Struct, frozen=True):
    active: int
    waiting: int
    max_parallel: int
    max_queue: int


class Cache(msgspec.Struct, frozen=True):
    enabled: bool
    hits: int
    misses: int
    hit_rate: float | None
    entries: int
    bytes: int


class Process(msgspec.Struct, frozen=True):
    pid: int
    start_time: float
    resident_bytes: int
    cpu_seconds: float


class MetricsView(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of ``/metrics``: requests of the rerank routes since the server started."""

    total_requests: int
    successful_requests: int
    failed_requests: int
    """5xx that are not refusals."""
    rejected_requests: int
    """503: loading, draining, queue full."""
    cancelled_requests: int
    """The client went away; status 499."""
    invalid_requests: int
    """The client's mistake: 4xx."""
    success_rate: float | None
    """successful / (successful + failed + rejected); ``null`` while that is 0."""
    requests_by_status: dict[str, int]
    rejected_by_reason: dict[str, int]
    pairs: int
    tokens: Tokens
    latency: Durations
    """Successful requests, from their headers to their answer."""
    queue: Queue
    queue_time: Durations
    tokenize_time: Durations
    inference_time: Durations
    cache: Cache
    process: Process
    uptime_seconds: float


class Metrics:
    """Counts requests; for one event loop."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        """(endpoint, status) → how many."""
        self.rejected: dict[str, int] = dict.fromkeys(REFUSALS, 0)
        self.pairs = 0
        self.tokens_real = 0
        self.tokens_padded = 0
        self.truncated_pairs = 0
        self.latency = Histogram()
        self.queue_time = Histogram()
        self.tokenize_time = Histogram()
        self.inference_time = Histogram()
        self._started = time.monotonic()

    def ended(self, endpoint: str, status: int, seconds: float, refusal: str | None = None) -> None:
        """Count the end of a request; ``refusal`` is one of :data:`REFUSALS`."""
        key = (endpoint, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        if refusal is not None:
            self.rejected[refusal] += 1
        if status == 200:
            self.latency.observe(seconds)

    def scored(self, scores: Scores, queue_seconds: float) -> None:
        """Count the work of a successful request; ``queue_seconds`` is all its waiting."""
        self.pairs += len(scores.values)
        self.tokens_real += scores.tokens
        self.tokens_padded += scores.padded_tokens
        self.truncated_pairs += scores.truncated
        self.queue_time.observe(queue_seconds)
        self.tokenize_time.observe(scores.tokenize_seconds)
        self.inference_time.observe(scores.inference_seconds)

    def count(self, low: int, high: int) -> int:
        """Requests that ended with a status from ``low`` up to, but without, ``high``."""
        return sum(n for (_, status), n in self.requests.items() if low <= status < high)

    @property
    def uptime(self) -> float:
        return time.monotonic() - self._started

    def view(self, stats: EngineStats, admission: Admission, *, cache: bool) -> MetricsView:
        """Everything, as JSON shows it."""
        successful = self.count(200, 300)
        rejected = sum(self.rejected.values())
        failed = self.count(500, 600) - rejected
        cancelled = self.count(CLIENT_GONE, 500)
        judged = successful + failed + rejected
        by_status: dict[str, int] = {}
        for (_, status), n in sorted(self.requests.items(), key=lambda item: item[0][1]):
            by_status[str(status)] = by_status.get(str(status), 0) + n
        lookups = stats.cache_hits + stats.cache_misses
        return MetricsView(
            total_requests=sum(self.requests.values()),
            successful_requests=successful,
            failed_requests=failed,
            rejected_requests=rejected,
            cancelled_requests=cancelled,
            invalid_requests=self.count(400, CLIENT_GONE),
            success_rate=successful / judged if judged else None,
            requests_by_status=by_status,
            rejected_by_reason=dict(self.rejected),
            pairs=self.pairs,
            tokens=Tokens(self.tokens_real, self.tokens_padded, self.truncated_pairs),
            latency=Durations.of(self.latency),
            queue=Queue(
                admission.active, admission.waiting, admission.max_parallel, admission.max_queue
            ),
            queue_time=Durations.of(self.queue_time),
            tokenize_time=Durations.of(self.tokenize_time),
            inference_time=Durations.of(self.inference_time),
            cache=Cache(
                cache,
                stats.cache_hits,
                stats.cache_misses,
                stats.cache_hits / lookups if lookups else None,
                stats.cache_entries,
                stats.cache_bytes,
            ),
            process=process_now(),
            uptime_seconds=self.uptime,
        )


def process_now() -> Process:
    """What this process has used so far."""
    import psutil

    process = psutil.Process()
    return Process(
        os.getpid(), process.create_time(), process.memory_info().rss, time.process_time()
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
