"""Which phases are run next: all of a plan, or, for a search and a stress test, what the results
of the last ones ask for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Sequence
from typing import NamedTuple

import msgspec

from opsconsole.errors import UsageError
from opsconsole.load.judge import judge, show
from opsconsole.load.plan import Phase, Plan, Search, Steps
from opsconsole.load.records import Conclusion, PhaseResult, Tick
from opsconsole.load.validity import reasons
from opsconsole.profile.threshold import Threshold

Conduct = Generator[tuple[Phase, ...], list[PhaseResult], Conclusion | None]

MOST_PROBES = 60
_LOWEST = 0.05
"""The lowest rate a second that a search tries."""
_ENOUGH = 30
"""Requests that a probe should have; a slow one may take three times as long for them."""
_BROKEN_TWICE = 2
"""A break is believed when it was seen so often: one may be chance."""
_GROWTH = 0.05
_OVERRUN = 0.2
"""Share of what is due that stays in flight, above which a probe need not be run to its end."""
_OVERRUN_TICKS = 4
_LAPSE = 0.02
"""Chance that a probe goes wrong for a reason that has nothing to do with the load."""


class Probe(NamedTuple):
    """One try. ``level``: rate a second, or clients. ``why`` says what broke; ``limited`` why the
    generator, not the server, set the limit."""

    level: float
    held: bool
    why: str
    limited: str


def conduct(plan: Plan, thresholds: Sequence[Threshold]) -> Conduct:
    """Yields phases to be run back to back, is sent their results, returns what it found.

    A search or stress test that is sent less than it asked for ends with what it has.

    Raises:
        UsageError: a search or a stress test without thresholds.
    """
    if (plan.search or plan.steps) and not thresholds:
        raise UsageError(
            f"a {plan.mode} test needs to know what the servers promise",
            hint="give thresholds such as p95 < 500ms, or the servers a service_level",
        )
    if plan.search:
        return _Climb(plan, thresholds, _Rates(plan.search)).run()
    if plan.steps:
        return _Climb(plan, thresholds, _Clients(plan.steps, warm=bool(plan.phases))).run()
    return _static(plan)


def _static(plan: Plan) -> Conduct:
    yield plan.phases
    return None


class Overrun:
    """Tells during a search's probe that the server is hopelessly behind: its last ticks each left
    more in flight. The probe may then be stopped; its cut result counts as a break."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, int]] = deque(maxlen=_OVERRUN_TICKS)

    def take(self, tick: Tick) -> str | None:
        """Why the probe may be stopped, once; None while it may go on."""
        client = tick.client
        if not client.due or (self._ticks and client.in_flight <= self._ticks[-1][0]):
            self._ticks.clear()
        self._ticks.append((client.in_flight, client.due))
        if len(self._ticks) < _OVERRUN_TICKS:
            return None
        rise = self._ticks[-1][0] - self._ticks[0][0]
        due = sum(due for _, due in list(self._ticks)[1:])
        if rise <= max(_OVERRUN * due, 10 + 3 * math.sqrt(due)):
            return None
        self._ticks.clear()
        return f"in flight grew by {rise:,} while {due:,} were due"


class _Rates:
    """The levels of a search: rates a second."""

    unit = "/s"

    def __init__(self, search: Search) -> None:
        self.start = min(search.start, search.most)
        self.most = search.most
        self.least = _LOWEST
        self.confirm = search.confirm
        self._search = search

    def between(self, low: float, high: float) -> float | None:
        """A level in the middle; None when they are close enough."""
        if high <= low * (1 + self._search.tolerance):
            return None
        return _rounded(math.sqrt(low * high), low, high)

    def phases(self, rate: float) -> tuple[Phase, ...]:
        """The phases of one probe, the last of them measured."""
        search = self._search
        seconds = max(search.duration, min(3 * search.duration, _ENOUGH / rate))
        name = f"{rate:.4g}/s"
        warm = Phase(name=f"{name} warm-up", measured=False, duration=search.warmup, rate=rate,
                     arrivals=search.arrivals)  # fmt: skip
        probe = Phase(name=name, duration=seconds, rate=rate, arrivals=search.arrivals)
        return (warm, probe) if search.warmup > 0 else (probe,)

    def show(self, level: float) -> str:
        return f"{level:.4g}/s"


