"""The last minute of one server, and of a fleet: rates, quantiles and trends.

A rate is reset-aware; a share is delta over delta; a quantile of several servers comes from merged
buckets, never from averaged quantiles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from opsconsole.fleet.buckets import delta, merge, quantile
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
    reject_reasons: tuple[tuple[str, float], ...] = ()
    """(type of the error, refusals a second), the most frequent first."""
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


class Totals(Struct, frozen=True):
    """Counters that never fall: what was seen so far, resets bridged. Made once a poll, so that
    the figures of any window are one subtraction."""

    clock: float
    values: dict[str, float]
    latency: Histogram | None


class History:
    """What the last :data:`WINDOW` seconds of polls of one server say."""

    def __init__(self, window: float = WINDOW) -> None:
        self.window = window
        self.last: Snapshot | None = None
        self.state_since: float | None = None
        self.points: deque[Point] = deque()
        self._totals: deque[Totals] = deque()
        self._counters: Counters | None = None

    def add(self, snapshot: Snapshot) -> None:
        """Take in the next snapshot."""
        before, self.last = self.last, snapshot
        if before is None or before.state is not snapshot.state:
            self.state_since = snapshot.at
        horizon = snapshot.clock - self.window
        counters = snapshot.counters
        if counters is None:
            self.points.append(Point(snapshot.clock, None, None, None, None))
        else:
            last = self._totals[-1] if self._totals else None
            totals = _advance(last, self._counters, counters, snapshot.clock)
            self.points.append(_point(last, totals, counters.waiting))
            self._totals.append(totals)
            self._counters = counters
        while self.points and self.points[0].clock < horizon:
            self.points.popleft()
        # One older reading stays, so that the window is whole.
        while len(self._totals) > 1 and self._totals[1].clock <= horizon:
            self._totals.popleft()

    def figures(self) -> Figures:
        """The numbers of the window; empty when the server does not answer now."""
        if self.last is None or self.last.counters is None or len(self._totals) < 2:
            return Figures()
        end, start = self._totals[-1], self._totals[0]
        recent = next(t for t in self._totals if t.clock >= end.clock - RATE_WINDOW)
        if recent is end:
            recent = self._totals[-2]
        latency = delta(end.latency, start.latency) if end.latency else None
        real, padded = _grown(start, end, "tokens_real"), _grown(start, end, "tokens_padded")
        return Figures(
            request_rate=_rate(recent, end, "requests"),
            pair_rate=_rate(recent, end, "pairs"),
            p50=quantile(latency, 0.50) if latency else None,
            p95=quantile(latency, 0.95) if latency else None,
            p99=quantile(latency, 0.99) if latency else None,
            successes=_grown(start, end, "succeeded"),
            failures=_grown(start, end, "failed", "rejected"),
            reject_rate=_rate(recent, end, "rejected"),
            reject_reasons=_reasons(recent, end),
            cache_share=_share(
                _grown(start, end, "cache_hits"), _grown(start, end, "cache_misses")
            ),
            padding_share=1 - real / padded if real and padded and padded >= real else None,
            cpu_cores=_rate(recent, end, "cpu_seconds"),
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


_COUNTERS = (
    "requests", "succeeded", "failed", "rejected", "pairs", "tokens_real", "tokens_padded",
    "cache_hits", "cache_misses", "cpu_seconds",
)  # fmt: skip
_REASON = "rejected: "


def _advance(last: Totals | None, old: Counters | None, new: Counters, clock: float) -> Totals:
    """The totals after another reading. A counter that fell was reset and counts from zero."""
    restarted = old is not None and (
        old.start_time is not None
        and new.start_time is not None
        and old.start_time != new.start_time
    )
    values = dict(last.values) if last else {}
    for name in _COUNTERS:
        now = getattr(new, name)
        if now is None:
            values.pop(name, None)
            continue
        before = getattr(old, name) if old is not None else now
        if before is None:
            before = now
        step = now if restarted or now < before else now - before
        values[name] = values.get(name, 0.0) + step
    known = old.rejected_by_reason if old is not None else None
    for reason, now in (new.rejected_by_reason or {}).items():
        if not now:
            continue  # there are many reasons, and mostly none of them
        before = now if known is None else known.get(reason, 0.0)
        step = now if restarted or now < before else now - before
        values[_REASON + reason] = values.get(_REASON + reason, 0.0) + step
    latency = new.latency
    if latency is not None:
        base = last.latency if last else None
        if base is not None and base.bounds == latency.bounds and old is not None:
            step_latency = delta(latency, None if restarted else old.latency)
            counts = tuple(b + s for b, s in zip(base.counts, step_latency.counts, strict=True))
            latency = Histogram(base.bounds, counts, base.sum + step_latency.sum)
    return Totals(clock, values, latency)


def _grown(start: Totals, end: Totals, *names: str) -> float | None:
    """How far counters advanced together; None when none of them is told at both ends."""
    steps = [
        end.values[name] - start.values[name]
        for name in names
        if name in end.values and name in start.values
    ]
    return max(0.0, sum(steps)) if steps else None


def _rate(start: Totals, end: Totals, name: str) -> float | None:
    amount, seconds = _grown(start, end, name), end.clock - start.clock
    return amount / seconds if amount is not None and seconds > 0 else None


def _reasons(start: Totals, end: Totals) -> tuple[tuple[str, float], ...]:
    seconds = end.clock - start.clock
    grown = {
        name.removeprefix(_REASON): total - start.values.get(name, 0.0)
        for name, total in end.values.items()
        if name.startswith(_REASON)
    }
    if seconds <= 0:
        return ()
    found = [(reason, amount / seconds) for reason, amount in grown.items() if amount > 0]
    return tuple(sorted(found, key=lambda one: -one[1]))


def _share(part: float | None, rest: float | None) -> float | None:
    if part is None or rest is None or part + rest <= 0:
        return None
    return part / (part + rest)


def _point(last: Totals | None, now: Totals, waiting: float | None) -> Point:
    if last is None:
        return Point(now.clock, None, None, None, waiting)
    latency = delta(now.latency, last.latency) if now.latency else None
    return Point(
        now.clock,
        _rate(last, now, "requests"),
        quantile(latency, 0.50) if latency else None,
        quantile(latency, 0.95) if latency else None,
        waiting,
    )
