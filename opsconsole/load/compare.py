"""Two runs of one plan: better, worse or no difference, by a block bootstrap over their ticks.

Requests of one second share that second's fate, so single requests must not be resampled: the
error would come out far too small. Instead, blocks of consecutive ticks are drawn with replacement
(circular block bootstrap; Politis and Romano 1992), at the same places of both runs, so that a
ramp cancels out. The interval is widened for few blocks as in Hesterberg 2015 (the "expanded
percentile" interval), and a metric differs when its interval does not hold 0.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from statistics import NormalDist
from typing import Literal

from msgspec import Struct, structs

from opsconsole.errors import UsageError
from opsconsole.load.histogram import lower_of
from opsconsole.load.judge import histogram_of, is_latency, percent_of
from opsconsole.load.records import Run, Tick, Totals
from opsconsole.profile.threshold import METRICS

RESAMPLES = 2000
LEAST_TICKS = 8
"""Of each run."""
LEAST_BLOCKS = 5
"""Of a phase that has as many ticks: fewer say nothing about how much a run varies."""
BEYOND = 5
"""Requests that must lie beyond a percentile in both runs; fewer decide nothing."""
RESOLUTION = 0.01
"""Share of the base below which latencies and rates do not differ: buckets are 0.8 % wide, and
no decision hangs on less."""
MOST_BLOCKS = 200
MOST_PARTS = 2000
"""Of a phase: of a longer one, consecutive ticks are taken together."""
_SEED = 20_261_121
_NOT_THE_LOAD = frozenset({"name", "servers", "thresholds", "aborts"})
"""Fields of a plan in which comparable runs may differ."""

_Draw = Callable[[Sequence[float]], tuple[float, ...]]
Verdict = Literal["better", "worse", "no difference"]


class Change(Struct, frozen=True, kw_only=True):
    """One metric of two runs.

    Attributes:
        base, new: Seconds, a share (0..1) or a number a second. None: nothing was measured.
            ``inf``: so many failed that the percentile is none of an answer. Percentiles are
            interpolated within their bucket, so up to 0.4 % from those of a report.
        change: ``new`` against ``base`` as a share of it: 0.1 is 10 % more. ``low`` and ``high``
            are the ends of its interval. None: cannot be said.
        note: Why nothing can be said.
    """

    metric: str
    base: float | None
    new: float | None
    change: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    note: str = ""


class Comparison(Struct, frozen=True, kw_only=True):
    """What became of each metric from run ``base`` to run ``new`` (their ids).

    Attributes:
        test: The test in words.
        notes: What else differs between the runs, one line each.
    """

    base: str
    new: str
    level: float
    test: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


def compare(
    base: Run,
    new: Run,
    *,
    metrics: Sequence[str] = ("p50", "p95", "p99", "throughput", "success_rate"),
    level: float = 0.95,
) -> Comparison:
    """How ``new`` differs from ``base`` in the measured phases that both ran.

    Args:
        metrics: Any that a threshold knows, but the maximum.
        level: Of the intervals, above 0.5 and below 1.

    Raises:
        UsageError: the runs are of different plans, one is invalid or too short, or a metric is
            unknown.
    """
    _refuse(base, new, metrics, level)
    strata = _strata(base, new)
    old, late = _Side(base, (a for a, _ in strata)), _Side(new, (b for _, b in strata))
    blocks = list(map(_blocks, old.lengths, late.lengths))
    old.cut(blocks)
    late.cut(blocks)
    rng = random.Random(_SEED)
    draws = []
    for _ in range(RESAMPLES):
        places = [rng.random() for _ in range(sum(blocks))]
        draws.append((old.draw(iter(places)), late.draw(iter(places))))
    tail = _tail(level, sum(blocks), len(blocks))
    changes = tuple(_change(metric, old, late, draws, tail) for metric in metrics)
    return Comparison(
        base=base.id,
        new=new.id,
        level=level,
        test=f"block bootstrap over {old.ticks} and {late.ticks} ticks, {RESAMPLES:,} resamples",
        changes=changes,
        notes=tuple(_notes(base, new, len(strata))),
    )


def worse_than(comparison: Comparison, share: float) -> list[Change]:
    """The metrics that are worse, by the test and by more than ``share`` (0.05: 5 %) of the base;
    a success rate is worse when the share that fails has grown by more than ``share`` points."""
    return [
        change
        for change in comparison.changes
        if change.verdict == "worse" and _size(change) > share
    ]


def _size(change: Change) -> float:
    if METRICS[change.metric] == "share" and change.base is not None and change.new is not None:
        return abs(change.new - change.base)
    return abs(change.change or 0.0)


# What may be compared


def _refuse(base: Run, new: Run, metrics: Iterable[str], level: float) -> None:
    if not 0.5 < level < 1:
        raise UsageError(f"a level of {level:g} is not between 0.5 and 1")
    for metric in metrics:
        if metric not in METRICS:
            raise UsageError(f"unknown metric {metric!r}", hint=f"known are {', '.join(METRICS)}")
        if metric.endswith("max"):
            raise UsageError(
                f"{metric} cannot be compared", hint="one request decides it; take p99.9"
            )
    different = [
        name
        for name in structs.asdict(base.plan)
        if name not in _NOT_THE_LOAD and getattr(base.plan, name) != getattr(new.plan, name)
    ]
    if different:
        raise UsageError(
            f"{base.id} and {new.id} are of different plans",
            hint=f"they differ in {', '.join(different)}",
        )
    for run in (base, new):
        if run.invalid:
            raise UsageError(f"{run.id} is INVALID and cannot be compared", hint=run.invalid[0])


def _strata(base: Run, new: Run) -> list[tuple[int, int]]:
    """The numbers, in base and in new, of the measured phases that both ran. A stress test or a
    search goes its own way each time; what they share is the same load."""
    ticked = {tick.phase for tick in base.ticks}, {tick.phase for tick in new.ticks}
    left = [(at, result.phase) for at, result in enumerate(new.phases) if at in ticked[1]]
    pairs = []
    for number, result in enumerate(base.phases):
        if number not in ticked[0] or not result.phase.measured:
            continue
        for at, (other, phase) in enumerate(left):
            if phase == result.phase:
                pairs.append((number, other))
                del left[at]
                break
    if not pairs:
        raise UsageError(f"{base.id} and {new.id} have no measured phase in common")
    for run, chosen in ((base, {a for a, _ in pairs}), (new, {b for _, b in pairs})):
        length = sum(tick.phase in chosen for tick in run.ticks)
        if length < LEAST_TICKS:
            raise UsageError(
                f"{run.id} is too short to compare: {length} measured seconds",
                hint=f"at least {LEAST_TICKS} are needed, and 30 are better",
            )
    return pairs


def _notes(base: Run, new: Run, shared: int) -> Iterable[str]:
    for run in (base, new):
        if run.stopped:
            yield f"{run.id} was stopped: {run.stopped}"
        measured = sum(result.phase.measured for result in run.phases)
        if measured > shared:
            yield f"{run.id} has {measured - shared} more measured phases, which are left out"
    for what, old, late in (
        ("machine", base.machine, new.machine),
        ("opsconsole", base.version, new.version),
        ("servers", ", ".join(base.servers), ", ".join(new.servers)),
    ):
        if old != late:
            yield f"{what}: {old or 'unknown'} → {late or 'unknown'}"
    for name in base.servers.keys() & new.servers.keys():
        before, after = structs.asdict(base.servers[name]), structs.asdict(new.servers[name])
        for field, value in before.items():
            if value != after[field]:
                yield f"{name}'s {field}: {value or 'unknown'} → {after[field] or 'unknown'}"


# The test


def _blocks(base: int, new: int) -> int:
    """How many blocks a phase of so many parts is: each about the square root of its length, so
    that a server's moods of several seconds fit into one; the cube root, which asymptotics
    favour, takes such moods for differences more often."""
    shorter = min(base, new)
    length = max(1, min(math.isqrt(shorter), shorter // LEAST_BLOCKS))
    return min(MOST_BLOCKS, math.ceil(shorter / length))


def _tail(level: float, blocks: int, strata: int) -> float:
    """The share of resamples beyond each end of the interval: Student's t for the blocks there
    are, whose variance is besides too small by (n - 1) / n."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    free = max(2, blocks - strata)
    # Cornish-Fisher, within 1 % from 4 degrees of freedom at 95 %.
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    return NormalDist().cdf(-t * math.sqrt(blocks / max(1, blocks - strata)))