class _Clients:
    """The levels of a stress test: numbers of clients."""

    unit = " clients"

    def __init__(self, steps: Steps, *, warm: bool) -> None:
        self.start = float(min(steps.start, steps.most))
        self.most = float(steps.most)
        self.least = 1.0
        self.confirm = 0
        self._steps = steps
        self._warm = warm

    def between(self, low: float, high: float) -> float | None:
        """A level in the middle; None when they are close enough."""
        middle = int(low + high) // 2
        return float(middle) if high - low > max(1.0, high / 10) else None

    def phases(self, clients: float) -> tuple[Phase, ...]:
        """The phases of one step, the last of them measured."""
        count = int(clients)
        name = self.show(clients)
        step = Phase(name=name, requests=self._steps.requests, duration=self._steps.duration,
                     concurrency=count)  # fmt: skip
        warm = Phase(name=f"{name} warm-up", measured=False, requests=count, concurrency=count)
        return (warm, step) if self._warm else (step,)

    def show(self, level: float) -> str:
        return f"{level:g} client{'s' * (level != 1)}"


class _Climb:
    """Doubling until it breaks, then bisection, then repetition of both ends of the bracket."""

    def __init__(
        self, plan: Plan, thresholds: Sequence[Threshold], levels: _Rates | _Clients
    ) -> None:
        self._plan = plan
        self._thresholds = thresholds
        self._levels = levels
        self._probes: list[Probe] = []

    def run(self) -> Conduct:
        if self._plan.phases:
            yield self._plan.phases
        while len(self._probes) < MOST_PROBES:
            level = self._next()
            if level is None:
                return self._conclude()
            phases = self._levels.phases(level)
            results = yield phases
            if len(results) < len(phases):
                return self._conclude(finished=False)
            self._probes.append(self._judge(level, results))
        return self._conclude(finished=False)

    def _next(self) -> float | None:
        """The next level to try; None when all is known."""
        levels = self._levels
        low, high = standing(self._probes)
        if low is None and high is None:
            return levels.start
        if high is None:
            assert low is not None
            if low < levels.most:
                return min(low * 2, levels.most)
        elif low is None:
            if high > levels.least:
                return max(_rounded(high / 2, 0.0, high), levels.least)
        elif (middle := levels.between(low, high)) is not None:
            return middle
        if high is not None and self._count(high, held=False) < _BROKEN_TWICE:
            return high
        if low is not None and self._count(low, held=True) <= levels.confirm:
            return low
        return None

    def _count(self, level: float, *, held: bool) -> int:
        return sum(probe.level == level and probe.held is held for probe in self._probes)

    def _judge(self, level: float, results: Sequence[PhaseResult]) -> Probe:
        result = results[-1]
        client = result.client
        why = [
            f"{judgement.threshold} broken by {show(judgement.metric, judgement.observed)}"
            for judgement in judge(result, self._thresholds)
            if not judgement.passed and (judgement.observed is not None or result.all().ended)
        ]
        if client.dropped:
            # Beyond its limit a server is overrun: what was not sent for it is its failure.
            why.append(f"{client.dropped:,} of {client.due:,} dropped, too many were in flight")
            client = msgspec.structs.replace(client, due=client.due - client.dropped, dropped=0)
        cut = _is_cut(result)
        if cut:
            why.append(f"stopped after {result.seconds:.1f} s: in flight grew without end")
        elif grows := growth(results):
            why.append(f"in flight grew by {grows:.3g} a second without end")
        errors = result.all().errors
        if why and errors:
            kind = max(errors, key=errors.__getitem__)
            why.append(f"{errors[kind]:,} × {kind}")
        own = msgspec.structs.replace(result, client=client)
        limited = "" if cut else "; ".join(reasons(own, self._thresholds, ()))
        if not why and not result.all().ended:
            why.append("nothing was measured")
        return Probe(level, not why and not limited, "; ".join(why), limited)

    def _conclude(self, *, finished: bool = True) -> Conclusion:
        levels, probes = self._levels, self._probes
        low, high = standing(probes)
        mode = self._plan.mode
        kept = ", ".join(threshold.text for threshold in self._thresholds)
        breaks = [p for p in probes if p.level == high and not p.held]
        # Our own limit says nothing of the server's: one that is certain weighs more.
        breaks = [p for p in breaks if not p.limited] or breaks
        limited = breaks[0].limited if breaks else ""
        parts = []
        if low is not None:
            tries = sum(probe.level == low for probe in probes)
            what = "held" if mode == "stress" else "is the highest rate that held"
            if high is None or limited:
                what = "held" if finished and high is not None else "held, the most that was tried"
            parts.append(f"{levels.show(low)} {what}: {kept}"
                         f" ({self._count(low, held=True)} of {tries})")  # fmt: skip
        elif high is not None:
            parts.append(f"not even {levels.show(high)} held: {kept}")
        if limited:
            parts.append(f"at {levels.show(high or 0)} the generator was the bottleneck: {limited}")
        elif breaks:
            parts.append(
                f"it breaks at {levels.show(high or 0)} ({len(breaks)} of "
                f"{sum(probe.level == high for probe in probes)}): {breaks[-1].why}"
            )
        if not probes:
            parts.append("nothing was tried to its end")
        else:
            parts.append(self._certainty(low, None if limited else high))
        if not finished:
            parts.append("ended before it was certain")
        return Conclusion(text="; ".join(parts), value=low, low=low, high=None if limited else high)

    def _certainty(self, low: float | None, high: float | None) -> str:
        probes = self._probes
        share = math.floor(confidence(probes, low, high) * 100)
        text = f"confidence {share} % after {len(probes)} probe{'s' * (len(probes) != 1)}"
        between = interval(probes)
        if low is None or high is None or between is None:
            return text
        return f"{text} (90 %: {between[0]:.3g} to {between[1]:.3g}{self._levels.unit})"


