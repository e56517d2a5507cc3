"""Durations, counted in fixed buckets."""

from __future__ import annotations

import math
from bisect import bisect_left

BOUNDS: tuple[float, ...] = (
    0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075,
    0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075,
    0.01, 0.015, 0.02, 0.03, 0.05, 0.075,
    0.1, 0.15, 0.2, 0.3, 0.5, 0.75,
    1.0, 1.5, 2.0, 3.0, 5.0, 7.5,
    10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 240.0, 480.0,
)  # fmt: skip
"""Upper bounds in seconds: steps of at most 2, so that a quantile is off by less than that."""


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
