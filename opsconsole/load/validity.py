"""Whether a run says anything about the servers, or only about the generator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opsconsole import figures
from opsconsole.load.judge import family_of, is_latency, judge, judge_totals, percent_of
from opsconsole.load.records import BUSY, Client, Judgement, PhaseResult
from opsconsole.profile.threshold import METRICS, Threshold

LATE_SHARE = 0.1
"""Of the tightest latency limit: how late the 99th percentile of sends may be."""
LATE_FLOOR = 0.005
"""Seconds of lateness that spoil no run of which nothing is expected."""
BUSY_TIME = 0.05
"""Share of the time for which it may be so."""
FAR_BEYOND = 3.0
"""Times a limit that a busy core alone does not explain."""
STALLED = 0.1
"""Share of the time for which a generator may be kept from running, where nothing is expected."""
BUSY_FLOOR = 0.02
"""Seconds of a phase below which a busy core says nothing: anything is busy for all of a moment."""
WANTED_FLOOR = 0.25
"""Seconds below which having waited for a core says nothing of the machine."""
STALLED_FLOOR = 0.2
"""Seconds of it that spoil no run: of a short one they would be much."""
SENT_SHARE = 0.99
"""Share of the schedule that must have been tried."""


def reasons(result: PhaseResult, thresholds: Sequence[Threshold]) -> list[str]:
    """Why the numbers of ``result`` say nothing about the servers; empty when they do."""
    client = result.client
    # A server that refuses every connection is sent nothing, which is its failure, not ours.
    totals = result.all()
    tried = max(totals.sent, totals.ended + client.in_flight)
    found = [*failures(client)]
    if client.dropped and not _overrun(result, thresholds):
        share = f" of {client.due:,}" if client.due else ""
        found.append(f"{client.dropped:,}{share} requests were not sent: too many were in flight")
    if not tried:
        found.append("nothing was sent")
        return found
    if client.due and tried + client.dropped < SENT_SHARE * client.due:
        found.append(f"only {tried:,} of {client.due:,} scheduled requests were sent")
    # What is broken whatever this side did is broken all the same.
    if not _broken_beyond(result, thresholds, 1.0):
        found += _late(result, thresholds)
    found += _stalled(result, thresholds)
    if not _broken_beyond(result, thresholds, FAR_BEYOND):
        found += _busy(result)
    return found


def _broken_beyond(result: PhaseResult, thresholds: Sequence[Threshold], times: float) -> bool:
    """Whether a limit on latency is exceeded so many times, the generator's own delay taken off."""
    return any(
        not judged.passed
        and judged.observed is not None
        and judged.observed - _delay(result.client, judged.metric) > times * judged.limit
        for judged in judge(result, thresholds)
        if is_latency(judged.metric)
    )


def failures(client: Client) -> Iterable[str]:
    """What went wrong on this side."""
    for kind, count in client.failures.items():
        if count:
            yield f"the generator failed {count:,} time{'s' * (count != 1)}: {kind}"


def _overrun(result: PhaseResult, thresholds: Sequence[Threshold]) -> bool:
    """Whether a threshold would be broken even if each request that was dropped had been answered
    well and at once: what was sent is enough for a verdict then."""
    client, best = result.client, result.all()
    best.good += client.dropped
    best.ended += client.dropped
    for histogram in (best.response, best.service, best.first_byte):
        histogram.counts[0] = histogram.counts.get(0, 0) + client.dropped
        histogram.total += client.dropped
        histogram.least = 0
    judged = judge_totals(best, result.seconds, [t for t in thresholds if not t.server])
    return any(not each.passed and each.observed is not None for each in judged)


def _late(result: PhaseResult, thresholds: Sequence[Threshold]) -> Iterable[str]:
    late = result.client.late.percentile(99)
    limits = [(t.limit, t.text) for t in thresholds if is_latency(t.metric) and t.below]
    if limits:
        least, name = min(limits)
        allowed = LATE_SHARE * least
    elif thresholds:
        return  # successes and rates do not hang on milliseconds
    else:
        # Of service, not of response: that has the lateness in it.
        median = result.all().service.percentile(50)
        if median is None:
            return
        name = f"the median of {figures.with_unit(median)}"
        allowed = max(LATE_SHARE * median, LATE_FLOOR)
    if late is not None and late > allowed:
        yield (
            f"sends were late: p99 {figures.with_unit(late)}, more than {LATE_SHARE:.0%} of {name}"
        )


def _stalled(result: PhaseResult, thresholds: Sequence[Threshold]) -> Iterable[str]:
    """Delays of the generator, where they decide a threshold: one that is kept in spite of them is
    kept, and one that would be broken without them is broken. Where nothing is expected, all
    figures are what the run is for, and must not be the generator's."""
    client = result.client
    stalled = client.stalled / result.seconds if result.seconds > 0 else 0.0
    if not thresholds:
        if stalled > STALLED and client.stalled > STALLED_FLOOR:
            yield (
                f"the generator was kept from running for {figures.with_unit(client.stalled)} "
                f"of {figures.with_unit(result.seconds)}"
            )
        return
    doubts = []
    for judged in judge(result, thresholds):
        if judged.passed or judged.observed is None:
            continue
        doubt = _doubt(judged, client, stalled)
        if not doubt:
            return  # broken for certain: no doubt about another one changes that
        doubts.append(doubt)
    yield from doubts


def _doubt(judged: Judgement, client: Client, stalled: float) -> str:
    """Why a broken threshold may be the generator's doing; empty where it is not."""
    observed = judged.observed or 0.0
    if is_latency(judged.metric):
        delay = _delay(client, judged.metric)
        if delay > LATE_SHARE * judged.limit and observed - delay <= judged.limit:
            return (
                f"{judged.threshold} may be broken by the generator alone, which was "
                f"{figures.with_unit(delay)} late itself"
            )
    elif METRICS[judged.metric] == "rate" and observed < judged.limit <= observed / (
        1 - min(stalled, 0.99)
    ):
        return (
            f"{judged.threshold} may be broken by the generator alone, which was kept from "
            f"running for {figures.with_unit(client.stalled)}"
        )
    return ""


def _delay(client: Client, metric: str) -> float:
    """How late the generator itself was, seconds, by the statistic of ``metric``."""
    if family_of(metric)[1] == "mean":
        delays = client.late.mean, client.beats.mean
    else:
        percent = percent_of(metric) or 100.0
        delays = client.late.percentile(percent), client.beats.percentile(percent)
    return max((each for each in delays if each is not None), default=0.0)


def _busy(result: PhaseResult) -> Iterable[str]:
    client, whole = result.client, figures.with_unit(result.seconds)
    if client.busy > BUSY_TIME * result.seconds and result.seconds >= BUSY_FLOOR:
        yield (
            f"the generator's core was more than {BUSY:.0%} busy for "
            f"{figures.with_unit(client.busy)} of {whole}: {client.cpu:.0%}"
        )
    elif client.wanted > BUSY * max(result.seconds, WANTED_FLOOR):
        yield (
            f"the generator ran or waited for a core for {figures.with_unit(client.wanted)} of "
            f"{whole}: others take this machine's cores"
        )
