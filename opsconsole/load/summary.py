"""A run in a few figures, and its figures as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from opsconsole import figures
from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase
from opsconsole.load.ranks import percentile, rank_of
from opsconsole.load.records import Client, Judgement, PhaseResult, Run, Totals
from opsconsole.profile.units import format_rate
from opsconsole.text import clean_line

Verdict = Literal["passed", "failed", "invalid", "stopped", "measured"]
"""``measured``: it ran to its end, and no threshold was set."""

PERCENTS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
"""The percentiles that reports show."""


class Summary(Struct, frozen=True, kw_only=True):
    """What a list of runs shows; of the measured phases.

    Attributes:
        seconds: Their length. ``rate``: good requests a second.
        requests: With an outcome. ``errors``: those that were not good, as far as was checked.
            ``pairs``: scored.
        p50, p95, p99, largest: Response time as thresholds count it, seconds: a failed request is
            infinitely slow, so that ``inf`` (in JSON null) is where the rank falls among them.
            None without any request.
        headline: The conclusion, why it was stopped or why it is invalid; else empty.
        by_hand: What was changed by hand while it ran; empty for a run as planned.
    """

    id: str
    at: float
    plan: str
    mode: str
    profile: str
    fingerprint: str
    verdict: Verdict
    seconds: float
    requests: int
    errors: int
    pairs: int
    rate: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    largest: float | None
    thresholds: int = 0
    broken: int = 0
    headline: str = ""
    servers: tuple[str, ...] = ()
    version: str = ""
    series: str = ""
    by_hand: str = ""

    def __post_init__(self) -> None:
        """JSON has no number for ``inf``, and an older version stored those of good requests."""
        good = self.requests - self.errors
        for name, percent in _SUMMED.items():
            if self.requests and rank_of(percent, self.requests) > good:
                structs.force_setattr(self, name, math.inf)


_SUMMED = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "largest": 100.0}


def verdict(run: Run) -> Verdict:
    """What the run says: an invalid run says nothing about the servers, whatever it measured."""
    if run.invalid:
        return "invalid"
    if any(not judgement.passed for judgement in run.judgements):
        return "failed"
    if not run.stopped and nothing_held(run):
        return "failed"
    if run.stopped:
        return "stopped"
    return "passed" if run.judgements else "measured"


def nothing_held(run: Run) -> str:
    """What makes a run a failure whatever its thresholds say: a search or a stress test of which
    no level held, or not one good answer. Empty when neither is so."""
    if run.conclusion is not None and (run.plan.search or run.plan.steps):
        return "nothing held" if run.conclusion.value is None else ""
    whole = run.measured()
    return "" if whole is not None and success(whole.all()) else "not one good answer"


def summarize(run: Run) -> Summary:
    """The run in a few figures."""
    result = run.measured()
    totals = result.all() if result else Totals()
    seconds = result.seconds if result else 0.0
    bad = totals.ended - round(totals.good * totals.sound)
    headline = run.invalid[0] if run.invalid else run.stopped
    if not headline and run.conclusion is not None:
        headline = run.conclusion.text
    return Summary(
        id=run.id,
        at=run.at,
        plan=run.plan.name,
        mode=run.plan.mode,
        profile=run.profile,
        fingerprint=run.fingerprint,
        verdict=verdict(run),
        seconds=seconds,
        requests=totals.ended,
        errors=bad,
        pairs=totals.pairs,
        rate=totals.rates(result.rated).good if result else None,
        **{
            name: percentile(totals.response, totals.failures, part)
            for name, part in _SUMMED.items()
        },
        thresholds=len(run.judgements),
        broken=sum(not judgement.passed for judgement in run.judgements),
        headline=headline,
        servers=tuple(run.servers),
        version=run.version,
        series=run.series,
        by_hand=by_hand(run),
    )


def failed(totals: Totals) -> int:
    """Requests that ended otherwise than they should."""
    return totals.ended - totals.good


def success(totals: Totals) -> float | None:
    """Good ones among the ended, 0..1, as far as they were checked (:attr:`Totals.sound`); None
    without any."""
    return totals.good * totals.sound / totals.ended if totals.ended else None


def took(seconds: float | None) -> str:
    """A latency with its unit and three figures: ``5.12ms``, ``1.5s``; ``∞`` where the rank falls
    among failed requests."""
    if seconds is None:
        return figures.DASH
    if math.isinf(seconds):
        return "∞"
    if seconds >= 999.5:
        return figures.ago(seconds)
    return figures.with_unit(seconds)


def per_second(rate: float | None) -> str:
    """A rate without its unit, to the last figure: ``0.4``, ``37``, ``12,345``."""
    return figures.rate(rate) if rate is None or rate < 999.5 else f"{rate:,.0f}"


def planned_rate(rate: float) -> str:
    """A rate that was asked for, not rounded: ``12.5/s``, ``50/m``, ``1,250/s``."""
    number, _, unit = format_rate(rate).partition("/")
    return f"{float(number):,.10g}/{unit}"


def planned_rates(first: float, last: float, arrow: str = "→") -> str:
    """Two of them, the unit said once where it is the same: ``20→200/s``."""
    begin, end = planned_rate(first), planned_rate(last)
    both = "/s" if begin.endswith("/s") and end.endswith("/s") else ""
    return f"{begin.removesuffix(both)}{arrow}{end}"


def share(value: float | None) -> str:
    """A share in per cent with its sign. What is not quite all is never shown as 100 %."""
    if value is None:
        return figures.DASH
    if 0.9995 <= value < 1:
        return f"{math.floor(value * 1e5) / 1e3:.3f}%" if value < 0.99999 else "99.999%"
    if 0 < value < 0.0005:
        return "<0.1%"
    return f"{figures.percent(value)}%"


def by_hand(run: Run) -> str:
    """What the operator changed while it ran: all, or the first and the last with the number of
    those between; empty for a run as planned."""
    changes = [clean_line(change, 60) for change in run.interventions]
    if len(changes) > 6:
        changes = [changes[0], f"{len(changes) - 5} more", *changes[-4:]]
    return "; ".join(changes)


def too_few(judged: Judgement) -> str:
    """What is to be known of a percentile of few requests; empty for any other threshold."""
    count = judged.maximum_of
    if not count:
        return ""
    return "of 1 request" if count == 1 else f"of {count:,} requests: their maximum"


def law(phase: Phase) -> str:
    """How a phase sends, in words: ``8 clients``, ``100/s for 30s``, ``20→200/s, Poisson``."""
    if phase.is_open:
        first, last = phase.rate, phase.rate_end
        if first is None:
            text = "as recorded" if phase.arrivals == "recorded" else "open loop"
            if phase.recorded is not None:
                text += f" over {span(phase.recorded)}"
        elif last is not None and last != first:
            text = planned_rates(first, last)
        else:
            text = planned_rate(first)
        if first is not None and phase.arrivals == "poisson":
            text += " Poisson"
        elif first is not None and phase.arrivals == "recorded":
            text += " as recorded"
    else:
        clients = phase.concurrency or 0
        text = f"{clients:,} client{'' if clients == 1 else 's'}"
        if phase.think:
            text += f", {took(phase.think)} of thought"
    if phase.requests is not None:
        text += f", {phase.requests:,} request{'s' * (phase.requests != 1)}"
    if phase.duration is not None:
        text += f", {span(phase.duration)}"
    return text


def span(seconds: float) -> str:
    """A length of time: ``0.4s``, ``12s``, ``1h 2m``."""
    return f"{seconds:.1f}s" if seconds < 9.95 and seconds % 1 else figures.ago(round(seconds))


def percent_name(percent: float) -> str:
    """``p99.9``."""
    return f"p{percent:g}"


def moment(at: float) -> str:
    """A Unix time as local ``2026-11-21 14:30:10 +0000``."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def latencies(totals: Totals, client: Client) -> list[tuple[str, Histogram]]:
    """What was timed, by name, in the order of a report; what was not is left out."""
    rows = [
        ("response", totals.response),
        ("service", totals.service),
        ("first byte", totals.first_byte),
        ("late sending", client.late),
    ]
    return [(name, histogram) for name, histogram in rows if histogram.total]


