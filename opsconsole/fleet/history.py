"""The last minute of one server, and of a fleet: rates, quantiles and trends.

A rate is reset-aware; a share is delta over delta; a quantile of several servers comes from merged
buckets, never from averaged quantiles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from opsconsole.fleet.quantile import delta, merge, quantile
from opsconsole.fleet.snapshot import Counters, Histogram, ServerState, Snapshot

WINDOW = 60.0
RATE_WINDOW = 10.0


class Figures(Struct, frozen=True, kw_only=True):
    """Derived numbers of one window. ``None``: cannot be said; seconds and 1/seconds."""

    request_rate: float | None = None
    pair_rate: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    successes: float | None = None
    failures: float | None = None
    reject_rate: float | None = None
    cache_share: float | None = None
    padding_share: float | None = None
    cpu_cores: float | None = None
    latency: Histogram | None = None

    @property
    def error_share(self) -> float | None:
        """Failed and rejected requests among all that were the server's to answer."""
        return _share(self.failures, self.successes)


class Point(Struct, frozen=True):
    """One step of a trend: between one poll and the one before."""

    clock: float
    rate: float | None
    p50: float | None
    p95: float | None
    waiting: float | None


class History:
    """What the last :data:`WINDOW` seconds of polls of one server say."""

    def __init__(self, window: float = WINDOW) -> None:
        self.window = window
        self.last: Snapshot | None = None
        self.state_since: float | None = None
        self.points: deque[Point] = deque()
        self._seen: deque[Snapshot] = deque()

    def add(self, snapshot: Snapshot) -> None:
        """Take in the next snapshot."""
        before = self.last
        if before is None or before.state is not snapshot.state:
            self.state_since = snapshot.at
        self.last = snapshot
        self.points.append(_point(before, snapshot))
        self._seen.append(snapshot)
        horizon = snapshot.clock - self.window
        while self.points and self.points[0].clock < horizon:
            self.points.popleft()
        # One older snapshot stays, so that the window is whole.
        while len(self._seen) > 1 and self._seen[1].clock <= horizon:
            self._seen.popleft()

    def figures(self) -> Figures:
        """The numbers of the window; empty when the server does not answer now."""
        if self.last is None or self.last.counters is None:
            return Figures()
        steps = [
            (old.counters, new.counters, new.clock - old.clock)
            for old, new in _pairs(s for s in self._seen if s.counters is not None)
            if old.counters is not None and new.counters is not None
        ]
        recent, seconds = [], 0.0
        for step in reversed(steps):
            if seconds >= RATE_WINDOW:
                break
            recent.append(step)
            seconds += step[2]
        latency = merge(
            delta(new.latency, None if _restarted(old, new) else old.latency)
            for old, new, _ in steps
            if new.latency is not None
        )
        hits, misses = _sum(steps, "cache_hits"), _sum(steps, "cache_misses")
        real, padded = _sum(steps, "tokens_real"), _sum(steps, "tokens_padded")
        return Figures(
            request_rate=_per(_sum(recent, "requests"), seconds),
            pair_rate=_per(_sum(recent, "pairs"), seconds),
            p50=quantile(latency, 0.50) if latency else None,
            p95=quantile(latency, 0.95) if latency else None,
            p99=quantile(latency, 0.99) if latency else None,
            successes=_sum(steps, "succeeded"),
            failures=_sum(steps, "failed", "rejected"),
            reject_rate=_per(_sum(recent, "rejected"), seconds),
            cache_share=_share(hits, misses),
            padding_share=1 - real / padded if real and padded and padded >= real else None,
            cpu_cores=_per(_sum(recent, "cpu_seconds"), seconds),
            latency=latency,
        )


class FleetFigures(Struct, frozen=True, kw_only=True):
    """All servers of a fleet together."""

    up: int
    total: int
    request_rate: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    error_share: float | None


def aggregate(servers: Iterable[tuple[Snapshot | None, Figures]]) -> FleetFigures:
    """The fleet's figures: rates summed, quantiles from merged buckets, shares delta over delta."""
    pairs = list(servers)
    parts = [figures for _, figures in pairs]
    rates = [p.request_rate for p in parts if p.request_rate is not None]
    latency = merge(p.latency for p in parts if p.latency is not None)
    told = [p for p in parts if p.failures is not None and p.successes is not None]
    return FleetFigures(
        up=sum(1 for last, _ in pairs if last and last.state is ServerState.UP),
        total=len(pairs),
        request_rate=sum(rates) if rates else None,
        p50=quantile(latency, 0.50) if latency else None,
        p95=quantile(latency, 0.95) if latency else None,
        p99=quantile(latency, 0.99) if latency else None,
        error_share=_share(
            sum(p.failures or 0.0 for p in told), sum(p.successes or 0.0 for p in told)
        ),
    )


Step = tuple[Counters, Counters, float]


def _pairs(items: Iterable[Snapshot]) -> Iterable[tuple[Snapshot, Snapshot]]:
    before: Snapshot | None = None
    for item in items:
        if before is not None:
            yield before, item
        before = item


def _restarted(old: Counters, new: Counters) -> bool:
    return (old.start_time is not None and new.start_time is not None
            and old.start_time != new.start_time)  # fmt: skip


def _sum(steps: Iterable[Step], *names: str) -> float | None:
    """How far counters advanced over the steps; a counter that fell was reset and counts anew."""
    total: float | None = None
    for old, new, _ in steps:
        restarted = _restarted(old, new)
        for name in names:
            a, b = getattr(old, name), getattr(new, name)
            if b is None or a is None:
                continue
            total = (total or 0.0) + (b if restarted or b < a else b - a)
    return total


def _per(amount: float | None, seconds: float) -> float | None:
    return amount / seconds if amount is not None and seconds > 0 else None


def _share(part: float | None, rest: float | None) -> float | None:
    if part is None or rest is None or part + rest <= 0:
        return None
    return part / (part + rest)


def _point(old: Snapshot | None, new: Snapshot) -> Point:
    before, now = old.counters if old else None, new.counters
    if old is None or before is None or now is None:
        return Point(new.clock, None, None, None, now.waiting if now else None)
    seconds = new.clock - old.clock
    latency = None
    if now.latency is not None:
        latency = delta(now.latency, None if _restarted(before, now) else before.latency)
    return Point(
        new.clock,
        _per(_sum([(before, now, seconds)], "requests"), seconds),
        quantile(latency, 0.50) if latency else None,
        quantile(latency, 0.95) if latency else None,
        now.waiting,
    )
