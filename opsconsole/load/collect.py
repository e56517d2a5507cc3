"""Frames of the generator processes → ticks of a second, and the totals of each phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from opsconsole.load.messages import FRAME, Frame
from opsconsole.load.plan import Phase
from opsconsole.load.rates import idle
from opsconsole.load.records import NO_TIME, TICK, Client, PhaseResult, Tick, Totals
from opsconsole.load.thinning import thin

MOST_TICKS = 1200
"""Kept of a run: beyond it two ticks become one, so that memory does not grow with its length."""


class Collector:
    """Merges what several processes report.

    Args:
        origin: The run's start, time.monotonic_ns.
    """

    def __init__(self, origin: int) -> None:
        self.origin = origin
        self._open: dict[tuple[int, int], _Gathering] = {}
        self._drain: dict[int, _Gathering] = {}
        self._phases: dict[int, _Gathering] = {}
        self._last = 0
        self.examples: dict[str, str] = {}

    def add(self, frame: Frame, process: int = 0) -> None:
        """Take in one frame of a process."""
        second = int((frame.begin - self.origin) / 1e9 / TICK)
        # The last frame of a phase is a short one: a tick of its own would show a rate of nothing.
        short = frame.end - frame.begin < FRAME * 1e9 / 2
        if short and (second - 1, frame.phase) in self._open:
            second -= 1
        key = second, frame.phase
        if frame.end <= frame.begin and key not in self._open:
            # What came after the phase's time has no time of its own: one tick for all of it, of
            # the last phase alone, where nothing follows that it would stand beside.
            self._drain.setdefault(frame.phase, _Gathering(frame.begin)).add(frame, process)
        else:
            self._open.setdefault(key, _Gathering(frame.begin)).add(frame, process)
        self._phases.setdefault(frame.phase, _Gathering(frame.begin)).add(frame, process)
        for kind, example in frame.examples.items():
            self.examples.setdefault(kind, example)

    def due(self, now: int) -> Iterator[Tick]:
        """The ticks that no further frame can belong to."""
        # A frame comes when it ends, and through a pipe that may be slow for a moment.
        horizon = now - int((TICK + 2 * FRAME) * 1e9)
        for key in sorted(self._open):
            if self.origin + key[0] * TICK * 1e9 < horizon:
                yield self._tick(key)

    def rest(self) -> Iterator[Tick]:
        """All ticks that are still open."""
        for key in sorted(self._open):
            yield self._tick(key)
        drains, self._drain = self._drain, {}
        if drains:
            last = max(drains)
            if last == self._last:
                yield self._made(drains[last], last)

    def results(
        self, phases: Sequence[Phase], first: int, spans: Sequence[Sequence[tuple[int, int]]]
    ) -> list[PhaseResult]:
        """The totals of phases that have ended, and no memory of them.

        Args:
            phases: The phases. ``first``: the number of the first of them.
            spans: A process's begins and ends of them, for each process.
        """
        found = []
        for i, phase in enumerate(phases):
            gathered = self._phases.pop(first + i, None)
            mine = [process[i] for process in spans if i < len(process)]
            if gathered is None:
                seconds = (max(e for _, e in mine) - min(b for b, _ in mine)) / 1e9 if mine else 0.0
                found.append(PhaseResult(phase=phase, seconds=seconds, totals={}, client=Client()))
                continue
            seconds, ahead = gathered.seconds, gathered.ahead  # cut off, nobody could say so
            if mine:
                begin = min(b for b, _ in mine)
                seconds = (max(e for _, e in mine) - begin) / 1e9
            result = PhaseResult(
                phase=phase, seconds=seconds, totals=gathered.totals, client=gathered.client
            )
            result.idle = idle(phase, seconds, result.all(), ahead)
            found.append(result)
        return found

    def _tick(self, key: tuple[int, int]) -> Tick:
        self._last = max(self._last, key[1])
        return self._made(self._open.pop(key), key[1])

    def _made(self, gathered: _Gathering, phase: int) -> Tick:
        return Tick(
            at=(gathered.begin - self.origin) / 1e9,
            seconds=max(gathered.seconds, NO_TIME),
            phase=phase,
            totals=gathered.totals,
            client=gathered.client,
            since=(gathered.since - self.origin) / 1e9,
        )


class _Gathering:
    """The frames of one stretch of time."""

    def __init__(self, begin: int) -> None:
        self.begin = self.end = begin
        self.since = 0
        self.totals: dict[str, Totals] = {}
        self._client = Client()
        self._in_flight: dict[int, int] = {}
        self._stalled: dict[int, float] = {}
        self._busy: dict[int, float] = {}
        self._wanted: dict[int, float] = {}
        self._paused: dict[int, int] = {}
        self._waits: dict[int, float] = {}

    def add(self, frame: Frame, process: int) -> None:
        self.begin, self.end = min(self.begin, frame.begin), max(self.end, frame.end)
        self.since = min(self.since or frame.since, frame.since)
        for name, totals in frame.totals.items():
            self.totals.setdefault(name, Totals()).add(totals)
        self._client.then(frame.client)
        self._paused[process] = self._paused.get(process, 0) + frame.paused
        self._in_flight[process] = frame.client.in_flight
        self._waits[process] = frame.client.waits
        self._stalled[process] = self._stalled.get(process, 0.0) + frame.client.stalled
        self._busy[process] = self._busy.get(process, 0.0) + frame.client.busy
        self._wanted[process] = self._wanted.get(process, 0.0) + frame.client.wanted

    @property
    def seconds(self) -> float:
        """Without pauses, which are nobody's time."""
        return (self.end - self.begin - max(self._paused.values(), default=0)) / 1e9

    @property
    def ahead(self) -> float:
        """Seconds before its begin that something was in flight already; 0 where nothing was."""
        return max(0, self.begin - self.since) / 1e9

    @property
    def client(self) -> Client:
        """Of all processes; what was in flight is the sum of their last reports, and what is said
        of stalls and of a busy core is true of the process that was held up most."""
        self._client.in_flight = sum(self._in_flight.values())
        self._client.waits = max(self._waits.values(), default=0.0)
        self._client.stalled = max(self._stalled.values(), default=0.0)
        self._client.busy = max(self._busy.values(), default=0.0)
        self._client.wanted = max(self._wanted.values(), default=0.0)
        return self._client


def keep(ticks: list[Tick], tick: Tick) -> None:
    """Append ``tick``; past :data:`MOST_TICKS` the shortest neighbours of one phase become one.

    One pair at a time: all of them at once would take the console's loop 0.2 s.
    """
    ticks.append(tick)
    if len(ticks) <= MOST_TICKS:
        return
    pairs = (
        (one.seconds + other.seconds, i)
        for i, (one, other) in enumerate(pairwise(ticks))
        if one.phase == other.phase
    )
    if (shortest := min(pairs, default=None)) is not None:
        at = shortest[1]
        ticks[at : at + 2] = thin(ticks[at : at + 2], 1)
