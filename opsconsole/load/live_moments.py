"""A run over time in bounded memory: what its ticks said, without their histograms by server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from opsconsole.load.histogram import Histogram
from opsconsole.load.records import ServerSample, Tick
from opsconsole.load.thinning import worse

MOST_MOMENTS = 480
"""Kept of a run; beyond it two become one."""
EARLIER = "of a phase before"
"""Kind of errors of requests that an earlier phase has sent: there they are counted by kind."""
_HOLE = 1.5
"""Seconds without any tick from which on a line is broken."""


class Moment(NamedTuple):
    """One tick, or several neighbours. ``at`` is its middle in seconds; latencies in seconds, None
    without any; rates a second; ``late`` the generator's p99.

    ``servers``: what they said of themselves. ``rates``: good requests a second by server.
    ``kinds``: errors a second by kind; of those that ended when the phase's time did not run, none.
    """

    at: float
    seconds: float
    phase: int
    p50: float | None
    p95: float | None
    p99: float | None
    good: float
    errors: float
    sent: float
    due: float
    dropped: float
    in_flight: int
    late: float | None
    cpu: float
    servers: dict[str, ServerSample]
    rates: dict[str, float]
    kinds: dict[str, float]


Value = Callable[[Moment], float | None]
Count = TypeVar("Count", int, float)


def over_time(moments: Sequence[Moment], value: Value) -> tuple[list[float], list[float | None]]:
    """Times and values of one line; a hole in time is a None in it, so that no line crosses it."""
    times: list[float] = []
    values: list[float | None] = []
    end: float | None = None
    for moment in moments:
        begin = moment.at - moment.seconds / 2
        if end is not None and begin - end > _HOLE:
            times.append((begin + end) / 2)
            values.append(None)
        times.append(moment.at)
        values.append(value(moment))
        end = begin + moment.seconds
    return times, values


def moment_of(tick: Tick) -> Moment:
    """One tick as a moment."""
    return _Slot(tick).moment()


class Moments:
    """The moments of a run, whatever its length."""

    def __init__(self) -> None:
        self.points: list[Moment] = []
        self._slots: list[_Slot] = []

    def take(self, tick: Tick) -> None:
        """The next tick."""
        slot = _Slot(tick)
        self._slots.append(slot)
        self.points.append(slot.moment())
        if len(self._slots) > MOST_MOMENTS:
            self._join_shortest()

    def _join_shortest(self) -> None:
        """Two neighbours of one phase become one: the begin of a long run stays about as fine as
        its end. One pair at a time, since all of them at once would hold up the console."""
        pairs = (
            (other.end - one.begin, at)
            for at, (one, other) in enumerate(pairwise(self._slots))
            if one.phase == other.phase
        )
        shortest = min(pairs, default=None)
        if shortest is None:  # more phases than moments: the oldest goes
            del self._slots[0], self.points[0]
            return
        at = shortest[1]
        self._slots[at].join(self._slots.pop(at + 1))
        self.points[at : at + 2] = [self._slots[at].moment()]


class _Slot:
    """Neighbouring ticks of one phase, not more of them than is drawn."""

    def __init__(self, tick: Tick) -> None:
        client = tick.client
        self.begin, self.end = tick.at, tick.at + tick.seconds
        self.phase = tick.phase
        self.seconds = tick.seconds
        self.response = Histogram()
        self.late = Histogram()
        self.late.add(client.late)
        self.good = self.errors = self.sent = 0
        self.due, self.dropped = client.due, client.dropped
        self.in_flight = client.in_flight
        self.cpu = client.cpu
        self.servers = dict(tick.servers)
        self.by_server: dict[str, int] = {}
        self.kinds: dict[str, float] = {}
        for name, totals in tick.totals.items():
            # As :meth:`Totals.rates` counts them.
            in_time = totals.good - totals.after_good
            errors = max(0, totals.ended - totals.after_ended - in_time)
            self.response.add(totals.response)
            self.good += in_time
            self.errors += errors
            self.sent += totals.sent
            self.by_server[name] = in_time
            failed = totals.ended - totals.good
            # Which of them came in time is not told apart by kind.
            part = min(1.0, errors / failed) if failed else 0.0
            _count(self.kinds, {kind: part * n for kind, n in totals.errors.items() if part})
            if errors > failed:
                _count(self.kinds, {EARLIER: errors - failed})

    def join(self, other: _Slot) -> None:
        self.end = other.end
        self.seconds += other.seconds
        self.response.add(other.response)
        self.late.add(other.late)
        self.good += other.good
        self.errors += other.errors
        self.sent += other.sent
        self.due += other.due
        self.dropped += other.dropped
        self.in_flight = other.in_flight
        self.cpu = max(self.cpu, other.cpu)
        for name, sample in other.servers.items():
            self.servers[name] = worse(self.servers.get(name), sample)
        _count(self.by_server, other.by_server)
        _count(self.kinds, other.kinds)

    def moment(self) -> Moment:
        p50, p95, p99 = self.response.percentiles((50, 95, 99))
        over = max(self.seconds, 1e-3)
        return Moment(
            at=(self.begin + self.end) / 2,
            seconds=self.end - self.begin,
            phase=self.phase,
            p50=p50,
            p95=p95,
            p99=p99,
            good=self.good / over,
            errors=self.errors / over,
            sent=self.sent / over,
            due=self.due / over,
            dropped=self.dropped / over,
            in_flight=self.in_flight,
            late=self.late.percentile(99),
            cpu=self.cpu,
            servers=self.servers,
            rates={name: count / over for name, count in self.by_server.items()},
            kinds={kind: count / over for kind, count in self.kinds.items()},
        )


def _count(mine: dict[str, Count], theirs: Mapping[str, Count]) -> None:
    for name, count in theirs.items():
        mine[name] = mine[name] + count if name in mine else count
