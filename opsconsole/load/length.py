"""How long a load test takes."""

from __future__ import annotations

from opsconsole.load.plan import Phase, Plan

LONG = 600.0
"""Seconds above which it is worth saying before it begins."""


def longest(plan: Plan) -> float | None:
    """Seconds that the plan's phases take, drains and pauses not counted; None where the servers
    decide it: a search, a stress test, clients that send a number of requests."""
    if plan.search is not None or plan.steps is not None:
        return None
    whole = 0.0
    for phase in plan.phases:
        seconds = _length(phase)
        if seconds is not None:
            whole += seconds
        elif phase.measured:
            return None
    return whole


def _length(phase: Phase) -> float | None:
    """What ends it first, of what is known; a warm-up of a few requests is not."""
    ends = []
    if phase.duration is not None:
        ends.append(phase.duration)
    if phase.recorded is not None:
        ends.append(phase.recorded)
    if phase.requests is not None and phase.rate and phase.rate_end in (None, phase.rate):
        ends.append(phase.requests / phase.rate)
    return min(ends, default=None)