class _Side:
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
        for ticks in by_phase.values():
            before = len(self.totals)
            size = math.ceil(len(ticks) / MOST_PARTS)
            for first in range(0, len(ticks), size):
                part = ticks[first : first + size]
                self.totals.append(part[0].all())
                for tick in part[1:]:
                    self.totals[-1].add(tick.all())
                self.seconds.append(sum(tick.seconds for tick in part))
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


class _Ratio:
    """A metric that is one sum over another."""

    def __init__(self, metric: str, side: _Side) -> None:
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
        counted = {
            "success_rate": totals.good, "error_rate": totals.ended - totals.good,
            "goodput": totals.good, "throughput": totals.ended, "pairs": totals.pairs,
        }  # fmt: skip
        return counted[metric], totals.ended if METRICS[metric] == "share" else seconds

    return parts


class _Percentile:
    """A percentile, failures being infinitely slow.

    How many requests of a resample are in a bucket or below it is a sum of a column; a bisection
    over the buckets finds the percentile with few sums, and no histogram is ever merged.
    """

    def __init__(self, metric: str, side: _Side) -> None:
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


def _change(
    metric: str, old: _Side, late: _Side, draws: Iterable[tuple[_Draw, _Draw]], tail: float
) -> Change:
    kind = _Ratio if percent_of(metric) is None else _Percentile
    base, new = kind(metric, old), kind(metric, late)
    note = ""
    if base.whole is None or new.whole is None:
        note = "nothing was measured"
    elif (beyond := min(base.beyond, new.beyond)) < BEYOND:
        note = f"too few requests: only {beyond:.0f} lie beyond it"
    if note or base.whole is None or new.whole is None:
        return Change(
            metric=metric, base=base.whole, new=new.whole, change=None, low=None, high=None,
            verdict="no difference", note=note,
        )  # fmt: skip
    changes = sorted(
        _relative(before, after)
        for a, b in draws
        if (before := base.of(a)) is not None and (after := new.of(b)) is not None
    )
    beyond_end = int(tail * len(changes))
    change = _relative(base.whole, new.whole)
    low, high = changes[beyond_end], changes[-1 - beyond_end]
    verdict: Verdict = "no difference"
    if (low > 0 or high < 0) and (METRICS[metric] == "share" or abs(change) >= RESOLUTION):
        less_is_better = is_latency(metric) or metric == "error_rate"
        verdict = "worse" if (change > 0) == less_is_better else "better"
    return Change(
        metric=metric, base=base.whole, new=new.whole, change=change, low=low, high=high,
        verdict=verdict,
    )  # fmt: skip


def _relative(base: float, new: float) -> float:
    """How much more ``new`` is, as a share of ``base``; either may be 0 or infinite."""
    if base == new:
        return 0.0
    if base == 0 or math.isinf(new):
        return math.inf
    return new / base - 1
