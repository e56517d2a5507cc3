"""What a search or a stress test has tried so far, while it is still trying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from opsconsole.load.judge import judge, show
from opsconsole.load.probes import growth
from opsconsole.load.records import PhaseResult
from opsconsole.load.validity import reasons
from opsconsole.profile.threshold import Threshold

ProbeState = Literal["now", "held", "broke", "client"]
_CUT = 0.95
"""Share of its time below which an open-loop probe was stopped before its end."""


class Tried(NamedTuple):
    """One probe, or a step. ``level``: rate a second, or clients. ``p95`` in seconds, ``rate`` good
    requests a second, ``success`` a share; None where nothing was measured.

    ``state``: ``client`` is one that the generator limited, which says nothing of the servers.
    ``why`` says what broke or what limited it.
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
    running: bool,
) -> Tried:
    """What a probe says, judged as the conductor judges it; ``running``: so far."""
    phase, totals, client = result.phase, result.all(), result.client
    broken = [
        f"{judged.metric} {show(judged.metric, judged.observed)}"
        for judged in judge(result, thresholds)
        if not judged.passed and (judged.observed is not None or totals.ended)
    ]
    if client.dropped:
        broken.append(f"{client.dropped:,} of {client.due:,} dropped, too many in flight")
    cut = (
        not running
        and phase.is_open
        and phase.requests is None
        and phase.duration is not None
        and result.seconds < _CUT * phase.duration
    )
    if cut:
        broken.append("stopped early, in flight grew without end")
    elif warmup is not None and not running and (grows := growth([warmup, result])):
        broken.append(f"in flight grew by {grows:.3g} a second")
    limited = [] if cut else limits(result, thresholds)
    if limited:
        state: ProbeState = "client"
    elif running:
        state = "now"
    else:
        state = "broke" if broken or not totals.ended else "held"
    p95, p99 = totals.response.percentiles((95, 99))
    return Tried(
        name=phase.name,
        level=float(phase.concurrency if phase.concurrency is not None else phase.rate or 0.0),
        state=state,
        p95=p95,
        p99=p99,
        rate=totals.rates(result.seconds).good,
        success=totals.good / totals.ended if totals.ended else None,
        why="; ".join(limited or broken),
    )


def limits(result: PhaseResult, thresholds: Sequence[Threshold]) -> list[str]:
    """Why the generator, not the server, limits a probe. What is dropped there is the server's
    failure: beyond its limit it is overrun on purpose."""
    client = result.client
    if not (client.due or result.all().ended):
        return []
    own = msgspec.structs.replace(client, due=client.due - client.dropped, dropped=0)
    return reasons(msgspec.structs.replace(result, client=own), thresholds)
