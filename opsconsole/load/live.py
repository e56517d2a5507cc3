"""What can be said of a run while it runs, from its ticks alone: for every face.

Taking a tick is cheap; what needs a walk over histograms is made when it is asked for, once a
tick. Memory does not grow with the length of the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from opsconsole.load.levels import Levels
from opsconsole.load.live_columns import Column, Sum, result_of
from opsconsole.load.live_moments import Moment, Moments
from opsconsole.load.live_probes import Tried, tried
from opsconsole.load.live_progress import Progress, Way
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.probes import OVER, limits
from opsconsole.load.records import Client, Judgement, PhaseResult, Run, Tick, Totals
from opsconsole.load.validity import reasons
from opsconsole.profile.threshold import Threshold, parse_threshold

RECENT = 10.0
"""Seconds of the column between now and the whole."""
_SLACK = 0.5
"""As in :mod:`opsconsole.load.windows`: a tick is a second by the clock, not to the nanosecond."""


class ErrorKind(NamedTuple):
    """Errors of one kind: how many, how many a second over the last :data:`RECENT`, and one."""

    kind: str
    number: int
    rate: float
    example: str


class Live:
    """A run so far.

    Args:
        plan: What is run.
        phases: Those begun so far; the caller's own list, which may grow.
        thresholds: What is expected of the servers.

    Attributes:
        ticks: How many were taken. ``seconds``: where the last one ended on the run's own clock.
        paused: Say so while nothing is sent by the operator's will: the phase stands still too.
    """

    def __init__(
        self, plan: Plan, phases: Sequence[Phase], thresholds: Sequence[Threshold]
    ) -> None:
        self.plan = plan
        self.phases = phases
        self.thresholds = list(thresholds)
        self.ticks = 0
        self.seconds = 0.0
        self.paused = False
        self._moments = Moments()
        self._last: Tick | None = None
        self._recent: deque[Tick] = deque()
        # One for each: those whose window is not full yet must not be asked.
        self._sliding = {
            threshold.text: Levels([threshold]) for threshold in thresholds if threshold.window
        }
        self._judged: dict[str, Judgement] = {}
        self._whole = Sum()
        self._law: Phase | None = None  # of the first measured phase
        self._warm = Sum()
        self._phase = Sum()
        self._phase_before: PhaseResult | None = None
        self._way = Way()
        self._tried: list[Tried] = []
        self._exact: PhaseResult | None = None
        self._ended = self._stopped = False
        self._made: dict[str, Any] = {}

    @staticmethod
    def of(run: Run) -> Live:
        """A run that has ended, from its record. Its ``recent`` is its end."""
        live = Live(run.plan, [result.phase for result in run.phases], _thresholds(run))
        for tick in run.ticks:
            live.take(tick)
        live.end(run)
        return live

    @property
    def climbs(self) -> bool:
        """Whether the phases are made as it goes: a search, or a stress test."""
        return self.plan.search is not None or self.plan.steps is not None

    def take(self, tick: Tick) -> None:
        """The next tick, in the order of time."""
        before = self._last
        if before is not None and tick.phase != before.phase:
            self._next_phase(before.phase)
        if before is None or self._measured(before.phase) != self._measured(tick.phase):
            self._recent.clear()
        self.ticks += 1
        self.seconds = tick.at + tick.seconds
        self._last = tick
        self._recent.append(tick)
        while len(self._recent) > 1 and self._recent[0].at < self.seconds - RECENT - _SLACK:
            self._recent.popleft()
        if self._measured(tick.phase):
            self._whole.add(tick)
            if self._law is None:
                self._law = self._at(tick.phase)
            for levels in self._sliding.values():
                levels.take(tick)
        else:
            self._warm.add(tick)
        if self.climbs:
            self._phase.add(tick)
        self._way.take(tick, paused=self.paused)
        self._moments.take(tick)
        self._made.clear()

    def end(self, run: Run) -> None:
        """It has ended: from now on the whole is that of its record, to the nanosecond."""
        self._ended, self._stopped = True, bool(run.stopped)
        self._judged = {judged.threshold: judged for judged in run.judgements}
        self._exact = run.measured()
        self._made.clear()

    @property
    def ended(self) -> bool:
        """Whether it has ended: nothing is in flight any more, whatever the last tick says."""
        return self._ended

    # the columns

    @property
    def now(self) -> Column:
        """The last tick."""
        last = self._last
        if last is None:
            return self._column("now", 0.0, {}, Client())
        return self._column("now", last.seconds, last.totals, last.client)

    @property
    def recent(self) -> Column:
        """The last :data:`RECENT` seconds; warm-up and what is measured are never mixed."""
        if "recent" in self._made:
            known: Column = self._made["recent"]
            return known
        whole = Sum()
        for tick in self._recent:
            whole.add(tick)
        return self._column("recent", whole.seconds, whole.servers, whole.client)

    @property
    def whole(self) -> Column:
        """The measured phases so far: without warm-up."""
        if "whole" in self._made:
            known: Column = self._made["whole"]
            return known
        exact = self._exact
        if exact is not None:
            column = self._column("whole", exact.seconds, exact.totals, exact.client, exact.rated)
        else:
            sum_ = self._whole
            rated = sum_.result(self._law).rated if self._law is not None else None
            column = self._column("whole", sum_.seconds, sum_.servers, sum_.client, rated)
        self._judge_windows(column)
        return column

    def _judge_windows(self, column: Column) -> None:
        """Thresholds over a window are held against the worst one of the run; what the record
        says of one is what it was."""
        for at, threshold in enumerate(self.thresholds):
            if (known := self._judged.get(threshold.text)) is not None:
                column.judgements[at] = known
            elif threshold.window and column.seconds >= threshold.window:
                result = result_of(column)
                [column.judgements[at]] = self._sliding[threshold.text].judge(result)

    @property
    def probe(self) -> Column:
        """Of a search or a stress test the probe under way, or its warm-up."""
        here, result = self._phase, self._here()
        rated = result.rated if result is not None else None
        return self._column("probe", here.seconds, here.servers, here.client, rated)

    def _column(
        self,
        name: str,
        seconds: float,
        servers: Mapping[str, Totals],
        client: Client,
        rated: float | None = None,
    ) -> Column:
        if name not in self._made:
            self._made[name] = Column(seconds, servers, client, self.thresholds, rated=rated)
        found: Column = self._made[name]
        return found

    # over time

    @property
    def moments(self) -> list[Moment]:
        """The run over time, at most :data:`live_moments.MOST_MOMENTS` of them."""
        return self._moments.points

    @property
    def servers(self) -> list[str]:
        """Names of all that were sent to or that spoke of themselves, in the plan's order."""
        found = dict.fromkeys(self.plan.servers)
        last = self._last
        for names in (self._warm.servers, self._whole.servers, last.servers if last else ()):
            found.update(dict.fromkeys(names))
        return list(found)

    # where it is

    @property
    def phase(self) -> Phase | None:
        """The phase of the last tick."""
        return self._at(self._last.phase) if self._last is not None else None

    @property
    def progress(self) -> Progress:
        """How far it is."""
        number = self._last.phase + 1 if self._last is not None else 0
        return self._way.progress(self.plan, self.phases, number)

    # what is wrong

    def errors(self, examples: Mapping[str, str]) -> list[ErrorKind]:
        """Kinds of errors, most frequent first: those of the measured phases, before them those of
        the warm-up. ``examples``: a run's, by kind."""
        kinds = self.whole.totals.errors if self.whole else self._warm.errors()
        recent = self.recent
        return [
            ErrorKind(
                kind,
                count,
                recent.rate(recent.totals.errors.get(kind, 0)) or 0.0,
                examples.get(kind, ""),
            )
            for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
        ]

    @property
    def warnings(self) -> list[str]:
        """Why the run would be INVALID if it ended now; of a search, why its probe would."""
        if "warnings" not in self._made:
            self._made["warnings"] = self._reasons()
        found: list[str] = self._made["warnings"]
        return found

    def _reasons(self) -> list[str]:
        if self.climbs:
            here = self._here()
            return limits(here, self.thresholds) if here and here.phase.measured else []
        whole = self.whole
        if not (whole.totals.ended or whole.totals.sent or whole.client.due):
            return []
        return reasons(result_of(whole), self.thresholds)

    # a search or a stress test

    @property
    def probes(self) -> list[Tried]:
        """What a search or a stress test tried, oldest first, the one under way last; empty for
        other plans."""
        if "probes" not in self._made:
            here = self._here() if self.climbs else None
            found = list(self._tried)
            if here is not None and here.phase.measured:
                open_ = not self._phase_is_over(here)
                found.append(
                    tried(
                        here,
                        self._phase_before,
                        self.thresholds,
                        running=open_ and not self._ended,
                        stopped=open_ and self._stopped,
                    )
                )
            self._made["probes"] = found
        made: list[Tried] = self._made["probes"]
        return made

    def _here(self) -> PhaseResult | None:
        if self._last is None or (phase := self._at(self._last.phase)) is None:
            return None
        return self._phase.result(phase)

    @staticmethod
    def _phase_is_over(here: PhaseResult) -> bool:
        phase = here.phase
        if phase.requests is not None and here.all().ended >= phase.requests:
            return True
        # Its ticks may be a little less.
        return phase.duration is not None and here.seconds >= OVER * phase.duration

    def _next_phase(self, old: int) -> None:
        phase = self._at(old)
        if self.climbs and phase is not None:
            result = self._phase.result(phase)
            if phase.measured:
                self._tried.append(tried(result, self._phase_before, self.thresholds))
                self._phase_before = None
            else:
                self._phase_before = result
        self._phase = Sum()
        self._way.next_phase(phase)

    def _at(self, number: int) -> Phase | None:
        phases = self.phases
        return phases[number] if 0 <= number < len(phases) else None

    def _measured(self, number: int) -> bool:
        phase = self._at(number)
        return phase is not None and phase.measured


def _thresholds(run: Run) -> list[Threshold]:
    """What a stored run was held against: the plan's, or what its servers promised then."""
    texts = [judged.threshold for judged in run.judgements] or list(run.plan.thresholds)
    found = []
    for text in texts:
        try:
            found.append(parse_threshold(text))
        except ValueError:
            continue  # of another version, which measured what this one does not
    return found
