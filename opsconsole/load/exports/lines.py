"""A run as CSV: a line a tick, latencies in milliseconds, times in seconds."""

from __future__ import annotations

import csv
import io

from opsconsole.load.histogram import Histogram
from opsconsole.load.records import Run, Tick
from opsconsole.load.summary import failed
from opsconsole.text import clean_line

_PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
_SAMPLES = (
    "waiting",
    "active",
    "inference_ms",
    "queue_ms",
    "batch_pairs",
    "gpu",
    "cache_hits",
    "state",
)
_HEAD = (
    "at", "seconds", "phase", "measured", "sent", "ended", "good", "failed", "pairs", "goodput",
    "bytes_out", "bytes_in",
)  # fmt: skip
_CLIENT = ("due", "dropped", "in_flight", "late_p99_ms", "cpu")


def as_csv(run: Run) -> str:
    """The table, with its head. Columns of a server bear its name; absent is empty."""
    names = list(
        dict.fromkeys(name for tick in run.ticks for name in (*tick.totals, *tick.servers))
    )
    kinds = sorted(
        {kind for tick in run.ticks for one in tick.totals.values() for kind in one.errors}
    )
    head = [*_HEAD]
    for what in ("response", "service"):
        head += [f"{what}_p{percent:g}_ms" for percent in _PERCENTS] + [f"{what}_max_ms"]
    head += _CLIENT
    head += [f"error {kind}" for kind in kinds]
    for name in names:
        head += [f"{name}.{field}" for field in ("ended", "good", "p50_ms", "p95_ms", "p99_ms")]
        head += [f"{name}.{field}" for field in _SAMPLES]
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([_safe(title) for title in head])
    for tick in run.ticks:
        table.writerow(_row(run, tick, names, kinds))
    return out.getvalue()


def _row(run: Run, tick: Tick, names: list[str], kinds: list[str]) -> list[object]:
    totals, client = tick.all(), tick.client
    phase = run.phases[tick.phase].phase if 0 <= tick.phase < len(run.phases) else None
    row: list[object] = [
        f"{tick.at:.3f}",
        f"{tick.seconds:.3f}",
        _safe(phase.name if phase else ""),
        int(phase.measured) if phase else "",
        totals.sent,
        totals.ended,
        totals.good,
        failed(totals),
        totals.pairs,
        f"{rate:.3f}" if (rate := totals.rates(tick.seconds).good) is not None else "",
        totals.bytes_out,
        totals.bytes_in,
    ]
    for histogram in (totals.response, totals.service):
        row += [*_ms(histogram, _PERCENTS), _one(histogram.maximum)]
    row += [
        client.due,
        client.dropped,
        client.in_flight,
        _one(client.late.percentile(99)),
        f"{client.cpu:.3f}",
    ]
    row += [totals.errors.get(kind, 0) for kind in kinds]
    for name in names:
        one = tick.totals.get(name)
        row += [one.ended, one.good, *_ms(one.response, (50, 95, 99))] if one else [""] * 5
        sample = tick.servers.get(name)
        for field in _SAMPLES:
            value = getattr(sample, field) if sample else None
            if isinstance(value, float):
                value = f"{value:.4g}"
            row.append("" if value is None else _safe(str(value)))
    return row


def _ms(histogram: Histogram, percents: tuple[float, ...]) -> list[str]:
    return [_one(value) for value in histogram.percentiles(percents)]


def _one(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.3f}"


def _safe(text: str) -> str:
    """A cell that no spreadsheet reads as a formula."""
    line = clean_line(text, 200)
    return f"'{line}" if line[:1] in tuple("=+-@") else line