def standing(probes: Sequence[Probe]) -> tuple[float | None, float | None]:
    """The highest level that held below the lowest that broke, and that one. Of several probes at
    one level the majority counts; as many of either kind are a break."""
    votes: dict[float, int] = {}
    for probe in probes:
        votes[probe.level] = votes.get(probe.level, 0) + (1 if probe.held else -1)
    high = min((level for level, vote in votes.items() if vote <= 0), default=None)
    held = (level for level, vote in votes.items() if vote > 0 and (high is None or level < high))
    return max(held, default=None), high


def growth(results: Sequence[PhaseResult]) -> float:
    """By how many requests a second the number in flight rose from a probe's warm-up through the
    probe; 0 when it did not, or not beyond chance.

    By Little's law a phase's mean number in flight is its rate times its mean response time.
    """
    if len(results) < 2 or not (results[-1].phase.rate and results[-2].phase.rate):
        return 0.0
    before, after = (result.all().response.mean for result in results[-2:])
    rate = results[-1].phase.rate
    apart = (results[-2].seconds + results[-1].seconds) / 2
    if before is None or after is None or rate is None or apart <= 0:
        return 0.0
    rise = rate * (after - before)
    chance = 5 + 2 * math.sqrt(rate * apart)
    return rise / apart if rise > chance and rise / apart > _GROWTH * rate else 0.0


def likelihoods(probes: Sequence[Probe]) -> list[tuple[float, float]]:
    """Limits, rising, and the probability of each; empty without a probe that counts.

    Bayes: every limit and every steepness of the step from holding to breaking is as likely as
    another beforehand; a probe goes wrong by chance in 2 % of cases. Probes that the generator
    limited do not count.
    """
    counted = [(math.log(probe.level), probe.held) for probe in probes if not probe.limited]
    if not counted:
        return []
    least, most = min(level for level, _ in counted), max(level for level, _ in counted)
    found = []
    points = 2000
    for i in range(points):
        limit = least - 1.5 + (most - least + 3) * (i + 0.5) / points
        weight = 0.0
        for width in (0.003, 0.01, 0.03, 0.1, 0.3):
            likely = 1.0
            for level, held in counted:
                steps = max(-50.0, min(50.0, (limit - level) / width))
                holds = _LAPSE + (1 - 2 * _LAPSE) / (1 + math.exp(-steps))
                likely *= holds if held else 1 - holds
            weight += likely
        found.append((math.exp(limit), weight))
    whole = sum(weight for _, weight in found)
    return [(limit, weight / whole) for limit, weight in found]


def confidence(probes: Sequence[Probe], low: float | None, high: float | None) -> float:
    """The probability that the limit lies between ``low`` and ``high`` (None: no bound)."""
    return sum(
        share
        for limit, share in likelihoods(probes)
        if (low is None or limit >= low) and (high is None or limit <= high)
    )


def interval(probes: Sequence[Probe], share: float = 0.9) -> tuple[float, float] | None:
    """Between which limits ``share`` of the probability lies, as much left out at either end."""
    found = likelihoods(probes)
    below, ends = 0.0, []
    for limit, weight in found:
        for bound in ((1 - share) / 2, (1 + share) / 2):
            if below < bound <= below + weight:
                ends.append(limit)
        below += weight
    return (ends[0], ends[1]) if len(ends) == 2 else None


def _is_cut(result: PhaseResult) -> bool:
    """Whether a probe was stopped before its time."""
    phase = result.phase
    return (
        phase.is_open
        and phase.requests is None
        and phase.duration is not None
        and result.seconds < 0.95 * phase.duration
    )


def _rounded(value: float, low: float, high: float) -> float:
    """``value`` to three digits where that stays between ``low`` and ``high``."""
    short = float(f"{value:.3g}")
    return short if low < short < high else value
