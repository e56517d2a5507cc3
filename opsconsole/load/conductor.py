"""Which phases are run next: all of a plan, or, for a search and a stress test, what the results
of the last ones ask for."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.errors import UsageError
from opsconsole.load.climb import Climb, Conduct
from opsconsole.load.ladders import Clients, Rates
from opsconsole.load.plan import Plan
from opsconsole.profile.threshold import Threshold


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
