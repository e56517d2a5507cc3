"""Thresholds held against what was measured.

A request that failed counts as infinitely slow in every percentile and in the maximum: a server
does not become fast by refusing work. The mean is that of the good ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from opsconsole import figures
from opsconsole.load.histogram import Histogram
from opsconsole.load.records import Judgement, PhaseResult, Totals
from opsconsole.profile import Server
from opsconsole.profile.threshold import METRICS, Threshold, format_value


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


def percentile(histogram: Histogram, failed: int, percent: float) -> float | None:
    """Seconds, nearest rank, with ``failed`` further requests that took for ever: ``inf`` when the
    rank falls among them. None when there is neither a value nor a failure."""
    if not failed:
        return histogram.percentile(percent)
    whole = histogram.total + failed
    rank = max(1, math.ceil(percent * whole * (1 - 1e-12) / 100))
    if rank > histogram.total:
        return math.inf
    return histogram.percentile(100 * rank / histogram.total)


def measure(metric: str, totals: Totals, seconds: float) -> float | None:
    """One metric: seconds, a share (0..1) or a number a second over ``seconds``.

    None where there is nothing to measure; ``inf`` for a latency that failures have made infinite.

    Raises:
        KeyError: no such metric.
    """
    failed = totals.ended - totals.good
    unit = METRICS[metric]
    if unit == "share":
        share = totals.good if metric == "success_rate" else failed
        return share / totals.ended if totals.ended else None
    if unit == "rate":
        if seconds <= 0 or not (totals.sent or totals.ended):
            return None
        counted = {"goodput": totals.good, "throughput": totals.ended, "pairs": totals.pairs}
        return counted[metric] / seconds
    histogram = histogram_of(totals, metric)
    percent = percent_of(metric)
    if percent is not None:
        return percentile(histogram, failed, percent)
    if family_of(metric)[1] == "mean":
        return histogram.mean
    return math.inf if failed else histogram.maximum


def show(metric: str, value: float | None) -> str:
    """A measured value with its unit: ``81.2ms``, ``99.95 %``, ``240/s``; ``∞`` where so many
    failed that the percentile is none of an answer; a dash for None."""
    if value is None:
        return figures.DASH
    if math.isinf(value):
        return "∞"
    unit = METRICS[metric]
    if unit == "share":
        # 99.996 % is not 100 %: enough places to tell it from either end.
        for places in (1, 2, 3, 4):
            text = f"{value * 100:.{places}f}"
            if float(text) not in (0.0, 100.0) or value in (0.0, 1.0):
                break
        return f"{text.rstrip('0').rstrip('.')} %"
    return f"{figures.rate(value)}/s" if unit == "rate" else figures.with_unit(value)


def holds(threshold: Threshold, observed: float | None) -> bool:
    """Whether the threshold is kept; by nothing it is not."""
    # 99.93 % is read as 0.9993000000000001, where 9,993 of 10,000 are 0.9993.
    if observed is not None and math.isclose(observed, threshold.limit, rel_tol=1e-9):
        return threshold.inclusive
    return threshold.holds(observed)


def judge_totals(
    totals: Totals, seconds: float, thresholds: Iterable[Threshold]
) -> list[Judgement]:
    """Each threshold against what was measured over ``seconds``."""
    judgements = []
    for threshold in thresholds:
        observed = measure(threshold.metric, totals, seconds)
        judgements.append(
            Judgement(
                threshold=threshold.text,
                metric=threshold.metric,
                limit=threshold.limit,
                observed=observed,
                passed=holds(threshold, observed),
            )
        )
    return judgements


def judge(result: PhaseResult, thresholds: Sequence[Threshold]) -> list[Judgement]:
    """Each threshold against a phase, all its servers together."""
    return judge_totals(result.all(), result.seconds, thresholds)


def default_thresholds(servers: Iterable[Server]) -> list[Threshold]:
    """What the servers promise; of several promises the strictest."""
    levels = [server.service_level for server in servers]
    latencies = [level.p95 for level in levels if level.p95 is not None]
    successes = [level.success_rate for level in levels if level.success_rate is not None]
    found = []
    if latencies:
        found.append(_at("p95", "<=", min(latencies)))
    if successes:
        found.append(_at("success_rate", ">=", max(successes)))
    return found


def _at(metric: str, sign: str, limit: float) -> Threshold:
    text = f"{metric} {sign} {format_value(metric, limit)}"
    return Threshold(text, metric, below=sign == "<=", limit=limit, inclusive=True)
