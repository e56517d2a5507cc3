"""Frames of the generator processes → ticks of a second, and the totals of each phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opsconsole.load.messages import FRAME, Frame
from opsconsole.load.plan import Phase
from opsconsole.load.records import TICK, Client, PhaseResult, Tick, Totals
from opsconsole.load.thinning import thin

MOST_TICKS = 1200
"""Kept of a run: beyond it two ticks become one, so that memory does not grow with its length."""


class Collector:
    """Merges what several processes report.

    Args:
        origin: The run's start, time.monotonic_ns.
        processes: How many of them report.
    """

    def __init__(self, origin: int, processes: int) -> None:
        self.origin = origin
        self._processes = processes
        self._open: dict[tuple[int, int], _Gathering] = {}
        self._phases: dict[int, _Gathering] = {}
        self.examples: dict[str, str] = {}

    def add(self, frame: Frame) -> None:
        """Take in one frame."""
        second = int((frame.begin - self.origin) / 1e9 / TICK)
        # The last frame of a phase is a short one: a tick of its own would show a rate of nothing.
        short = frame.end - frame.begin < FRAME * 1e9 / 2
        if short and (second - 1, frame.phase) in self._open:
            second -= 1
        self._open.setdefault((second, frame.phase), _Gathering(frame.begin)).add(frame)
        self._phases.setdefault(frame.phase, _Gathering(frame.begin)).add(frame)
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
            seconds = (max(e for _, e in mine) - min(b for b, _ in mine)) / 1e9 if mine else 0.0
            found.append(
                PhaseResult(
                    phase=phase,
                    seconds=seconds,
                    totals=gathered.totals if gathered else {},
                    client=gathered.client(self._processes) if gathered else Client(),
                )
            )
        return found

    def _tick(self, key: tuple[int, int]) -> Tick:
        gathered = self._open.pop(key)
        return Tick(
            at=(gathered.begin - self.origin) / 1e9,
            seconds=max((gathered.end - gathered.begin) / 1e9, 1e-3),
            phase=key[1],
            totals=gathered.totals,
            client=gathered.client(self._processes),
        )


class _Gathering:
    """The frames of one stretch of time."""

    def __init__(self, begin: int) -> None:
        self.begin = self.end = begin
        self.totals: dict[str, Totals] = {}
        self._client = Client()
        self._in_flight: list[int] = []

    def add(self, frame: Frame) -> None:
        self.begin, self.end = min(self.begin, frame.begin), max(self.end, frame.end)
        for name, totals in frame.totals.items():
            self.totals.setdefault(name, Totals()).add(totals)
        self._client.then(frame.client)
        self._in_flight.append(frame.client.in_flight)

    def client(self, processes: int) -> Client:
        """Of all processes; what was in flight is the sum of their last reports."""
        self._client.in_flight = sum(self._in_flight[-processes:])
        return self._client


def keep(ticks: list[Tick], tick: Tick) -> None:
    """Append ``tick``; past :data:`MOST_TICKS` neighbours of one phase are merged, all over."""
    ticks.append(tick)
    if len(ticks) > MOST_TICKS:
        ticks[:] = thin(ticks, MOST_TICKS // 2)
