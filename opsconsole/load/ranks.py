"""Percentiles in which a failed request is infinitely slow: a server does not become fast by
refusing work."""

from __future__ import annotations

import math

from opsconsole.load.histogram import Histogram


def rank_of(percent: float, whole: int) -> int:
    """Which of ``whole`` values, the least being the first, is the percentile (nearest rank)."""
    return max(1, math.ceil(percent * whole * (1 - 1e-12) / 100))


def percentile(histogram: Histogram, failed: int, percent: float) -> float | None:
    """Seconds, nearest rank, with ``failed`` further requests that took for ever: ``inf`` when the
    rank falls among them. None when there is neither a value nor a failure."""
    if not failed:
        return histogram.percentile(percent)
    whole = histogram.total + failed
    rank = rank_of(percent, whole)
    if rank > histogram.total:
        return math.inf
    return histogram.percentile(100 * rank / histogram.total)
