"""The charts of a page: response times, rates, errors and servers on one time axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from opsconsole.load.exports import svg
from opsconsole.load.exports.svg import Band, Line, Mark
from opsconsole.load.live_moments import Moment
from opsconsole.load.records import Run, Totals
from opsconsole.load.series import OTHERS, bins, commonest, stretches
from opsconsole.load.summary import share, span, took
from opsconsole.load.thinning import thin
from opsconsole.text import clean_line

_COLOURS = ("bad", "second", "plum", "blue", "grey")
_SERVER_COLOURS = ("first", "second", "plum", "blue", "green")
_BARS = 72


def escaped(text: str) -> str:
    """Text as HTML."""
    return escape(clean_line(text))


def section(title: str, body: str, note: str = "") -> str:
    """A part of the page under its head."""
    small = f"<small>{escaped(note)}</small>" if note else ""
    return f"<section><h2>{escaped(title)}{small}</h2>{body}</section>"


def _bands(run: Run) -> list[Band]:
    return [
        Band(part.begin, part.end, clean_line(part.name, 60), not part.measured)
        for part in stretches(run)
    ]


def _limits(run: Run) -> list[Mark]:
    """The latency thresholds as lines."""
    marks = []
    for judged in run.judgements:
        metric = judged.metric
        if metric in ("p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max"):
            marks.append(Mark(judged.limit, clean_line(judged.threshold, 40)))
    return marks


def _width(over: Sequence[Moment]) -> float:
    return max((b.at - a.at for a, b in pairwise(over)), default=1.0)


def _figures(
    title: str,
    run: Run,
    over: Sequence[Moment],
    lines: Sequence[Line],
    *,
    height: int,
    stacked: bool = False,
) -> str:
    return svg.over_time(
        title,
        [point.at for point in over],
        lines,
        label=_number,
        clock=_clock,
        width=_width(over),
        height=height,
        stacked=stacked,
        bands=_bands(run),
    )


def response(run: Run, over: Sequence[Moment]) -> str:
    """Percentiles over time, with the limits; empty where no answer was good."""
    if all(point.p50 is None for point in over):
        return ""
    lines = [
        Line("p99", "third", [point.p99 for point in over]),
        Line("p95", "second", [point.p95 for point in over]),
        Line("p50", "first", [point.p50 for point in over]),
    ]
    shown = max((point.p99 or 0 for point in over), default=0)
    # A limit far above everything would flatten the chart; the table above has it.
    limits = [mark for mark in _limits(run) if mark.value <= 4 * shown] if shown else []
    chart = svg.over_time(
        "Response time over time",
        [point.at for point in over],
        lines,
        label=_tick,
        clock=_clock,
        width=_width(over),
        height=300,
        bands=_bands(run),
        limits=limits,
    )
    note = "from the intended moment to the end" + (", log axis" if svg.use_log(lines) else "")
    return section("Response time", _legend(lines) + chart, note)


def rates(run: Run, over: Sequence[Moment]) -> str:
    """What ended a second."""
    if not over:
        return ""
    lines = [Line("good", "first", [point.good for point in over])]
    if any(point.errors for point in over):
        lines.append(Line("failed", "bad", [point.errors for point in over]))
    chart = _figures("Requests a second", run, over, lines, height=210, stacked=True)
    return section("Requests a second", _legend(lines) + chart, "that ended")


def distribution(run: Run, totals: Totals) -> str:
    """How response times are distributed, with percentiles and limits."""
    if totals.response.total < 2:
        return ""
    p50, p95, p99 = totals.response.percentiles((50, 95, 99))
    marks = [
        Mark(value, f"{name} {took(value)}", style)
        for name, value, style in (
            ("p50", p50, "first"),
            ("p95", p95, "second"),
            ("p99", p99, "third"),
        )
        if value
    ]
    largest = totals.response.maximum or 0
    marks += [mark for mark in _limits(run) if 0 < mark.value <= 10 * largest]
    chart = svg.distribution(
        "Distribution of response times",
        [(part.low, part.high, part.number) for part in bins(totals.response, _BARS)],
        marks,
        label=_tick,
        count=lambda value: f"{round(value):,}",
    )
    return section("Distribution of response times", chart, "good requests, log axis")


def errors_over_time(run: Run, over: Sequence[Moment]) -> str:
    """Errors a second by kind; empty without any."""
    if not any(point.kinds for point in over):
        return ""
    kinds = commonest((point.kinds for point in over), len(_COLOURS) - 1)
    lines = [
        Line(clean_line(kind, 60), colour, [point.kinds.get(kind, 0.0) for point in over])
        for kind, colour in zip(kinds, _COLOURS, strict=False)
    ]
    rest = [sum(n for kind, n in point.kinds.items() if kind not in kinds) for point in over]
    if any(rest):
        lines.append(Line(OTHERS, _COLOURS[-1], rest))
    chart = _figures("Errors a second by kind", run, over, lines, height=190, stacked=True)
    return section("Errors a second", _legend(lines) + chart, "by kind")


def server_side(run: Run) -> str:
    """What the servers said of themselves, on the same time axis."""
    ticks = thin(run.ticks, 400)
    names = list(dict.fromkeys(name for tick in ticks for name in tick.servers))
    names = names[: len(_SERVER_COLOURS)]
    times = [tick.at + tick.seconds / 2 for tick in ticks]
    width = max((b - a for a, b in pairwise(times)), default=1.0)
    charts = []
    for attribute, title, label in (
        ("waiting", "Requests waiting at the servers", _number),
        ("queue_ms", "Time in the queue", _milliseconds),
        ("inference_ms", "Inference time", _milliseconds),
        ("batch_pairs", "Pairs in a batch", _number),
        ("gpu", "GPU", share),
        ("cache_hits", "Cache hits", share),
    ):
        lines = []
        for name, colour in zip(names, _SERVER_COLOURS, strict=False):
            values = [
                getattr(tick.servers[name], attribute) if name in tick.servers else None
                for tick in ticks
            ]
            if any(value is not None for value in values):
                lines.append(Line(clean_line(name, 40), colour, values))
        if not lines:
            continue
        chart = svg.over_time(
            title,
            times,
            lines,
            label=label,
            clock=_clock,
            width=width,
            height=170,
            bands=_bands(run),
        )
        charts.append(section(title, _legend(lines) + chart, "as they report it"))
    return "".join(charts)


def generator(run: Run, over: Sequence[Moment]) -> str:
    """What was in flight, and how the generator fared."""
    if not over:
        return ""
    lines = [Line("in flight", "blue", [float(point.in_flight) for point in over], area=True)]
    chart = _figures("Requests in flight", run, over, lines, height=150)
    late = max((point.late or 0 for point in over), default=0)
    facts = f"busiest core {share(max(point.cpu for point in over))} at most"
    if late:
        facts += f", late sending p99 {took(late)} at worst"
    return section("In flight", chart, facts)


def _legend(lines: Iterable[Line]) -> str:
    entries = "".join(
        f'<span class="{line.style}"><i></i>{escaped(line.name)}</span>' for line in lines
    )
    return f'<div class="legend">{entries}</div>'


def _tick(value: float) -> str:
    return took(value) if value else "0"


def _milliseconds(value: float) -> str:
    return _tick(value / 1000)


def _number(value: float) -> str:
    """A count or a rate beside an axis."""
    return f"{round(value):,}" if value >= 10 else f"{value:.3g}"


def _clock(seconds: float) -> str:
    """A moment of the run: ``12s``, ``2:05``, ``1:02:05``."""
    if seconds < 60:
        return span(seconds)
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    text = f"{rest // 60:02}:{rest % 60:02}"
    return f"{hours}:{text}" if hours else f"{rest // 60}:{rest % 60:02}"
