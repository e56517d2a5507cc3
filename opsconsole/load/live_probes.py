"""What a search or a stress test has tried so far, while it is still trying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from opsconsole.load.probes import probe_of
from opsconsole.load.records import PhaseResult
from opsconsole.load.summary import success
from opsconsole.profile.threshold import Threshold

ProbeState = Literal["now", "held", "broke", "client", "stopped"]


class Tried(NamedTuple):
    """One probe, or a step. ``level``: rate a second, or clients. ``p95`` in seconds, ``rate`` good
    requests a second, ``success`` a share; None where nothing was measured.

    ``state``: ``client`` is one that the generator limited, which says nothing of the servers, and
    ``stopped`` one that the operator did not let end. ``why`` says what broke or what limited it.
    """

    name: str
    level: float
    state: ProbeState
    p95: float | None
    p99: float | None
    rate: float | None
    success: float | None
    why: str


def tried(
    result: PhaseResult,
    warmup: PhaseResult | None,
    thresholds: Sequence[Threshold],
    *,
    running: bool = False,
    stopped: bool = False,
) -> Tried:
    """What a probe says, as the conductor judges it; ``running``: so far. ``stopped``: so far, and
    there it ended, so that it says nothing."""
    phase, totals = result.phase, result.all()
    level = float(phase.concurrency if phase.concurrency is not None else phase.rate or 0.0)
    results = [result] if warmup is None else [warmup, result]
    probe = probe_of(level, results, thresholds, running=running or stopped)
    if stopped:
        state: ProbeState = "stopped"
    elif probe.limited:
        state = "client"
    else:
        state = "now" if running else "held" if probe.held else "broke"
    p95, p99 = totals.response.percentiles((95, 99))
    return Tried(
        name=phase.name,
        level=level,
        state=state,
        p95=p95,
        p99=p99,
        rate=totals.rates(result.rated).good,
        success=success(totals),
        why="" if stopped else probe.limited or probe.brief,
    )
