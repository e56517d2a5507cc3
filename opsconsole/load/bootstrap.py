"""The block bootstrap over the ticks of two runs.

Requests of one second share that second's fate, so single requests must not be resampled: the
error would come out far too small. Instead, blocks of consecutive ticks are drawn with replacement
(circular block bootstrap; Politis and Romano 1992), at the same places of both runs, so that a
ramp cancels out. The interval is widened for few blocks as in Hesterberg 2015 (the "expanded
percentile" interval).
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from operator import itemgetter
from statistics import NormalDist, StatisticsError, correlation
from typing import NamedTuple

from opsconsole.load.histogram import lower_of
from opsconsole.load.judge import histogram_of, is_latency, percent_of
from opsconsole.load.moods import Mood, mood_of
from opsconsole.load.records import Run, Tick, Totals
from opsconsole.profile.threshold import METRICS

RESAMPLES = 2000
LEAST_BLOCKS = 5
"""Of a phase that has as many ticks: fewer say nothing about how much a run varies."""
LEAST_STRETCHES = 8
"""Independent ones of each run, as many as the seconds it must have (comparable.LEAST_TICKS)."""
BEYOND = 5
"""Requests that must lie beyond a percentile in both runs; fewer decide nothing."""
MOST_BLOCKS = 200
MOST_PARTS = 2000
"""Of a phase: of a longer one, consecutive ticks are taken together."""
_SEEN = 5
"""Resamples beyond each end of an interval by which the end is still told."""
_SAME_COURSE = 0.7
"""Correlation of two runs' seconds above which they go through the same."""
_SEED = 20_261_121

_Draw = Callable[[Sequence[float]], tuple[float, ...]]


