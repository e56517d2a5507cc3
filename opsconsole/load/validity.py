"""Whether a run says anything about the servers, or only about the generator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opsconsole import figures
from opsconsole.load.judge import is_latency
from opsconsole.load.records import Client, PhaseResult, Tick
from opsconsole.profile.threshold import Threshold

LATE_SHARE = 0.1
"""Of the tightest latency limit: how late the 99th percentile of sends may be."""
BUSY = 0.8
"""Busy share of a generator's core above which its clock is no longer to be trusted."""
BUSY_TIME = 0.05
"""Share of the time for which it may be so."""
SENT_SHARE = 0.99
"""Share of the schedule that must have been tried."""


def reasons(
    result: PhaseResult, thresholds: Sequence[Threshold], ticks: Iterable[Tick]
) -> list[str]:
    """Why the numbers of ``result`` say nothing about the servers; empty when they do.

    Args:
        ticks: Those of the result's phases; without any, one busy moment is enough.
    """
    client = result.client
    # A server that refuses every connection is sent nothing, which is its failure, not ours.
    totals = result.all()
    tried = max(totals.sent, totals.ended + client.in_flight)
    found = [*_failures(client)]
    if client.dropped:
        share = f" of {client.due:,}" if client.due else ""
        found.append(f"{client.dropped:,}{share} requests were not sent: too many were in flight")
    if not tried:
        found.append("nothing was sent")
        return found
    if client.due and tried + client.dropped < SENT_SHARE * client.due:
        found.append(f"only {tried:,} of {client.due:,} scheduled requests were sent")
    found += _late(result, thresholds)
    found += _busy(client, list(ticks))
    return found


def _failures(client: Client) -> Iterable[str]:
    for kind, count in client.failures.items():
        if count:
            yield f"the generator failed {count:,} time{'s' * (count != 1)}: {kind}"


def _late(result: PhaseResult, thresholds: Sequence[Threshold]) -> Iterable[str]:
    late = result.client.late.percentile(99)
    limits = [(t.limit, t.text) for t in thresholds if is_latency(t.metric) and t.below]
    if limits:
        against, name = min(limits)
    else:
        # Of service, not of response: that has the lateness in it.
        median = result.all().service.percentile(50)
        if median is None:
            return
        against, name = median, f"the median of {figures.with_unit(median)}"
    if late is not None and late > LATE_SHARE * against:
        yield (
            f"sends were late: p99 {figures.with_unit(late)}, more than {LATE_SHARE:.0%} of {name}"
        )


def _busy(client: Client, ticks: list[Tick]) -> Iterable[str]:
    whole = sum(tick.seconds for tick in ticks)
    busy = sum(tick.seconds for tick in ticks if tick.client.cpu > BUSY)
    if busy > BUSY_TIME * whole or (not ticks and client.cpu > BUSY):
        highest = max((tick.client.cpu for tick in ticks), default=client.cpu)
        during = f" for {busy:.0f} of {whole:.0f} s" if ticks else ""
        yield f"the generator's core was more than {BUSY:.0%} busy{during}: {highest:.0%}"
