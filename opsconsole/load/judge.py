"""Thresholds held against what was measured.

A request that failed counts as infinitely slow in every percentile and in the maximum: a server
does not become fast by refusing work. The mean is that of the good ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from opsconsole.errors import UsageError
from opsconsole.load.histogram import Histogram
from opsconsole.load.measured import measure as in_words
from opsconsole.load.plan import Plan
from opsconsole.load.ranks import percentile, rank_of
from opsconsole.load.records import Judgement, PhaseResult, Totals
from opsconsole.profile import Server
from opsconsole.profile.problems import nearest
from opsconsole.profile.threshold import METRICS, Threshold, format_value, parse_threshold


def is_latency(metric: str) -> bool:
    """Whether the metric is in seconds."""
    return METRICS[metric] == "seconds"


def family_of(metric: str) -> tuple[str, str]:
    """A latency's histogram in :class:`Totals` and its statistic: ``service.p95`` is ``service``
    and ``p95``."""
    for family in ("service", "first_byte"):
        if metric.startswith(family + "."):
            return family, metric.removeprefix(family + ".")
    return "response", metric


def percent_of(metric: str) -> float | None:
    """99.9 for ``p99.9`` and ``service.p99.9``; None for what is no percentile."""
    name = family_of(metric)[1]
    return float(name[1:]) if is_latency(metric) and name[0] == "p" else None


def histogram_of(totals: Totals, metric: str) -> Histogram:
    """The latencies that a metric of latency speaks of."""
    found: Histogram = getattr(totals, family_of(metric)[0])
    return found


def maximum_of(metric: str, totals: Totals) -> int:
    """How many requests a percentile is of, when they are so few that it is their maximum: less
    than one of them lies beyond its rank. 0 for any other and for what is no percentile."""
    percent = percent_of(metric) if is_latency(metric) else None
    if percent is None:
        return 0
    whole = histogram_of(totals, metric).total + totals.ended - totals.good
    return whole if rank_of(percent, whole) >= whole else 0


def measure(metric: str, totals: Totals, seconds: float) -> float | None:
    """One metric: seconds, a share (0..1) or a number a second over ``seconds``
    (:attr:`PhaseResult.rated`).

    None where there is nothing to measure; ``inf`` for a latency that failures have made infinite.

    Raises:
        KeyError: no such metric.
    """
    failed = totals.failures
    unit = METRICS[metric]
    if unit == "share":
        good = totals.good * totals.sound
        share = good if metric == "success_rate" else totals.ended - good
        return share / totals.ended if totals.ended else None
    if unit == "rate":
        if seconds <= 0 or not (totals.sent or totals.ended):
            return None
        rates = totals.rates(seconds)
        # A request that the client gave up is nobody's throughput.
        return {"goodput": rates.good, "throughput": rates.answered, "pairs": rates.pairs}[metric]
    histogram = histogram_of(totals, metric)
    percent = percent_of(metric)
    if percent is not None:
        return percentile(histogram, failed, percent)
    if family_of(metric)[1] == "mean":
        return histogram.mean
    return math.inf if failed else histogram.maximum


def show(metric: str, value: float | None) -> str:
    """A measured value with its unit, as reports show it: ``81.2ms``, ``99.95%``, ``240/s``; ``∞``
    where so many failed that the percentile is none of an answer; a dash for None."""
    return in_words(metric, value)


def judge_totals(
    totals: Totals | Mapping[str, Totals], seconds: float, thresholds: Iterable[Threshold]
) -> list[Judgement]:
    """Each threshold against what was measured, as a whole; rates are over ``seconds``.

    Args:
        totals: By server. Of all of them together: for thresholds on one server nothing is
            measured then.
    """
    whole = totals if isinstance(totals, Totals) else Totals.sum(totals.values())
    by_server: Mapping[str, Totals] = {} if isinstance(totals, Totals) else totals
    judgements = []
    for threshold in thresholds:
        server = threshold.server
        concerned = by_server.get(server, Totals()) if server else whole
        observed = measure(threshold.metric, concerned, seconds)
        few = maximum_of(threshold.metric, concerned)
        judgements.append(judgement(threshold, observed, maximum_of=few))
    return judgements


def judgement(threshold: Threshold, observed: float | None, *, maximum_of: int = 0) -> Judgement:
    """The threshold against a value."""
    return Judgement(
        threshold=threshold.text,
        metric=threshold.metric,
        limit=threshold.limit,
        observed=observed,
        passed=threshold.holds(observed),
        server=threshold.server,
        maximum_of=maximum_of,
    )


def judge(result: PhaseResult, thresholds: Sequence[Threshold]) -> list[Judgement]:
    """Each threshold against a phase as a whole; windows are those of
    :class:`~opsconsole.load.levels.Levels`."""
    return judge_totals(result.totals, result.rated, thresholds)


def thresholds_of(plan: Plan, servers: Sequence[Server]) -> list[Threshold]:
    """What a run of ``plan`` on ``servers`` must keep.

    Raises:
        UsageError: a threshold cannot be read, or is on a server that is not loaded.
    """
    if not plan.thresholds:
        return default_thresholds(servers)
    found = []
    names = [server.name for server in servers]
    for text in plan.thresholds:
        try:
            threshold = parse_threshold(text)
        except ValueError as error:
            raise UsageError(f"{text!r}: {error}", where="threshold") from None
        if threshold.server and threshold.server not in names:
            raise UsageError(
                f"{text!r}: {threshold.server!r} is not loaded", where="threshold",
                hint=nearest(threshold.server, names),
            )  # fmt: skip
        found.append(threshold)
    return found


def default_thresholds(servers: Iterable[Server]) -> list[Threshold]:
    """What the servers promise; of several each for its own answers."""
    servers = list(servers)
    found = []
    for server in servers:
        level = server.service_level
        own = server.name if len(servers) > 1 else ""
        if level.p95 is not None:
            found.append(_at("p95", "<=", level.p95, own))
        if level.success_rate is not None:
            found.append(_at("success_rate", ">=", level.success_rate, own))
    return found


def _at(metric: str, sign: str, limit: float, server: str) -> Threshold:
    text = f"{metric} {sign} {format_value(metric, limit)}" + (f" on {server}" if server else "")
    return Threshold(text, metric, below=sign == "<=", limit=limit, inclusive=True, server=server)
