"""The search for the highest level that holds: which one is tried next, and what was found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Sequence

from opsconsole.load.ladders import Clients, Rates
from opsconsole.load.limits import at_least, interval
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.probes import SEEN_TWICE, Probe, probe_of, standing, wall
from opsconsole.load.records import Conclusion, PhaseResult
from opsconsole.load.recovery import Recovery, gave_up
from opsconsole.profile.threshold import Threshold

Phases = tuple[Phase, ...]
Conduct = Generator[Phases, list[PhaseResult], Conclusion | None]

MOST_PROBES = 60
_MOST_LIMITED = 4
"""Tries of one level that the generator may spoil: more is no moment of a busy machine."""

_CLEAR = 1.3
_MOST_FURTHER = 8
"""Further tries of the bracket's ends, until the interval's ends are no further apart."""


class Climb:
    """Doubling until it breaks, then bisection, then repetition of both ends of the bracket."""

    def __init__(
        self, plan: Plan, thresholds: Sequence[Threshold], ladder: Rates | Clients
    ) -> None:
        self._plan = plan
        self._thresholds = thresholds
        self._ladder = ladder
        self._probes: list[Probe] = []
        self._ended = 0
        self._further = 0
        self._took: float | None = None
        """Seconds of an answer at the last level that held, or in the first warm-up."""
        self._usual: float | None = None
        """Those of a server that has little to do."""
        self._left_over = ""

    def run(self) -> Conduct:
        """Yields the phases of one probe after another, is sent their results."""
        if self._plan.phases:
            results = yield self._plan.phases
            self._ended += len(results)
            self._learn(results)
        last: list[PhaseResult] = []
        while len(self._probes) < MOST_PROBES:
            level = self._next()
            if level is None:
                return self._conclude()
            if self._limited(level) >= _MOST_LIMITED or self._are_short():
                break
            if gave_up(last) and not (yield from self._work_off(last)):
                break
            phases = self._ladder.phases(level, self._took or 0.0)
            last = yield phases
            if len(last) < len(phases):
                break
            self._ended += len(last)
            probe = probe_of(level, last, self._thresholds, self._ended - 1)
            self._probes.append(probe)
            if probe.held or probe.short:
                self._learn(last)
        return self._conclude(finished=False)

    def _learn(self, results: Sequence[PhaseResult]) -> None:
        """How long an answer takes."""
        median = results[-1].all().response.percentile(50) if results else None
        if median is not None:
            self._took = median
            self._usual = median if self._usual is None else self._usual

    def _work_off(self, last: list[PhaseResult]) -> Generator[Phases, list[PhaseResult], bool]:
        """Wait until the servers have worked off what the client has given up, which the next probe
        would measure; whether the run goes on."""
        usual = self._usual
        if usual is None:
            # The first answer of all waited for the fewest others.
            times = [result.all().response for result in last]
            usual = min((one.least / 1e9 for one in times if one.total), default=None)
        if usual is None:
            return True  # it never answered: nothing to wait for
        servers = max(1, len(self._plan.servers))
        recovery = Recovery(last[-1].phase.name, usual, self._plan.timeout, servers)
        while (phase := recovery.next()) is not None:
            results = yield (phase,)
            if not results:
                return False
            self._ended += len(results)
            recovery.take(results[-1])
        self._left_over = recovery.failure or self._left_over
        # What would be tried at a server that is gone says nothing of the levels before.
        return recovery.answered

    def _are_short(self) -> bool:
        """Whether a probe was too short although it was known how long an answer takes."""
        return sum(probe.short for probe in self._probes) >= SEEN_TWICE

    def _next(self) -> float | None:
        """The next level to try; None when all is known. It rests on probes that count: what the
        generator limited is tried again."""
        ladder = self._ladder
        low, high = standing(self._probes)
        # Above what the generator can do nothing can be tried; the server may hold there too.
        top = wall(self._probes) if high is None else high
        if low is None:
            if top is None:
                return ladder.start
            if not self._is_hopeless():
                some = any(p.answered for p in self._probes if p.level == high)
                lower = ladder.below(top, 2.0 if some else 4.0)
                if lower is not None:
                    return lower
        elif top is None:
            if low < ladder.most:
                return min(low * 2, ladder.most)
        elif (middle := ladder.between(low, top)) is not None:
            return middle
        if high is not None and self._count(high, held=False) < SEEN_TWICE:
            return high
        if low is not None and self._count(low, held=True) <= ladder.confirm:
            return low
        if low is None or top is None:
            return None
        if high is None:
            # The machine may have been busy for a while only.
            return top if self._limited(top) <= SEEN_TWICE else None
        return self._clearer(low, high) if ladder.confirm else None

    def _clearer(self, low: float, high: float) -> float | None:
        """The end of the bracket to be tried again, while it is not clear how far from it the
        limit may be; None when it is, or when that is the server's nature."""
        between = interval(self._probes)
        if self._further >= _MOST_FURTHER or between is None:
            return None
        if between[1] <= _CLEAR * between[0]:
            return None
        self._further += 1
        tries = Counter(p.level for p in self._probes if not p.limited)
        return low if tries[low] <= tries[high] else high

    def _is_hopeless(self) -> bool:
        low = [p for p in self._probes if p.level <= self._ladder.hopeless and not p.limited]
        return sum(not p.answered for p in low) >= SEEN_TWICE

    def _limited(self, level: float) -> int:
        return sum(p.level == level for p in self._probes if p.limited)

    def _count(self, level: float, *, held: bool) -> int:
        return sum(p.level == level and p.held is held for p in self._probes if not p.limited)

    def _conclude(self, *, finished: bool = True) -> Conclusion:
        probes = self._probes
        low, high = standing(probes)
        parts = [
            part
            for part in (self._found(low, high), self._certainty(low, high),
                         self._broke(high), self._generator(high))
            if part
        ]  # fmt: skip
        if not probes:
            parts.append("nothing was tried to its end")
        if self._left_over:
            parts.append(self._left_over)
        if not finished:
            parts.append("ended before it was certain")
        return Conclusion(
            text="; ".join(parts),
            value=low,
            low=low,
            high=high,
            phase=max((p.phase for p in probes if p.held and p.level == low), default=None),
            interval=interval(probes) if low is not None and high is not None else None,
        )

    def _found(self, low: float | None, high: float | None) -> str:
        show = self._ladder.show
        kept = ", ".join(threshold.text for threshold in self._thresholds)
        if low is None:
            return "" if high is None else f"not even {show(high)} held: {kept}"
        tries = sum(p.level == low for p in self._probes if not p.limited)
        held = f"{kept} ({self._count(low, held=True)} of {tries})"
        if high is not None:
            what = "held" if self._plan.mode == "stress" else "is the highest rate that held"
            return f"{show(low)} {what}: {held}"
        if wall(self._probes) is not None:
            return f"at least {show(low)} held, the limit was not reached: {held}"
        return f"{show(low)} held, the most that was tried: {held}"

    def _broke(self, high: float | None) -> str:
        breaks = [p for p in self._probes if p.level == high and not p.held and not p.limited]
        if high is None or not breaks:
            return ""
        tries = sum(p.level == high for p in self._probes if not p.limited)
        at = self._ladder.show(high)
        return f"it breaks at {at} ({len(breaks)} of {tries}): {breaks[-1].why}"

    def _generator(self, high: float | None) -> str:
        """Where the generator was in the way: as far as it could go, or so often that it was
        given up; or where probes were too short."""
        limited = [p for p in self._probes if p.limited]
        level = wall(self._probes) if high is None else None
        if level is None and limited and limited[-1] is self._probes[-1]:
            level = limited[-1].level
        if level is None:
            return ""
        last = [p for p in limited if p.level == level][-1]
        if last.short:
            return f"{self._ladder.show(level)} could not be judged: {last.limited}"
        return f"at {self._ladder.show(level)} the generator was the bottleneck: {last.limited}"

    def _certainty(self, low: float | None, high: float | None) -> str:
        probes = [p for p in self._probes if not p.limited]
        after = f"after {len(probes)} probe{'s' * (len(probes) != 1)}"
        if low is None:
            return after if probes else ""
        show = self._ladder.show
        if high is None:
            share = min(99, math.floor(at_least(probes, low) * 100))
            return f"confidence {share} % that the limit is not below {show(low)}, {after}"
        between = interval(probes)
        if between is None:
            return after
        return (
            f"with a confidence of 90 % the limit lies between {self._ladder.stretch(*between)}, "
            f"{after}"
        )
