"""When a search's probe is lost, and need not be run to its end: what is left of it would only
pile up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from opsconsole.load.judge import family_of, is_latency, percent_of
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import Tick
from opsconsole.profile.threshold import Threshold

OVERRUN_TICKS = 4
"""Ticks that must each have left more in flight."""
_RISE = 0.2
"""Share of what was due in them that must have stayed in flight."""


def patience(
    thresholds: Sequence[Threshold], *, timeout: float, seconds: float, servers: Sequence[str] = ()
) -> float:
    """Times the rate: how many in flight a probe of so many ``seconds`` can have for the
    thresholds still to be kept.

    Fewer prove nothing: by Little's law a server that keeps up has its response time × rate in
    flight, and until the first answers come that many pile up whatever it does. More are a broken
    threshold: of rate × (limit + 1 % of the probe) some were sent longer ago than the limit, and
    those are more than the 1 % that ``p99 < limit`` lets be late.

    Args:
        servers: Names of those that are loaded, each with its part of the rate.
    """

    def least(server: str) -> float:
        own = (_longest(t, timeout, seconds) for t in thresholds if t.server == server)
        return min((timeout, *own))

    each = max((least(name) for name in servers), default=timeout)
    return min(least(""), each)


def _longest(threshold: Threshold, timeout: float, seconds: float) -> float:
    family, statistic = family_of(threshold.metric)
    if not (is_latency(threshold.metric) and threshold.below) or family == "first_byte":
        return timeout
    percent = percent_of(threshold.metric)
    if percent is None:
        return threshold.limit if statistic == "max" else timeout
    return threshold.limit + (1 - percent / 100) * seconds


class Overrun:
    """Watches one probe.

    Args:
        number: Its phase's number within the run.
        patience: See :func:`patience`.
    """

    def __init__(self, number: int, patience: float) -> None:
        self._number = number
        self._patience = patience
        self._ticks: deque[tuple[int, int]] = deque(maxlen=OVERRUN_TICKS)
        self._due = 0
        self._seconds = 0.0
        self._told = False

    @staticmethod
    def of(
        plan: Plan, thresholds: Sequence[Threshold], phases: Sequence[Phase], first: int
    ) -> Overrun | None:
        """For the probe that a search runs last of ``phases``, whose first is the run's
        ``first``-th; None where they are something else."""
        probe = phases[-1] if phases else None
        if plan.search is None or probe is None or not (probe.measured and probe.is_open):
            return None
        names = plan.servers or tuple({t.server for t in thresholds if t.server})
        longest = patience(
            thresholds, timeout=plan.timeout, seconds=probe.duration or 0.0, servers=names
        )
        return Overrun(first + len(phases) - 1, longest)

    def take(self, tick: Tick) -> str | None:
        """Why the probe may be stopped, once; None while it may go on."""
        client = tick.client
        if tick.phase != self._number or tick.is_pause or self._told:
            return None
        self._due += client.due
        self._seconds += tick.seconds
        if not client.due or (self._ticks and client.in_flight <= self._ticks[-1][0]):
            self._ticks.clear()
        self._ticks.append((client.in_flight, client.due))
        if len(self._ticks) < OVERRUN_TICKS or not self._is_beyond(client.in_flight):
            return None
        rise = self._ticks[-1][0] - self._ticks[0][0]
        due = sum(due for _, due in list(self._ticks)[1:])
        if rise <= max(_RISE * due, 10 + 3 * math.sqrt(due)):
            return None
        self._told = True
        return f"in flight grew by {rise:,} while {due:,} were due"

    def _is_beyond(self, in_flight: int) -> bool:
        allowed = self._due / self._seconds * self._patience if self._seconds else math.inf
        return in_flight > allowed + 3 * math.sqrt(allowed)
