"""The sweep: successive halving over sets of settings, the winner held against what was there."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from statistics import fmean

from msgspec import structs

from opsconsole.engine.agreement import LEAST_AGREEMENT
from opsconsole.errors import OpsError, UsageError
from opsconsole.load import Plan
from opsconsole.load.records import PhaseResult
from opsconsole.load.validity import STALLED, reasons
from opsconsole.tuning.evidence import evidence_of, figures_of
from opsconsole.tuning.frontier import challenger, combined, promoted
from opsconsole.tuning.ladder import (
    FEWEST_REPETITIONS,
    SHORTEST,
    Ladder,
    plan_confirmation,
    plan_ladder,
)
from opsconsole.tuning.records import (
    Doing,
    Event,
    Evidence,
    Figures,
    Goal,
    Recommendation,
    Settings,
    Trial,
    TrialState,
)
from opsconsole.tuning.request import Request
from opsconsole.tuning.space import (
    CACHE,
    DTYPE,
    PARALLEL,
    QUEUE,
    candidates,
    default_values,
    effective,
)
from opsconsole.tuning.trial import Bench, Stopped, TimeOver, TrialFailed

FIRST_SECONDS = SHORTEST
MOST_CANDIDATES = 200
WORTH = 0.02
"""Share by which something must be better to be recommended: less is not worth a change."""

_MARGIN = 0.8
"""Of the time for the confirmation: a slow start must not cost its last pair."""

Tell = Callable[[Event], None]
Measured = tuple[PhaseResult, Figures]


class Sweep:
    """The trials of one tuning, and what follows from them.

    Attributes:
        trials: So far. ``was``: the swept settings as they were.
        notes: What a reader must know, one line each.
    """

    def __init__(
        self, bench: Bench, server: str, request: Request, limit: float | None, until: float,
        tell: Tell,
    ) -> None:  # fmt: skip
        self._bench = bench
        self._server = server
        self._request = request
        self._limit = limit
        self._patience = bench.start_timeout
        self._until = until
        self._tell = tell
        self._overheads: list[float] = []
        self._stalls: list[tuple[float, float]] = []
        self.trials: list[Trial] = []
        self.was: Settings = {}
        self.notes: list[str] = []

    @property
    def overhead(self) -> float:
        """Seconds that a run takes beyond its load: the mean so far; 0 before the first."""
        return fmean(self._overheads) if self._overheads else 0.0

    async def run(self) -> Recommendation:
        """Find the settings.

        Raises:
            UsageError: the time is too short, or there is nothing to try.
            OpsError: what was there cannot be measured.
            Stopped: told to stop; what was measured until then is in ``trials``.
        """
        first = await self.attempt({}, 1, FIRST_SECONDS)
        if first.figures is None:
            raise OpsError(
                f"as it is, it cannot be measured: {first.reason}", where=self._server,
                hint="mend that before you tune",
            )  # fmt: skip
        pool = candidates(self.values(), MOST_CANDIDATES)
        ladder = plan_ladder(self._left(), self.overhead, len(pool)) if len(pool) > 1 else None
        if ladder is None:
            raise self._too_little(len(pool))
        final = await self._halve(pool, ladder, first)
        found = challenger(
            [trial for trial in final if self._ranks_alike(trial)], self._request.goal, self._limit
        )
        if found is None:
            return Recommendation(settings={}, why="nothing else could be measured")
        # Even one that did worse: noise may have been against it, and evidence is worth its time.
        confirming = plan_confirmation(_MARGIN * self._left(), self.overhead)
        evidence = await self.duel(found.settings, *confirming) if confirming else None
        if evidence is None:
            return Recommendation(settings={}, why="the time was too short for a confirmation")
        return recommend(evidence, self._request.goal, self._limit)

    def remarks(self) -> list[str]:
        """What a reader must know, one line each."""
        notes = [*self.notes, *self._bench.remarks()]
        stalled = sum(stall for stall, _ in self._stalls)
        seconds = sum(each for _, each in self._stalls)
        if stalled <= STALLED * seconds:
            return notes
        waited = (
            "the machine was busy: the load generator had to wait for a core "
            f"{stalled / seconds:.0%} of the time, which widens the intervals"
        )
        return [*notes, waited]

    def values(self) -> dict[str, tuple[str, ...]]:
        """The values to try by setting, after the first trial."""
        self.read_was()
        clients = self._request.plan(self._server, 1).phases[-1].concurrency or 1
        found = default_values(self.was, clients)
        if DTYPE in self._bench.held:
            # It would choose one of the others.
            found[DTYPE] = tuple(value for value in found[DTYPE] if value != "auto")
        for name, chosen in self._request.values.items():
            found[name] = tuple(value for value in chosen if value != self.was.get(name))
        if self._request.only:
            found = {name: found[name] for name in found if name in self._request.only}
        asked = {*self._request.values, *self._request.only}
        repeats = self._request.work.repeat or self._request.work.replay
        if CACHE in found and CACHE not in asked and not repeats:
            del found[CACHE]
            self.notes.append("the cache was left out: this load repeats no pair (--repeat 20%)")
        if QUEUE in found and int(self.was[PARALLEL]) + int(self.was[QUEUE]) >= clients:
            self.notes.append(
                f"{clients} clients never fill a queue of {self.was[QUEUE]}: a longer one cannot "
                "matter to them (-c sends more)"
            )
        return {name: each for name, each in found.items() if each}

    def read_was(self) -> None:
        """Set :attr:`was`, from its environment and from what the server says of itself."""
        controller = self._bench.health.get("controller", {})
        self.was = effective(self._bench.told | self._bench.held, controller)

    async def _halve(self, pool: list[Settings], ladder: Ladder, first: Trial) -> list[Trial]:
        """The rounds; the trials of the last one."""
        goal, limit = self._request.goal, self._limit
        pairs = min(ladder.repetitions, FEWEST_REPETITIONS)
        chosen = pool[: ladder.rounds[0].candidates]
        latest: list[Trial] = []
        for number, round_ in enumerate(ladder.rounds, 1):
            if number > 1:
                alike = [trial for trial in latest if self._ranks_alike(trial)]
                chosen = promoted(alike, round_.candidates, goal, limit)
                joined = combined([t for t in self.trials if self._ranks_alike(t)], goal, limit)
                if number == 2 and len(joined) > 1 and joined not in chosen:
                    # In the place of the last, where the round is full.
                    chosen[max(1, round_.candidates - 1) :] = [joined]
            made: list[Trial] = []
            for settings in chosen:
                if number == 1 and not settings and round_.seconds < 1.4 * FIRST_SECONDS:
                    made.append(first)
                    continue
                reserve = 2 * pairs * (self.overhead + min(ladder.seconds, 2 * SHORTEST))
                if made and self._left() - reserve < self.overhead + round_.seconds:
                    self.notes.append(
                        f"round {number} was cut short: starts took longer than the first"
                    )
                    break
                made.append(await self.attempt(settings, number, round_.seconds))
            # A round without what was there says nothing against it.
            if any(trial.figures for trial in made if not trial.settings):
                latest = made
        return latest

    async def duel(self, settings: Settings, repetitions: int, seconds: float) -> Evidence | None:
        """Before and after in turns, for evidence; None when the time is too short for any."""
        plan = self._request.plan(self._server, seconds)
        return await self.turns(settings, repetitions, lambda tried: self.once(tried, plan))

    async def turns(
        self,
        settings: Settings,
        repetitions: int,
        measure: Callable[[Settings], Awaitable[Measured | None]],
    ) -> Evidence | None:
        """Pairs of measurements, A B B A …, as many as the time allows."""
        before: list[Measured] = []
        after: list[Measured] = []
        longest = 0.0
        for number in range(repetitions):
            if number and self._left() < longest:
                break
            begin = time.monotonic()
            order = ({}, settings) if number % 2 == 0 else (settings, {})
            try:
                pair = [await measure(tried) for tried in order]
            except TimeOver:
                break
            one, other = pair if number % 2 == 0 else pair[::-1]
            if one is not None and other is not None:
                before.append(one)
                after.append(other)
            longest = max(longest, time.monotonic() - begin)
        return evidence_of(settings, before, after) if before else None

    async def attempt(self, settings: Settings, round_: int, seconds: float) -> Trial:
        """One trial, told and kept; a server that does not come up is a trial that failed."""
        await self._once(settings, round_, self._request.plan(self._server, seconds))
        return self.trials[-1]

    async def once(self, settings: Settings, plan: Plan) -> Measured | None:
        """One run for the evidence; None when nothing was measured."""
        return await self._once(settings, 0, plan)

    async def _once(self, settings: Settings, round_: int, plan: Plan) -> Measured | None:
        what = f"round {round_}" if round_ else "in turns"
        self._tell(Doing(what=what, settings=settings, until=self._until))
        state: TrialState = "measured"
        reason = ""
        found: Measured | None = None
        begin = time.monotonic()
        try:
            await self._bench.start(settings, self._start_patience())
            run = await self._bench.load(plan)
            result = run.measured()
            if result is None or not result.all().ended:
                state, reason = "failed", "no request ended"
            elif wrong := unsound(result):
                state, reason = "invalid", wrong
            else:
                found = result, figures_of([result], self._bench.memory())
                self._stalls.append((result.client.stalled, result.seconds))
                self._overheads.append(max(0.5, time.monotonic() - begin - result.seconds))
        except TrialFailed as error:
            state, reason = "failed", str(error)
        except Stopped as error:
            self._keep(settings, round_, "cut off", None, str(error))
            raise
        self._keep(settings, round_, state, found[1] if found else None, reason)
        return found

    def _keep(
        self, settings: Settings, round_: int, state: TrialState, figures: Figures | None, why: str
    ) -> None:
        tau = self._bench.tau() if figures is not None else None
        trial = Trial(number=len(self.trials) + 1, round=round_, settings=settings, state=state,
                      figures=figures, reason=why, tau=tau)  # fmt: skip
        self.trials.append(trial)
        self._tell(trial)

    def _ranks_alike(self, trial: Trial) -> bool:
        """Whether its answers are as good: a precision that ranks otherwise is no tuning."""
        usual = self.trials[0].tau
        floor = LEAST_AGREEMENT if usual is None else min(LEAST_AGREEMENT, usual)
        if not trial.settings or trial.tau is None or trial.tau >= floor:
            return True
        note = (
            f"DTYPE={trial.settings.get('DTYPE', self.was.get('DTYPE'))} is not recommended: it "
            f"ranks otherwise than float32 (Kendall's tau {trial.tau:.3f})"
        )
        if note not in self.notes:
            self.notes.append(note)
        return False

    def _start_patience(self) -> float:
        """Seconds that a start may take: of its own once it is known, else of the profile."""
        usual = max(15.0, 5 * self.overhead) if self.overhead else self._patience
        return min(self._patience, usual)

    def _left(self) -> float:
        return self._until - time.monotonic()

    def _too_little(self, pool: int) -> OpsError:
        if pool < 2:
            return UsageError("there is nothing to try: every value is the one that is there",
                              where="--set", hint="give other values")  # fmt: skip
        least = (2 + 2 * FEWEST_REPETITIONS) * (self.overhead + FIRST_SECONDS) + self.overhead
        return UsageError(
            f"the time is too short: a start takes {self.overhead:.0f} s here", where="--budget",
            hint=f"at least {2 * least:.0f}s",
        )  # fmt: skip


def unsound(result: PhaseResult) -> str:
    """Why the run says nothing of the server; empty when it does.

    Stricter rules hold for a load test's verdict. Here server and generator share a machine and
    each is compared with the other's equal: moments in which the generator had to wait for a core
    are noise on both sides, which the interval over the repetitions has in it.
    """
    client = structs.replace(result.client, stalled=0.0)
    found = reasons(structs.replace(result, client=client), ())
    return found[0] if found else ""


def recommend(evidence: Evidence, goal: Goal, limit: float | None) -> Recommendation:
    """What the confirmation says: the change only when it is proved, and breaks nothing."""
    rate, p95 = evidence.of("rate"), evidence.of("p95")
    holds = limit is None or (p95.before is not None and p95.before <= limit)
    after = math.inf if p95.after is None else p95.after
    # Where the limit is broken as it is, to come nearer to it goes before throughput.
    faster = goal == "throughput" and holds
    aim = rate if faster else p95
    gain = _gain(aim.change, aim.low, aim.high, more=faster)
    broken = limit is not None and holds and after > limit
    keep = ""
    if math.isinf(after):
        keep = "too many requests failed with the best of the others"
    elif evidence.repetitions < FEWEST_REPETITIONS or gain is None:
        keep = f"only {evidence.repetitions} pairs of runs could be compared"
    elif not faster and rate.high is not None and rate.high < -WORTH:
        keep = "what lowers p95 costs throughput"
    elif gain < 0:
        keep = "no difference is proved between what is there and the best of the others"
    elif broken:
        keep = "the best of the others breaks the limit of p95, which holds now"
    elif abs(aim.change or 0.0) < WORTH:
        keep = f"the best of the others is less than {WORTH:.0%} better"
    if keep:
        return Recommendation(settings={}, why=keep, evidence=evidence)
    what = "more good requests a second" if faster else "lower p95"
    return Recommendation(
        settings=evidence.settings, evidence=evidence,
        why=f"{abs(aim.change or 0):.0%} {what}, proved over {evidence.repetitions} pairs of runs",
    )  # fmt: skip


def _gain(
    change: float | None, low: float | None, high: float | None, *, more: bool
) -> float | None:
    """The end of the interval nearest to nothing, positive when all of it is a gain."""
    if change is None or low is None or high is None:
        return None
    return low if more else -high
