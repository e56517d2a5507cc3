"""After against before: pairs of runs in turns, and what their differences prove.

From one start of a server to the next, more varies than within a run (where its memory lies, what
its warm-up measured, what else the machine did), so the run is the unit, not the request. Runs go
A B B A A B …, so that a machine that slowly warms up favours neither. Of each pair the logarithm
of the ratio is taken; the interval is Student's t over the pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Literal

from opsconsole.load.histogram import Histogram
from opsconsole.load.ranks import percentile
from opsconsole.load.records import PhaseResult, Totals
from opsconsole.tuning.records import Change, Evidence, Figures, Settings

_T = (math.inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t, two-sided 95 %, by degrees of freedom."""

Metric = Literal["rate", "p50", "p95"]
METRICS: tuple[Metric, ...] = ("rate", "p50", "p95")


def figures_of(results: Sequence[PhaseResult], memory: int | None = None) -> Figures:
    """The figures of one run, or of several together."""
    totals = Totals()
    for result in results:
        totals.add(result.all())
    seconds = sum(result.seconds for result in results)
    failed = totals.ended - totals.good
    good = Histogram()
    good.add(totals.response)
    rejected = sum(n for kind, n in totals.errors.items() if "queue_full" in kind)
    return Figures(
        seconds=seconds,
        requests=totals.ended,
        failed=failed,
        rejected=rejected,
        rate=totals.rates(sum(result.rated for result in results)).good or 0.0,
        p50=percentile(good, failed, 50),
        p95=percentile(good, failed, 95),
        p50_good=good.percentile(50),
        p95_good=good.percentile(95),
        memory=memory,
    )


def evidence_of(
    settings: Settings,
    before: Sequence[tuple[PhaseResult, Figures]],
    after: Sequence[tuple[PhaseResult, Figures]],
) -> Evidence:
    """What so many pairs of runs prove; those without a partner are left out."""
    pairs = min(len(before), len(after))
    old, new = list(before[:pairs]), list(after[:pairs])
    whole = [
        figures_of([result for result, _ in side], _most(f.memory for _, f in side))
        for side in (old, new)
    ]
    changes = tuple(
        change_of(
            metric,
            [_value(figures, metric) for _, figures in old],
            [_value(figures, metric) for _, figures in new],
            (_value(whole[0], metric), _value(whole[1], metric)),
        )
        for metric in METRICS
    )
    return Evidence(
        settings=settings,
        repetitions=pairs,
        before=whole[0],
        after=whole[1],
        changes=changes,
        test=f"Student's t over the log ratios of {pairs} pairs of runs, taken in turns; "
        "before and after are all runs together",
    )


def change_of(
    metric: Metric,
    before: Sequence[float | None],
    after: Sequence[float | None],
    whole: tuple[float | None, float | None],
) -> Change:
    """One metric of pairs of runs, with its 95 % interval; ``whole``: over all runs."""
    ratios = [
        math.log(b / a)
        for a, b in zip(before, after, strict=True)
        if a and b and math.isfinite(a) and math.isfinite(b)
    ]
    change = Change(metric=metric, before=whole[0], after=whole[1])
    if len(ratios) < max(2, len(before)):
        return change  # a pair that is not there, or infinitely slow, decides by itself
    middle = fmean(ratios)
    half = _T[min(len(ratios) - 1, len(_T) - 1)] * stdev(ratios) / math.sqrt(len(ratios))
    return Change(
        metric=metric,
        before=whole[0],
        after=whole[1],
        change=math.expm1(middle),
        low=math.expm1(middle - half),
        high=math.expm1(middle + half),
    )


def _value(figures: Figures, metric: Metric) -> float | None:
    value: float | None = getattr(figures, metric)
    return value


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