class Estimate(NamedTuple):
    """A metric of both runs and its change; see :class:`~opsconsole.load.compare.Change`."""

    base: float | None
    new: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def differs(self) -> bool:
        """Whether 0 is outside the interval."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Resampled:
    """Two runs, resampled together in the phases that both ran (their numbers in each)."""

    def __init__(self, base: Run, new: Run, strata: Sequence[tuple[int, int]]) -> None:
        self._old = Side(base, (a for a, _ in strata))
        self._late = Side(new, (b for _, b in strata))
        mood = mood_of(list(self._medians()))
        sizes = [
            _block(mood, min(pair))
            for pair in zip(self._old.lengths, self._late.lengths, strict=True)
        ]
        blocks = [
            min(MOST_BLOCKS, math.ceil(min(pair) / size))
            for size, *pair in zip(sizes, self._old.lengths, self._late.lengths, strict=True)
        ]
        shortest = min(sum(self._old.lengths), sum(self._late.lengths))
        self._stretches = shortest / mood.length
        self._missed = mood.missed(min(sizes))
        self._old.cut(blocks)
        self._late.cut(blocks)
        rng = random.Random(_SEED)
        self._draws = []
        for _ in range(RESAMPLES):
            places = [rng.random() for _ in range(sum(blocks))]
            self._draws.append((self._old.draw(iter(places)), self._late.draw(iter(places))))
        self._blocks = sum(blocks), len(blocks)
        self.test = (
            f"block bootstrap over {self._old.ticks} and {self._late.ticks} ticks, "
            f"{RESAMPLES:,} resamples"
        )

    def estimate(self, metric: str, level: float) -> Estimate:
        """How the metric differs, with an interval of ``level``."""
        kind = Ratio if percent_of(metric) is None else Percentile
        base, new = kind(metric, self._old), kind(metric, self._late)
        if base.whole is None or new.whole is None:
            return Estimate(base.whole, new.whole, note="nothing was measured")
        if (beyond := min(base.beyond, new.beyond)) < BEYOND:
            note = f"too few requests: only {beyond:.0f} lie beyond it"
            return Estimate(base.whole, new.whole, note=note)
        # Failures have moods of their own.
        if METRICS[metric] != "share" and self._stretches < LEAST_STRETCHES - 1e-9:
            stretches = max(1, int(self._stretches))
            note = (
                f"seconds hang together: only {stretches} independent "
                f"stretch{'es' * (stretches != 1)} (run it longer, or --times 5)"
            )
            return Estimate(base.whole, new.whole, relative(base.whole, new.whole), note=note)
        changes = sorted(
            relative(before, after)
            for a, b in self._draws
            if (before := base.of(a)) is not None and (after := new.of(b)) is not None
        )
        change = relative(base.whole, new.whole)
        if not changes:
            return Estimate(base.whole, new.whole, change, note="too few requests")
        wide = _width(level, *self._blocks, self._stretches) * math.sqrt(self._missed)
        # Farther out there are too few resamples to go by.
        seen = min(wide, -NormalDist().inv_cdf(min(0.25, _SEEN / len(changes))))
        at = int(NormalDist().cdf(-seen) * len(changes))
        low, high = (
            change + (end - change) * max(1.0, wide / seen) if math.isfinite(end + change) else end
            for end in (changes[at], changes[-1 - at])
        )
        return Estimate(base.whole, new.whole, change, low, high)

    def _medians(self) -> Iterator[Sequence[float]]:
        """The logarithm of the median in each part, of each phase and run. Where both runs go
        through the same ramp, how far they are apart: that is no mood."""
        sides = []
        for side in (self._old, self._late):
            values = iter([_log_median(totals) for totals in side.totals])
            sides.append([list(islice(values, length)) for length in side.lengths])
        for old, late in zip(*sides, strict=True):
            pairs = [
                (a, b) for a, b in zip(old, late, strict=False) if a is not None and b is not None
            ]
            if len(pairs) > 2 and _alike(pairs) > _SAME_COURSE:
                yield [b - a for a, b in pairs]
            else:
                yield from ([one for one in values if one is not None] for values in (old, late))


def _alike(pairs: Sequence[tuple[float, float]]) -> float:
    try:
        return correlation(*zip(*pairs, strict=True))
    except StatisticsError:  # one of them is constant
        return 0.0


def _log_median(totals: Totals) -> float | None:
    median = totals.response.percentile(50)
    return math.log(median) if median else None


def _block(mood: Mood, ticks: int) -> int:
    """The length of the blocks of a phase of so many parts: as the data ask for, and no less than
    about the square root, as what one run shows of a server's moods is little."""
    return max(1, min(max(math.isqrt(ticks), round(mood.block)), ticks // LEAST_BLOCKS))


def _width(level: float, blocks: int, strata: int, stretches: float) -> float:
    """Half the width of the interval in standard deviations: Student's t for the blocks there
    are, or for what is independent in them, whose variance is besides too small by (n - 1) / n."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    free = max(2.0, min(blocks, stretches) - strata)
    # Cornish-Fisher, within 1 % from 4 degrees of freedom at 95 %.
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    return t * math.sqrt(blocks / max(1, blocks - strata))


class Side:
    """One run, ready to be resampled. A draw is the parts at which blocks start; a column has, for
    each part, the sum over the block that starts there."""

    def __init__(self, run: Run, phases: Iterable[int]) -> None:
        by_phase: dict[int, list[Tick]] = {number: [] for number in phases}
        for tick in run.ticks:
            if tick.phase in by_phase:
                by_phase[tick.phase].append(tick)
        self.ticks = sum(map(len, by_phase.values()))
        self.totals: list[Totals] = []
        self.seconds: list[float] = []
        self.lengths: list[int] = []
        for number, ticks in by_phase.items():
            idle = run.phases[number].idle
            before = len(self.totals)
            size = math.ceil(len(ticks) / MOST_PARTS)
            for first in range(0, len(ticks), size):
                part = ticks[first : first + size]
                self.totals.append(part[0].all())
                for tick in part[1:]:
                    self.totals[-1].add(tick.all())
                seconds = sum(tick.seconds for tick in part)
                none = min(idle, seconds)  # in which no answer could come
                idle -= none
                self.seconds.append(seconds - none)
            self.lengths.append(len(self.totals) - before)
        self._spans: list[tuple[int, int, int, int]] = []

    def cut(self, blocks: Sequence[int]) -> None:
        """Divide each phase into so many blocks."""
        first = 0
        for length, number in zip(self.lengths, blocks, strict=True):
            self._spans.append((first, length, number, math.ceil(length / number)))
            first += length

    def draw(self, places: Iterator[float]) -> _Draw:
        """The blocks at ``places`` (0..1), as many in each phase as it has."""
        return itemgetter(
            *(
                first + int(next(places) * length)
                for first, length, number, _ in self._spans
                for _ in range(number)
            )
        )

    def column(self, values: Sequence[float]) -> list[float]:
        """Past its phase's end a block goes on at the phase's start."""
        sums: list[float] = []
        for first, length, _, block in self._spans:
            part = values[first : first + length]
            running = [0, *accumulate([*part, *part[:block]])]
            sums += [running[at + block] - running[at] for at in range(length)]
        return sums


class Ratio:
    """A metric that is one sum over another."""

    def __init__(self, metric: str, side: Side) -> None:
        over, under = zip(*map(_parts_of(metric), side.totals, side.seconds), strict=True)
        self._over, self._under = side.column(over), side.column(under)
        self.whole = sum(over) / sum(under) if sum(under) else None
        self.beyond = math.inf

    def of(self, draw: _Draw) -> float | None:
        under = sum(draw(self._under))
        return sum(draw(self._over)) / under if under else None


def _parts_of(metric: str) -> Callable[[Totals, float], tuple[float, float]]:
    def parts(totals: Totals, seconds: float) -> tuple[float, float]:
        if is_latency(metric):
            histogram = histogram_of(totals, metric)
            return histogram.sum / 1e9, histogram.total
        sound = totals.sound
        counted = {
            "success_rate": totals.good * sound, "error_rate": totals.ended - totals.good * sound,
            "goodput": (totals.good - totals.after_good) * sound,
            "throughput": totals.answered - totals.after_answered,
            "pairs": (totals.pairs - totals.after_pairs) * sound,
        }  # fmt: skip
        return counted[metric], totals.ended if METRICS[metric] == "share" else seconds

    return parts


class Percentile:
    """A percentile, failures being infinitely slow.

    How many requests of a resample are in a bucket or below it is a sum of a column; a bisection
    over the buckets finds the percentile with few sums, and no histogram is ever merged.
    """

    def __init__(self, metric: str, side: Side) -> None:
        self._share = (percent_of(metric) or 0.0) / 100
        self._column = side.column
        self._parts = []
        keys: set[int] = set()
        number = []
        for totals in side.totals:
            counts = histogram_of(totals, metric).counts
            here = sorted(counts)
            self._parts.append((here, [0, *accumulate(map(counts.__getitem__, here))]))
            keys.update(here)
            number.append(sum(counts.values()) + totals.ended - totals.good)
        self._keys = sorted(keys)
        self._number = side.column(number)
        self._columns: dict[int, list[float]] = {}
        self.beyond = sum(number) * (1 - self._share)
        self.whole = self._find(sum(number), lambda at: sum(self._below(at)))

    def of(self, draw: _Draw) -> float | None:
        def below(at: int) -> float:
            column = self._columns.get(at)
            if column is None:
                column = self._columns[at] = self._column(self._below(at))
            return sum(draw(column))

        return self._find(sum(draw(self._number)), below)

    def _below(self, at: int) -> list[int]:
        """Of each part, how many are in the bucket ``at`` or below it."""
        key = self._keys[at]
        return [running[bisect_right(keys, key)] for keys, running in self._parts]

    def _find(self, number: float, below: Callable[[int], float]) -> float | None:
        if not number:
            return None
        rank = self._share * number
        at = bisect_left(range(len(self._keys)), rank, key=below)
        if at == len(self._keys):
            return math.inf
        before = below(at - 1) if at else 0
        low, high = lower_of(self._keys[at]), lower_of(self._keys[at] + 1)
        return (low + (high - low) * (rank - before) / (below(at) - before)) / 1e9


def relative(base: float, new: float) -> float:
    """How much more ``new`` is, as a share of ``base``; either may be 0 or infinite."""
    if base == new:
        return 0.0
    if base == 0 or math.isinf(new):
        return math.inf
    return new / base - 1
