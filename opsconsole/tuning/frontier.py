"""Which trials are the better ones, by throughput and p95 together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from opsconsole.tuning.records import Figures, Goal, Settings, Trial

NEAR = 0.03
"""Share within which two trials are as good as each other: no short run tells them apart."""


def beats(one: Figures, other: Figures) -> bool:
    """Whether ``one`` is better in throughput or p95, and in neither worse."""
    a, b = _p95(one), _p95(other)
    return one.rate >= other.rate and a <= b and (one.rate > other.rate or a < b)


def frontier(trials: Sequence[Trial]) -> list[Trial]:
    """The measured trials that no other one beats, the highest throughput first."""
    measured = [(trial, trial.figures) for trial in trials if trial.figures is not None]
    found = [
        (trial, figures)
        for trial, figures in measured
        if not any(beats(other, figures) for _, other in measured)
    ]
    return [trial for trial, _ in sorted(found, key=lambda pair: -pair[1].rate)]


def contenders(trials: Sequence[Trial]) -> list[Trial]:
    """Of the last round that measured what was there, each set's latest trial: these were
    measured equally long. One that was dropped before may have been lucky in its few seconds."""
    measured = [trial for trial in trials if trial.figures is not None]
    last = max((trial.round for trial in measured if not trial.settings), default=0)
    among = [trial for trial in measured if trial.round == last] if last else measured
    return list({tuple(sorted(trial.settings.items())): trial for trial in among}.values())


def ranked(trials: Sequence[Trial], goal: Goal, limit: float | None) -> list[Trial]:
    """The measured trials, best first: front after front, in each by the goal."""
    left = [trial for trial in trials if trial.figures is not None]
    found: list[Trial] = []
    while left:
        front = frontier(left)
        found += sorted(front, key=lambda trial: merit(trial, goal, limit))
        chosen = {trial.number for trial in front}
        left = [trial for trial in left if trial.number not in chosen]
    return found


def merit(trial: Trial, goal: Goal, limit: float | None) -> tuple[float, float]:
    """To sort by, the best first: what keeps the limit of p95 goes before what does not.

    For ``throughput`` the fastest of those that keep it; where none does, or for ``latency``, the
    lowest p95.
    """
    figures = trial.figures
    if figures is None:
        return (2, math.inf)
    p95 = _p95(figures)
    if not figures.rate or math.isinf(p95):
        return (1, math.inf)
    if limit is not None and p95 > limit:
        return (1, p95)
    return (0, p95 if goal == "latency" else 1 / figures.rate)


def promoted(
    trials: Sequence[Trial], count: int, goal: Goal, limit: float | None
) -> list[Settings]:
    """The settings of the ``count`` best trials; what was there always stays."""
    found = [trial.settings for trial in ranked(trials, goal, limit)]
    kept = [settings for settings in found if settings][: max(0, count - 1)]
    return [{}, *kept]


def combined(trials: Sequence[Trial], goal: Goal, limit: float | None) -> Settings:
    """Of each setting, the value that did best alone, where it did better than what was there.

    What is good alone is often good together; this is worth one trial.
    """
    before = next((trial for trial in trials if not trial.settings), None)
    if before is None or before.figures is None:
        return {}
    best: dict[str, tuple[tuple[float, float], str]] = {}
    floor = merit(before, goal, limit)
    for trial in trials:
        if len(trial.settings) != 1:
            continue
        [(name, value)] = trial.settings.items()
        score = merit(trial, goal, limit)
        known = best.get(name)
        if _clearly(score, floor) and (known is None or score < known[0]):
            best[name] = (score, value)
    return {name: value for name, (_, value) in best.items()}


def challenger(trials: Sequence[Trial], goal: Goal, limit: float | None) -> Trial | None:
    """The best trial of other settings, to be held against what was there; among those within
    :data:`NEAR` of it that which changes the least. None when none was measured."""
    found = sorted(
        (trial for trial in trials if trial.figures is not None and trial.settings),
        key=lambda trial: merit(trial, goal, limit),
    )
    if not found:
        return None
    best = merit(found[0], goal, limit)
    near = [trial for trial in found if not _clearly(best, merit(trial, goal, limit))]
    return min(near, key=lambda trial: (len(trial.settings), merit(trial, goal, limit)))


def _clearly(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether ``one`` is better than ``other`` by more than noise."""
    if one[0] != other[0]:
        return one[0] < other[0]
    return one[1] < other[1] * (1 - NEAR)


def _p95(figures: Figures) -> float:
    return math.inf if figures.p95 is None else figures.p95
