"""Whether a run says anything about the servers, or only about the generator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from opsconsole import figures
from opsconsole.load.judge import family_of, is_latency, judge, judge_totals, percent_of
from opsconsole.load.rates import too_short
from opsconsole.load.records import (
    BUSY,
    Client,
    Judgement,
    PhaseResult,
    Tick,
    Totals,
    answers,
)
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

_OTHERS = "; try another machine, or stop what else runs on this one"
_MORE = "; try more generator processes (--processes), another machine or a lower rate"
_EITHER = (
    "; try more generator processes (--processes), a lower rate or another machine, or stop what "
    "else runs on this one"
)
_ADVICE = {
    "no ports": "; try fewer connections, or a wider net.ipv4.ip_local_port_range",
    "no files": "; try a higher limit of open files (ulimit -n)",
}


def reasons(
    result: PhaseResult,
    thresholds: Sequence[Threshold],
    ticks: Sequence[Tick] = (),
    windows: Mapping[str, str] | None = None,
) -> list[str]:
    """Why the numbers of ``result`` say nothing about the servers; empty when they do.

    Args:
        ticks: Its own, in the order of time: what is broken while the generator ran well is no
            doing of a stall at another time. Without them every stall is held against all of it.
        windows: Of thresholds over a window, those that are broken: see
            :meth:`~opsconsole.load.levels.Levels.doubts`. None: they are held against the whole.
    """
    client = result.client
    # A server that refuses every connection is sent nothing, which is its failure, not ours.
    totals = result.all()
    tried = max(totals.sent, totals.ended + client.in_flight)
    found = [*failures(client)]
    overrun = _overrun(result, thresholds, max(client.dropped, client.due - tried))
    if client.dropped and not overrun:
        share = f" of {client.due:,}" if client.due else ""
        found.append(
            f"{client.dropped:,}{share} requests were not sent: too many were in flight; try a "
            "higher --max-in-flight or a lower rate"
        )
    if not tried:
        found.append("nothing was sent")
        return found
    if client.due and tried + client.dropped < SENT_SHARE * client.due and not overrun:
        found.append(f"only {tried:,} of {client.due:,} scheduled requests were sent{_MORE}")
    # What is broken whatever this side did is broken all the same.
    if _broken_by_answers(result, thresholds):
        return found
    found += _too_short(result, thresholds)
    if not _broken_beyond(result, thresholds, 1.0):
        found += _late(result, thresholds)
    found += _stalled(result, thresholds, ticks, windows)
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


def _broken_by_answers(result: PhaseResult, thresholds: Sequence[Threshold]) -> bool:
    """Whether a limit on a share or a rate is broken by answers that are not good: however busy or
    late the generator is, it makes no HTTP 503 and no wrong answer."""
    return any(
        not judged.passed and _is_by_answers(result, threshold)
        for threshold, judged in zip(thresholds, judge(result, thresholds), strict=True)
    )


def _is_by_answers(result: PhaseResult, threshold: Threshold) -> bool:
    server, metric = threshold.server, threshold.metric
    totals = result.totals.get(server, Totals()) if server else result.all()
    # A client that is slow to send is told so by 408.
    wrong = answers({k: n for k, n in totals.errors.items() if not k.startswith("HTTP 408")})
    if not wrong:
        return False
    if threshold.unit == "share":
        bad = wrong / totals.ended
        return not threshold.holds(bad if metric == "error_rate" else 1 - bad)
    if threshold.unit != "rate" or threshold.below or metric == "throughput":
        return False
    # More requests would not have made more good ones, or as many good ones were enough.
    rates = totals.rates(result.rated)
    if not totals.good or not rates.good or rates.answered is None or rates.pairs is None:
        return not totals.good
    best = rates.answered if metric == "goodput" else rates.pairs * rates.answered / rates.good
    return threshold.holds(best)


def _too_short(result: PhaseResult, thresholds: Sequence[Threshold]) -> Iterable[str]:
    """Where nothing is broken but rates that so short a phase cannot tell."""
    broken = [
        too_short(result, threshold)
        for threshold, judged in zip(thresholds, judge(result, thresholds), strict=True)
        if not judged.passed and judged.observed is not None
    ]
    return broken if all(broken) else []


def failures(client: Client) -> Iterable[str]:
    """What went wrong on this side."""
    for kind, count in client.failures.items():
        if count:
            times = f"{count:,} time{'s' * (count != 1)}"
            yield f"the generator failed {times}: {kind}{_ADVICE.get(kind, '')}"


def _overrun(result: PhaseResult, thresholds: Sequence[Threshold], missing: int) -> bool:
    """Whether a threshold would be broken even if each of the ``missing`` requests, which were not
    sent, had been answered well and at once: what was sent is enough for a verdict then."""
    best = result.all()
    _add_at_once(best, max(0, missing))
    judged = judge_totals(best, result.rated, [t for t in thresholds if not t.server])
    return any(not each.passed and each.observed is not None for each in judged)


def _add_at_once(totals: Totals, count: int) -> None:
    """So many more that were answered well and at once."""
    totals.good += count
    totals.ended += count
    for histogram in (totals.response, totals.service, totals.first_byte):
        if count:
            histogram.counts[0] = histogram.counts.get(0, 0) + count
            histogram.total += count
            histogram.least = 0


def _late(result: PhaseResult, thresholds: Sequence[Threshold]) -> Iterable[str]:
    late = result.client.late.percentile(99)
    limits = [(t.limit, t.text) for t in thresholds if is_latency(t.metric) and t.below]
    if limits:
        least, name = min(limits)
        allowed, limit = LATE_SHARE * least, f"{LATE_SHARE:.0%} of {name}"
    elif thresholds:
        return  # successes and rates do not hang on milliseconds
    else:
        # Of service, not of response: that has the lateness in it.
        median = result.all().service.percentile(50)
        if median is None:
            return
        allowed = LATE_SHARE * median
        limit = f"{LATE_SHARE:.0%} of the median of {figures.with_unit(median)}"
        if allowed < LATE_FLOOR:
            allowed = LATE_FLOOR
            limit = f"the {figures.with_unit(LATE_FLOOR)} that are always allowed"
    if late is not None and late > allowed:
        told = figures.with_unit(late)
        yield f"sends were late: p99 {told}, more than {limit}{_cure(result)}"


def _stalled(
    result: PhaseResult,
    thresholds: Sequence[Threshold],
    ticks: Sequence[Tick],
    windows: Mapping[str, str] | None,
) -> Iterable[str]:
    """Delays of the generator, where they decide a threshold: one that is kept in spite of them is
    kept, and one that would be broken without them is broken. Where nothing is expected, all
    figures are what the run is for, and must not be the generator's."""
    client = result.client
    if not thresholds:
        stalled = client.stalled / result.seconds if result.seconds > 0 else 0.0
        if stalled > STALLED and client.stalled > STALLED_FLOOR:
            yield (
                f"the generator was kept from running for {figures.with_unit(client.stalled)} "
                f"of {figures.with_unit(result.seconds)}{_OTHERS}"
            )
        return
    doubts = []
    for threshold, judged in zip(thresholds, judge(result, thresholds), strict=True):
        if threshold.window and windows is not None:
            if threshold.text not in windows:
                continue
            why = windows[threshold.text]
        elif judged.passed or judged.observed is None:
            continue
        else:
            why = doubt(judged, client, result.seconds)
            if why and _is_broken_elsewhere(threshold, ticks):
                why = ""
        if not why:
            return  # broken for certain: no doubt about another one changes that
        doubts.append(why)
    yield from doubts


