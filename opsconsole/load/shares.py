"""How many generator processes a plan gets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from opsconsole.load.messages import Target
from opsconsole.load.plan import Plan

RATE = 10_000.0
"""Requests a second that one process sends on time: half its core, and lateness p99 below 1 ms."""
CLIENTS = 100
"""Clients of one process: answered within a millisecond they make the 100,000 requests a second
that it carries."""
MOST = 8
_SEARCHED = 20_000.0
"""A search begins low, and most end far below their highest rate."""
_LOCAL = ("localhost", "127.", "::1", "[::1]")


def processes_for(plan: Plan, targets: Sequence[Target], cores: int | None = None) -> int:
    """As many as ``plan`` says; where it leaves that open, what its rate or clients need.

    One core is left free; where a server is on this machine, half of them, because processes that
    take the server's core would measure themselves. With two cores it is one process, always.

    Args:
        cores: That may be used; by default those that this process may run on.
    """
    most = max(1, plan.max_in_flight)  # each has one in flight at least
    if plan.processes:
        return min(plan.processes, most)
    if cores is None:
        cores = _cores()
    near = any(target.unix or target.host.startswith(_LOCAL) for target in targets)
    able = cores // 2 if near else cores - 1
    return max(1, min(able, most, MOST, max(_needed(plan), default=1)))


def _needed(plan: Plan) -> Iterator[int]:
    for phase in plan.phases:
        if phase.concurrency is not None:
            yield _parts(phase.concurrency, CLIENTS)
        elif phase.rate is not None:
            yield _parts(max(phase.rate, phase.rate_end or 0.0), RATE)
    if plan.steps is not None:
        yield _parts(plan.steps.most, CLIENTS)
    if plan.search is not None:
        yield _parts(min(plan.search.most, _SEARCHED), RATE)


def _parts(whole: float, part: float) -> int:
    return max(1, -int(-whole // part))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
