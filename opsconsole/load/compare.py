"""Runs of one plan: better, worse or no difference, by a stated test.

Two runs are compared by a block bootstrap over their ticks (:mod:`~opsconsole.load.bootstrap`), a
metric differing when its interval does not hold 0. Several repetitions a side are compared by an
exact rank test over the runs (:mod:`~opsconsole.load.repetitions`): what moves a whole run, such
as a server's moods that last longer than a run can show, is seen only between runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from opsconsole.errors import UsageError
from opsconsole.load import repetitions
from opsconsole.load.bootstrap import Estimate, Resampled
from opsconsole.load.comparable import notes, refuse, strata
from opsconsole.load.judge import is_latency
from opsconsole.load.records import Run
from opsconsole.profile.threshold import METRICS

METRICS_COMPARED = ("p50", "p95", "p99", "throughput", "success_rate")
RESOLUTION = 0.01
"""Share of the base below which latencies and rates do not differ: buckets are 0.8 % wide, and
no decision hangs on less."""
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
        p: Of the rank test over repetitions: how likely ranks as uneven are by chance. None: there
            was no such test.
    """

    metric: str
    base: float | None
    new: float | None
    change: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    note: str = ""
    p: float | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """What became of each metric from run ``base`` to run ``new`` (their ids).

    Attributes:
        bases, news: The runs of each side where there were several.
        test: The test in words.
        notes: What else differs between the runs, one line each.
    """

    base: str
    new: str
    level: float
    test: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    news: tuple[str, ...] = ()


def compare(
    base: Run,
    new: Run,
    *,
    metrics: Sequence[str] = METRICS_COMPARED,
    level: float = 0.95,
) -> Comparison:
    """How ``new`` differs from ``base`` in the measured phases that both ran.

    Args:
        metrics: Any that a threshold knows, but the maximum.
        level: Of the intervals, above 0.5 and below 1.

    Raises:
        UsageError: the runs are of different plans, one is invalid, was changed by hand or is too
            short, or a metric is unknown.
    """
    refuse(base, new, metrics, level)
    shared = strata(base, new)
    resampled = Resampled(base, new, shared)
    return Comparison(
        base=base.id,
        new=new.id,
        level=level,
        test=resampled.test,
        changes=tuple(_change(name, resampled.estimate(name, level)) for name in metrics),
        notes=tuple(notes(base, new, len(shared))),
    )


def compare_repeated(
    bases: Sequence[Run],
    news: Sequence[Run],
    *,
    metrics: Sequence[str] = METRICS_COMPARED,
    level: float = 0.95,
) -> Comparison:
    """How the runs ``news`` differ from the runs ``bases``; one of each as in :func:`compare`.

    Raises:
        UsageError: as there; a side without a run, or a run on both sides.
    """
    if len(bases) == len(news) == 1:
        return compare(bases[0], news[0], metrics=metrics, level=level)
    if not bases or not news:
        raise UsageError("there is no run on one side")
    if both := {run.id for run in bases} & {run.id for run in news}:
        raise UsageError(f"{min(both)} is on both sides")
    runs = [*bases, *news]
    for run in runs:
        refuse(bases[0], run, metrics, level)
    phases = repetitions.common(runs)
    if not phases:
        raise UsageError("these runs have no measured phase in common")
    said = [note for run in runs for note in notes(bases[0], run, sum(phases.values()))]
    return Comparison(
        base=_side(bases),
        new=_side(news),
        level=level,
        test=repetitions.named(len(bases), len(news)),
        changes=tuple(
            _change(name, repetitions.estimate(name, bases, news, phases, level))
            for name in metrics
        ),
        notes=tuple(dict.fromkeys(said)),
        bases=tuple(run.id for run in bases),
        news=tuple(run.id for run in news),
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


def _side(runs: Sequence[Run]) -> str:
    return runs[0].id if len(runs) == 1 else f"{runs[0].id} and {len(runs) - 1} more"


def _change(metric: str, found: Estimate | repetitions.Ranked) -> Change:
    verdict: Verdict = "no difference"
    change = found.change
    counts = change is not None and (METRICS[metric] == "share" or abs(change) >= RESOLUTION)
    if change is not None and counts and found.differs:
        less_is_better = is_latency(metric) or metric == "error_rate"
        verdict = "worse" if (change > 0) == less_is_better else "better"
    return Change(
        metric=metric,
        base=found.base,
        new=found.new,
        change=change,
        low=found.low,
        high=found.high,
        verdict=verdict,
        note=found.note,
        p=found.p if isinstance(found, repetitions.Ranked) else None,
    )
