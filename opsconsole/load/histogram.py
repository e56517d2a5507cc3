"""Latencies counted in buckets at most 0.8 % wide: constant memory, and merging is exact.

The layout is that of HdrHistogram: a value keeps its eight leading bits. Values are whole
nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

BITS = 8
_EXACT = 1 << BITS


def index_of(value: int) -> int:
    """The bucket of ``value`` nanoseconds; below 256 every value has its own."""
    shift = value.bit_length() - BITS
    return value if shift <= 0 else (shift << (BITS - 1)) + (value >> shift)


def lower_of(index: int) -> int:
    """The least value, in nanoseconds, of a bucket."""
    if index < _EXACT:
        return index
    shift = (index >> (BITS - 1)) - 1
    return (index - (shift << (BITS - 1))) << shift


def middle_of(index: int) -> float:
    """The middle of a bucket in nanoseconds: at most 0.4 % from every value in it."""
    low = lower_of(index)
    return (low + lower_of(index + 1) - 1) / 2


class Histogram(Struct):
    """Counts by bucket, with the exact least, largest, number and sum. Nanoseconds."""

    counts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    sum: int = 0
    least: int = 0
    largest: int = 0

    def record(self, values: Iterable[int]) -> None:
        """Count ``values``; what is below 0 counts as 0."""
        known = [value if value > 0 else 0 for value in values]
        if not known:
            return
        counts = self.counts
        get = counts.get
        for value in known:
            shift = value.bit_length() - BITS
            key = value if shift <= 0 else (shift << (BITS - 1)) + (value >> shift)
            counts[key] = get(key, 0) + 1
        least = min(known)
        self.least = min(self.least, least) if self.total else least
        self.largest = max(self.largest, max(known))
        self.total += len(known)
        self.sum += sum(known)

    def add(self, other: Histogram) -> None:
        """Count what ``other`` counted too."""
        if not other.total:
            return
        counts = self.counts
        for key, count in other.counts.items():
            counts[key] = counts.get(key, 0) + count
        self.least = min(self.least, other.least) if self.total else other.least
        self.largest = max(self.largest, other.largest)
        self.total += other.total
        self.sum += other.sum

    def percentile(self, percent: float) -> float | None:
        """Seconds below which ``percent`` of the values lie (nearest rank); None without values."""
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Iterable[float]) -> list[float | None]:
        """Several of them in one walk; see :meth:`percentile`."""
        wanted = list(percents)
        if not self.total:
            return [None] * len(wanted)
        order = sorted(range(len(wanted)), key=wanted.__getitem__)
        found: list[float | None] = [None] * len(wanted)
        seen, at = 0, 0
        for key in sorted(self.counts):
            seen += self.counts[key]
            while at < len(order):
                percent = wanted[order[at]]
                # 99.9 / 100 * 1000 is 999.0000000000001, whose ceiling is a rank too far.
                rank = max(1, -int(-(percent * self.total * (1 - 1e-12)) // 100))
                if rank > seen:
                    break
                value = min(max(middle_of(key), self.least), self.largest)
                found[order[at]] = (self.largest if percent >= 100 else value) / 1e9
                at += 1
        return found

    @property
    def mean(self) -> float | None:
        """Seconds; None without values."""
        return self.sum / self.total / 1e9 if self.total else None

    @property
    def maximum(self) -> float | None:
        """Seconds; None without values."""
        return self.largest / 1e9 if self.total else None
