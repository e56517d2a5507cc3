"""How far a run is, while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import Tick


class Progress(NamedTuple):
    """How far it is. ``done`` of ``total`` in ``unit``: of the whole plan where it is all in
    seconds (``overall``), else of the phase; ``total`` None: nobody knows.

    ``number``: the phase's, from 1, ``of`` so many; 0 where more may come.
    """

    phase: Phase | None
    number: int
    of: int
    done: float
    total: float | None
    unit: str
    overall: bool

    @property
    def share(self) -> float | None:
        """0..1; None where the end is not known."""
        return min(1.0, self.done / self.total) if self.total else None


class Way:
    """What a phase has done so far, and those before it."""

    def __init__(self) -> None:
        self._ended = 0
        self._elapsed = self._before = 0.0

    def take(self, tick: Tick, *, paused: bool) -> None:
        """The next tick; while ``paused`` the phase stands still."""
        for totals in tick.totals.values():
            self._ended += totals.ended
        if not paused:
            self._elapsed += tick.seconds

    def next_phase(self, over: Phase | None) -> None:
        """The phase ``over`` has ended."""
        # What a phase was to last counts: its ticks may be a little more or less.
        length = over.duration if over is not None and over.requests is None else None
        self._before += length if length is not None else self._elapsed
        self._elapsed, self._ended = 0.0, 0

    def progress(self, plan: Plan, phases: Sequence[Phase], number: int) -> Progress:
        """How far the ``number``-th of ``phases``, from 1, or the whole plan is. 0: it has not
        begun."""
        climbs = plan.search is not None or plan.steps is not None
        phase = phases[number - 1] if 0 < number <= len(phases) else None
        count = 0 if climbs else max(len(phases), len(plan.phases))
        lengths = [each.duration for each in plan.phases if each.requests is None]
        if not climbs and lengths and len(lengths) == len(plan.phases):
            known = [length for length in lengths if length is not None]
            if len(known) == len(lengths):
                done = min(self._before + self._elapsed, sum(known))
                return Progress(phase, number, count, done, sum(known), "s", overall=True)
        if phase is None:
            return Progress(None, number, count, 0.0, None, "s", overall=False)
        done, total, unit = self._nearest_end(phase)
        return Progress(phase, number, count, done, total, unit, overall=False)

    def _nearest_end(self, phase: Phase) -> tuple[float, float | None, str]:
        ways: list[tuple[float, float, str]] = []
        if phase.duration is not None:
            ways.append((min(self._elapsed, phase.duration), phase.duration, "s"))
        if phase.requests is not None:
            ended = float(min(self._ended, phase.requests))
            ways.append((ended, float(phase.requests), "requests"))
        if not ways:
            return self._elapsed, None, "s"
        return max(ways, key=lambda way: way[0] / way[1] if way[1] else 1.0)
