"""Which phases are run next: all of a plan, or, for a search and a stress test, what the results
of the last ones ask for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from opsconsole.errors import UsageError
from opsconsole.load.climb import Climb, Conduct
from opsconsole.load.ladders import Clients, Rates
from opsconsole.load.plan import Plan
from opsconsole.load.records import Tick
from opsconsole.profile.threshold import Threshold

_OVERRUN = 0.2
"""Share of what is due that stays in flight, above which a probe need not be run to its end."""
_OVERRUN_TICKS = 4


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
        return Climb(plan, thresholds, Rates(plan.search)).run()
    if plan.steps:
        return Climb(plan, thresholds, Clients(plan.steps, warm=bool(plan.phases))).run()
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