def errors_of(totals: Totals, examples: Mapping[str, str]) -> list[tuple[str, int, str]]:
    """Kinds of errors, most frequent first: (kind, count, example); clean."""
    return [
        (clean_line(kind, 120), count, clean_line(examples.get(kind, ""), 300))
        for kind, count in sorted(totals.errors.items(), key=lambda item: (-item[1], item[0]))
    ]


def sentence(run: Run) -> str:
    """The verdict and what it rests on, in one line."""
    broken = [judgement for judgement in run.judgements if not judgement.passed]
    match verdict(run):
        case "invalid":
            return "INVALID: the numbers say nothing about the servers"
        case "failed" if not broken:
            return f"FAILED: {nothing_held(run)}"
        case "failed":
            return f"FAILED: {len(broken)} of {_thresholds(len(run.judgements))} broken"
        case "stopped":
            return "STOPPED before its end"
        case "passed":
            return f"PASSED: {_thresholds(len(run.judgements))} kept"
        case _ if run.conclusion is not None:
            return "MEASURED"
        case _:
            return "MEASURED: no threshold was set"


def _thresholds(count: int) -> str:
    return f"{count} threshold{'' if count == 1 else 's'}"


def phase_name(result: PhaseResult) -> str:
    """A phase's name, safe to show."""
    return clean_line(result.phase.name, 60)
