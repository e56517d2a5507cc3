"""What a run is told in: its tables, which text, Markdown and HTML draw each in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from opsconsole import figures
from opsconsole.load.histogram import Histogram
from opsconsole.load.measured import seen
from opsconsole.load.records import PhaseResult, Run, ServerSample, Totals
from opsconsole.load.summary import (
    PERCENTS,
    errors_of,
    failed,
    latencies,
    law,
    per_second,
    percent_name,
    phase_name,
    share,
    success,
    took,
)
from opsconsole.load.tables import Table
from opsconsole.text import clean_line

CLOSED_LOOP = (
    "A closed loop waits for the server before it sends again: these are not the latencies of "
    "users who do not wait."
)
GOOD_ONLY = "Good requests only; thresholds count a failed one as infinitely slow."
_APART = 0.1
"""Share by which a server's service or first byte must differ from its response to be shown."""
_FIGURES = ("p50", "p95", "p99", "max")


def thresholds(run: Run) -> Table:
    """Every threshold, what was measured, and whether it is kept; an invalid run keeps none."""
    rows = []
    for judged in run.judgements:
        word = "not judged" if run.invalid else "kept" if judged.passed else "broken"
        rows.append((clean_line(judged.threshold, 80), seen(judged), word))
    return Table(head=("threshold", "measured", ""), rows=tuple(rows), words=(0, 1, 2))


def percentiles(result: PhaseResult, percents: Sequence[float] = PERCENTS) -> Table:
    """What was timed of good requests."""
    rows = []
    for name, histogram in latencies(result.all(), result.client):
        values = (took(value) for value in histogram.percentiles(percents))
        rows.append((name, *values, took(histogram.maximum), took(histogram.mean)))
    return Table(
        head=("", *map(percent_name, percents), "max", "mean"),
        rows=tuple(rows),
        # In a narrow terminal the far tail goes first, then the quartile; the largest stays.
        spare=("p99.99", "p75", "p99.9", "mean", "p90"),
    )


def phases(results: Sequence[PhaseResult]) -> Table:
    """The phases side by side; no rows where there is nothing to be compared."""
    rows = []
    for result in results:
        totals = result.all()
        note = "" if result.phase.measured else " (not measured)"
        rows.append(
            (
                phase_name(result) + note,
                law(result.phase),
                f"{totals.ended:,}",
                per_second(totals.rates(result.rated).good),
                *_three(totals.response),
                f"{failed(totals):,}",
            )
        )
    several = sum(result.phase.measured for result in results) > 1
    return Table(
        head=("phase", "load", "ended", "good/s", "p50", "p95", "p99", "failed"),
        rows=tuple(rows) if several else (),
        words=(0, 1),
        spare=("ended", "p50", "load", "p99"),
    )


def servers(result: PhaseResult) -> Table:
    """Several servers side by side, each with its service and first byte where these are not its
    response over again."""
    rows: list[tuple[str, ...]] = []
    for name, totals in result.totals.items():
        rows.append(
            (
                clean_line(name, 30),
                f"{totals.ended:,}",
                per_second(totals.rates(result.rated).good),
                *_three(totals.response),
                took(totals.response.maximum),
                f"{failed(totals):,}",
            )
        )
        for what, histogram in (("service", totals.service), ("first byte", totals.first_byte)):
            if _apart(totals.response, histogram):
                largest = took(histogram.maximum)
                rows.append((f"  {what}", "", "", *_three(histogram), largest, ""))
    return Table(
        head=("server", "ended", "good/s", *_FIGURES, "failed"),
        rows=tuple(rows) if len(result.totals) > 1 else (),
        spare=("max", "p50", "ended", "good/s"),
    )


def upstreams(totals: Totals) -> Table:
    """Who answered behind a load balancer."""
    answered = sum(totals.upstreams.values())
    return Table(
        head=("upstream", "answers", "share"),
        rows=tuple(
            (clean_line(name, 60), f"{count:,}", share(count / answered))
            for name, count in sorted(totals.upstreams.items(), key=lambda item: -item[1])
        ),
    )


