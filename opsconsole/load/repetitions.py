"""Several runs a side: an exact rank test over the runs.

A server's moods move whole seconds or whole runs together, so that the requests of one run say
less about the next one than their number suggests. Runs repeated are independent of each other,
or nearly so: the exact Wilcoxon rank-sum test over one value a run is right whatever the values
are distributed like, and its interval is that of Hodges and Lehmann over all pairs of runs
(Hollander, Wolfe and Chicken 2014, chapter 4).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from opsconsole.load.bootstrap import relative
from opsconsole.load.judge import measure
from opsconsole.load.plan import Phase
from opsconsole.load.records import Run, Totals


class Ranked(NamedTuple):
    """A metric of both sides and its change; see :class:`~opsconsole.load.compare.Change`.

    ``base`` and ``new`` are medians of the runs, ``change`` is the median of all pairs.
    """

    base: float | None
    new: float | None
    differs: bool = False
    change: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    p: float | None = None


def named(bases: int, news: int) -> str:
    """The test in words."""
    return f"exact Wilcoxon rank-sum test over {bases} and {news} runs, Hodges-Lehmann interval"


def common(runs: Iterable[Run]) -> Counter[Phase]:
    """The measured phases that all runs have, and how often."""
    shared: Counter[Phase] | None = None
    for run in runs:
        mine = Counter(result.phase for result in run.phases if result.phase.measured)
        shared = mine if shared is None else shared & mine
    return shared or Counter()


def estimate(
    metric: str, bases: Sequence[Run], news: Sequence[Run], phases: Counter[Phase], level: float
) -> Ranked:
    """How the metric differs between the sides, in the phases that all runs have."""
    old = [value for run in bases if (value := _value(metric, run, phases)) is not None]
    late = [value for run in news if (value := _value(metric, run, phases)) is not None]
    base, new = median(old) if old else None, median(late) if late else None
    if not old or not late:
        return Ranked(base, new, note="nothing was measured")
    least = least_p(len(old), len(late))
    changes = sorted(relative(before, after) for before in old for after in late)
    outside = _outside(len(old), len(late), level)
    p = rank_sum(old, late)
    note = ""
    if least > 1 - level + 1e-12:
        note = (
            f"too few runs: {len(old)} and {len(late)} that differ in every pair come by chance "
            f"in {least:.0%} of cases"
        )
    return Ranked(
        base,
        new,
        differs=not note and p <= 1 - level + 1e-12,
        change=median(changes),
        low=None if note else changes[outside],
        high=None if note else changes[-1 - outside],
        note=note,
        p=p,
    )


def rank_sum(first: Sequence[float], second: Sequence[float]) -> float:
    """The exact two-sided p of the ranks of two samples; equal values share their mean rank."""
    pooled = sorted([*first, *second])
    # Twice the rank is whole: 1 + 2 + 3 and so on, or the middle of a tie.
    doubled = {value: 2 * pooled.index(value) + 1 + pooled.count(value) for value in set(pooled)}
    counts = _sums([doubled[value] for value in pooled], len(first))
    observed = sum(doubled[value] for value in first)
    whole = sum(counts.values())
    below = sum(count for total, count in counts.items() if total <= observed)
    above = sum(count for total, count in counts.items() if total >= observed)
    return min(1.0, 2 * min(below, above) / whole)


def least_p(first: int, second: int) -> float:
    """The p of two samples of which every value of one is below every one of the other."""
    return 2 / math.comb(first + second, first)


def _value(metric: str, run: Run, phases: Counter[Phase]) -> float | None:
    left = phases.copy()
    totals, seconds = Totals(), 0.0
    for result in run.phases:
        if left[result.phase] > 0:
            left[result.phase] -= 1
            totals.add(result.all())
            seconds += result.rated
    return measure(metric, totals, seconds)


def _outside(first: int, second: int, level: float) -> int:
    """How many of the sorted pairs lie outside the interval at either end."""
    counts = _sums(list(range(1, first + second + 1)), first)
    whole, smallest = sum(counts.values()), first * (first + 1) // 2
    below = 0
    for pairs in range(first * second):
        below += counts[smallest + pairs]
        if below / whole > (1 - level) / 2 + 1e-12:
            return pairs - 1 if pairs else 0
    return 0


def _sums(ranks: Sequence[int], size: int) -> Counter[int]:
    """How many of the choices of ``size`` ranks have each sum."""
    chosen: list[Counter[int]] = [Counter({0: 1}), *(Counter[int]() for _ in range(size))]
    for rank in ranks:
        for taken in range(size, 0, -1):
            for total, count in chosen[taken - 1].items():
                chosen[taken][total + rank] += count
    return chosen[size]