def doubt(judged: Judgement, client: Client, seconds: float) -> str:
    """Why a broken threshold may be the doing of the generator, which fared like this in those
    ``seconds``; empty where it is not."""
    observed = judged.observed or 0.0
    if is_latency(judged.metric):
        delay = _delay(client, judged.metric)
        if delay > LATE_SHARE * judged.limit and observed - delay <= judged.limit:
            return (
                f"{judged.threshold} may be broken by the generator alone, which was "
                f"{figures.with_unit(delay)} late itself{_OTHERS}"
            )
    elif METRICS[judged.metric] == "rate" and seconds > 0 and observed < judged.limit:
        running = 1 - min(client.stalled / seconds, 0.99)
        if judged.limit > observed / running:
            return ""
        return (
            f"{judged.threshold} may be broken by the generator alone, which was kept from "
            f"running for {figures.with_unit(client.stalled)}{_OTHERS}"
        )
    return ""


def _is_broken_elsewhere(threshold: Threshold, ticks: Sequence[Tick]) -> bool:
    """Whether a limit on latency would be broken if every request that ended about when the
    generator was late had been answered well and at once."""
    if not is_latency(threshold.metric):
        return False
    late = [_delay(tick.client, "max") > LATE_SHARE * threshold.limit for tick in ticks]
    best = Totals()
    for at, tick in enumerate(ticks):
        own = tick.totals.get(threshold.server, Totals()) if threshold.server else tick.all()
        if any(late[max(0, at - 1) : at + 2]):
            _add_at_once(best, own.ended)
        else:
            best.add(own)
    [judged] = judge_totals(best, 1.0, [replace(threshold, server="")])
    return not judged.passed and judged.observed is not None


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
            f"{figures.with_unit(client.busy)} of {whole}: {client.cpu:.0%}{_MORE}"
        )
    elif client.wanted > BUSY * max(result.seconds, WANTED_FLOOR):
        yield (
            f"the generator ran or waited for a core for {figures.with_unit(client.wanted)} of "
            f"{whole}: what it does, with what else runs here, is too much for this machine's "
            f"cores{_EITHER}"
        )


def _cure(result: PhaseResult) -> str:
    """What to do about a generator that is late: whether it has too much to do, or others have."""
    client = result.client
    return _MORE if client.busy > BUSY_TIME * result.seconds else _OTHERS