def errors(run: Run, result: PhaseResult) -> Table:
    """What went wrong at the servers, then on this side."""
    totals = result.all()
    rows = [
        (kind, f"{count:,}", share(count / totals.ended), example)
        for kind, count, example in errors_of(totals, run.examples)
    ]
    for kind, count in sorted(result.client.failures.items(), key=lambda item: -item[1]):
        rows.append((f"on this side: {clean_line(kind, 100)}", f"{count:,}", "", ""))
    return Table(head=("kind", "count", "share", "example"), rows=tuple(rows), words=(0, 3))


_REPORTED = {
    "waiting": "waiting",
    "active": "active",
    "queue_ms": "queue",
    "inference_ms": "inference",
    "batch_pairs": "batch",
    "gpu": "GPU",
    "cache_hits": "cache hits",
}
"""Fields of a sample, and what they are called."""


def reported(run: Run) -> Table:
    """What the servers said of themselves in the measured phases: their means, and the worst
    second; for the cache its lowest share of hits."""
    samples: dict[str, list[tuple[float, ServerSample]]] = {}
    for tick in run.ticks:
        if 0 <= tick.phase < len(run.phases) and run.phases[tick.phase].phase.measured:
            for name, sample in tick.servers.items():
                samples.setdefault(name, []).append((tick.seconds, sample))
    rows: list[tuple[str, ...]] = []
    for name, found in samples.items():
        columns = [
            _mean_and_worst([(seconds, getattr(sample, field)) for seconds, sample in found], field)
            for field in _REPORTED
        ]
        if all(mean == figures.DASH for mean, _ in columns):
            continue
        seen_as = dict.fromkeys(sample.state for _, sample in found if sample.state)
        # One state throughout is no news.
        states = ", ".join(seen_as) if len(seen_as) > 1 else ""
        rows.append((clean_line(name, 30), "mean", *(mean for mean, _ in columns), ""))
        rows.append(("", "worst", *(worst for _, worst in columns), clean_line(states, 40)))
    head = ("reported by", "", *_REPORTED.values(), "state")
    # What no server tells is no column.
    shown = [
        at for at, title in enumerate(head)
        if at < 2 or any(row[at] not in ("", figures.DASH) for row in rows)
    ]  # fmt: skip
    return Table(
        head=tuple(head[at] for at in shown),
        rows=tuple(tuple(row[at] for at in shown) for row in rows),
        words=(0, 1, *(i for i, at in enumerate(shown) if head[at] == "state")),
        spare=("active", "state", "batch"),
    )


def spread(runs: Sequence[Run]) -> Table:
    """How much repetitions of one load test vary."""
    measured: dict[str, list[float]] = {}
    for run in runs:
        if (result := run.measured()) is None:
            continue
        totals = result.all()
        p50, p95, p99 = totals.response.percentiles((50, 95, 99))
        rate = totals.rates(result.rated).good
        for name, value in (("p50", p50), ("p95", p95), ("p99", p99), ("good/s", rate),
                            ("success", success(totals))):  # fmt: skip
            if value is not None:
                measured.setdefault(name, []).append(value)
    rows = []
    for name, values in measured.items():
        show = per_second if name == "good/s" else share if name == "success" else took
        rows.append((name, *(show(of(values)) for of in (median, min, max))))
    head = (f"{len(runs)} runs", "median", "least", "largest")
    return Table(head=head, rows=tuple(rows))


def _three(histogram: Histogram) -> tuple[str, str, str]:
    p50, p95, p99 = histogram.percentiles((50, 95, 99))
    return took(p50), took(p95), took(p99)


def _apart(one: Histogram, other: Histogram) -> bool:
    """Whether their percentiles differ by more than :data:`_APART` somewhere."""
    pairs = zip(one.percentiles((50, 95, 99)), other.percentiles((50, 95, 99)), strict=True)
    return any(a and b and abs(b - a) > _APART * a for a, b in pairs)


def _mean_and_worst(values: Iterable[tuple[float, float | None]], field: str) -> tuple[str, str]:
    known = [(seconds, value) for seconds, value in values if value is not None]
    whole = sum(seconds for seconds, _ in known)
    if not whole:
        return figures.DASH, figures.DASH
    mean = sum(seconds * value for seconds, value in known) / whole
    only = [value for _, value in known]
    worst = min(only) if field == "cache_hits" else max(only)
    if field in ("cache_hits", "gpu"):
        return share(mean), share(worst)
    if field.endswith("_ms"):
        return took(mean / 1000), took(worst / 1000)
    return f"{mean:.3g}", f"{worst:g}"
