"""Quantiles from cumulative buckets, as Prometheus' ``histogram_quantile`` computes them."""

from __future__ import annotations

from collections.abc import Iterable

from opsconsole.fleet.snapshot import INFINITY, Histogram


def quantile(histogram: Histogram, q: float) -> float | None:
    """The ``q`` quantile in seconds by linear interpolation; None without observations.

    In the last, unbounded bucket the highest finite bound is returned: the truth is at least that.
    Source: prometheus/prometheus promql/quantile.go, ``bucketQuantile``.
    """
    total = histogram.total
    if total <= 0:
        return None
    rank = q * total
    lower, below = 0.0, 0.0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=True):
        if count >= rank and count > below:
            if bound == INFINITY:
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower


def delta(new: Histogram, old: Histogram | None) -> Histogram:
    """What was observed between two readings; all of ``new`` after a reset or other buckets."""
    if old is None or old.bounds != new.bounds or new.total < old.total:
        return new
    counts = tuple(max(0.0, n - o) for n, o in zip(new.counts, old.counts, strict=True))
    return Histogram(new.bounds, counts, max(0.0, new.sum - old.sum))


def merge(histograms: Iterable[Histogram]) -> Histogram | None:
    """One histogram of several servers. Bounds that not all have are left out, which stays exact:
    cumulative counts at the bounds they share simply add up."""
    parts = list(histograms)
    if not parts:
        return None
    shared = set(parts[0].bounds).intersection(*(p.bounds for p in parts[1:]))
    bounds = tuple(sorted(shared))
    if not bounds or bounds[-1] != INFINITY:
        return None
    counts = [0.0] * len(bounds)
    for part in parts:
        at = dict(zip(part.bounds, part.counts, strict=True))
        for i, bound in enumerate(bounds):
            counts[i] += at[bound]
    return Histogram(bounds, tuple(counts), sum(p.sum for p in parts))
