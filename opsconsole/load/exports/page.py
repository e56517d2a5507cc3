"""A run as one HTML file: no script, nothing fetched, readable in light, dark and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from opsconsole import figures
from opsconsole.load.exports import svg
from opsconsole.load.exports.page_style import STYLE
from opsconsole.load.exports.svg import Band, Line, Mark
from opsconsole.load.records import PhaseResult, Run, Totals
from opsconsole.load.series import OTHERS, Point, bins, commonest, points, stretches
from opsconsole.load.summary import (
    PERCENTS,
    errors_of,
    failed,
    latencies,
    law,
    measure,
    moment,
    per_second,
    percent_name,
    phase_name,
    sentence,
    share,
    span,
    success,
    took,
    verdict,
)
from opsconsole.load.thinning import thin
from opsconsole.text import clean_line

_COLOURS = ("bad", "second", "plum", "blue", "grey")
_SERVER_COLOURS = ("first", "second", "plum", "blue", "green")
_BARS = 72
_LEFT = ' class="l"'


def as_html(run: Run) -> str:
    """The whole page."""
    result = run.measured()
    totals = result.all() if result else Totals()
    over = points(run)
    title = f"{clean_line(run.plan.name, 60)} · load test"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="referrer" content="no-referrer">',
        f"<title>{_e(title)}</title><style>{STYLE}</style></head><body><main>",
        _head(run),
        _verdict(run),
    ]
    if result is not None:
        parts += [_cards(result, totals), _thresholds(run)]
    parts += [_response(run, over), _rates(over, run)]
    if result is not None:
        parts += [_distribution(run, totals), _errors_over_time(over, run), _errors(run, result)]
        parts += [_percentiles(totals, result), _servers(run, result), _upstreams(totals)]
        parts.append(_phases(run))
    parts += [_server_side(run), _generator(over, run), _foot(run)]
    return "\n".join(part for part in parts if part) + "\n</main></body></html>\n"


def _e(text: str) -> str:
    return escape(clean_line(text))


def _head(run: Run) -> str:
    measured = [result.phase for result in run.phases if result.phase.measured]
    how = f" · {law(measured[0])}" if len(measured) == 1 else ""
    return (
        f"<h1>{_e(run.plan.name)}</h1>"
        f'<div class="meta">{_e(run.plan.mode)}{_e(how)} · profile {_e(run.profile)} · '
        f"{_e(moment(run.at))} · {_e(run.id)}</div>"
    )


def _verdict(run: Run) -> str:
    lines = "".join(f"<li>{_e(reason)}</li>" for reason in run.invalid)
    parts = [f"<b>{_e(sentence(run))}</b>", f"<ul>{lines}</ul>" if lines else ""]
    if run.stopped:
        parts.append(f"<p>Stopped: {_e(run.stopped)}</p>")
    if run.conclusion is not None:
        parts.append(f"<p>{_e(run.conclusion.text)}</p>")
    return f'<div class="verdict {verdict(run)}"><div>{"".join(parts)}</div></div>'


def _cards(result: PhaseResult, totals: Totals) -> str:
    rate = totals.good / result.seconds if result.seconds > 0 else None
    p50, p95, p99 = totals.response.percentiles((50, 95, 99))
    cards = [
        ("good", per_second(rate), "/s"),
        (f"good of {totals.ended:,}", share(success(totals)), ""),
        ("p50", took(p50), ""),
        ("p95", took(p95), ""),
        ("p99", took(p99), ""),
        ("largest", took(totals.response.maximum), ""),
    ]
    if totals.pairs > totals.good and result.seconds > 0:
        cards.insert(1, ("pairs", per_second(totals.pairs / result.seconds), "/s"))
    return '<div class="cards">' + "".join(
        f'<div class="card"><span>{name}</span><strong>{_e(value)}</strong>'
        + (f"<em>{_e(unit)}</em>" if unit else "")
        + "</div>"
        for name, value, unit in cards
    ) + "</div>"  # fmt: skip


def _thresholds(run: Run) -> str:
    if not run.judgements:
        return ""
    rows = []
    for judged in run.judgements:
        seen = measure(judged.metric, judged.observed)
        mark = '<span class="ok">● kept</span>' if judged.passed else ""
        rows.append(
            [
                _e(judged.threshold),
                _e(seen if judged.observed is not None else "nothing to measure"),
                mark or '<span class="no">× broken</span>',
            ]
        )
    note = "a failed request counts as infinitely slow" if failed_any(run) else ""
    if run.invalid:
        note = "without weight: the run is invalid"
    return _section("Thresholds", _table(["threshold", "measured", ""], rows), note)


def failed_any(run: Run) -> bool:
    """Whether a measured request failed."""
    result = run.measured()
    return result is not None and failed(result.all()) > 0


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


def _width(over: Sequence[Point]) -> float:
    return max((b.at - a.at for a, b in pairwise(over)), default=1.0)


def _response(run: Run, over: Sequence[Point]) -> str:
    if not over:
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
    return _section("Response time", _legend(lines) + chart, note)


def _rates(over: Sequence[Point], run: Run) -> str:
    if not over:
        return ""
    lines = [Line("good", "first", [point.good for point in over])]
    if any(point.errors for point in over):
        lines.append(Line("failed", "bad", [point.errors for point in over]))
    chart = svg.over_time(
        "Requests a second",
        [point.at for point in over],
        lines,
        label=_number,
        clock=_clock,
        width=_width(over),
        height=210,
        stacked=True,
        bands=_bands(run),
    )
    return _section("Requests a second", _legend(lines) + chart, "that ended")


def _distribution(run: Run, totals: Totals) -> str:
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
    return _section("Distribution of response times", chart, "good requests, log axis")


def _errors_over_time(over: Sequence[Point], run: Run) -> str:
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
    chart = svg.over_time(
        "Errors a second by kind",
        [point.at for point in over],
        lines,
        label=_number,
        clock=_clock,
        width=_width(over),
        height=190,
        stacked=True,
        bands=_bands(run),
    )
    return _section("Errors a second", _legend(lines) + chart, "by kind")


def _errors(run: Run, result: PhaseResult) -> str:
    totals = result.all()
    rows = [
        [_e(kind), f"{count:,}", share(count / totals.ended), f"<code>{_e(example)}</code>"]
        for kind, count, example in errors_of(totals, run.examples)
    ]
    for kind, count in sorted(result.client.failures.items(), key=lambda item: -item[1]):
        rows.append([_e(f"on this side: {kind}"), f"{count:,}", "", ""])
    if not rows:
        return ""
    return _section(
        "Errors",
        _table(["kind", "count", "share", "example"], rows, left=(0, 3)),
        "measured phases",
    )


def _percentiles(totals: Totals, result: PhaseResult) -> str:
    timed = latencies(totals, result.client)
    if not timed:
        return ""
    rows = []
    for name, histogram in timed:
        values = histogram.percentiles(PERCENTS)
        rows.append(
            [name, *(took(v) for v in values), took(histogram.maximum), took(histogram.mean)]
        )
    head = ["", *(percent_name(percent) for percent in PERCENTS), "max", "mean"]
    notes = [
        "Response counts from the intended moment of sending, service from the sending itself."
    ]
    if not result.phase.is_open:
        notes.append(
            "A closed loop waits for the server before it sends again: these are not the latencies "
            "of users who do not wait."
        )
    if failed(totals):
        notes.append("Good requests only; thresholds count a failed one as infinitely slow.")
    note = f'<p class="note">{_e(" ".join(notes))}</p>'
    return _section("Percentiles", _table(head, rows) + note)


def _servers(run: Run, result: PhaseResult) -> str:
    rows = []
    for name in {**result.totals, **run.servers}:
        totals = result.totals.get(name, Totals())
        p50, p95, p99 = totals.response.percentiles((50, 95, 99))
        facts = run.servers.get(name)
        known = [facts.url, facts.model, facts.version, facts.device, facts.dtype] if facts else []
        about = " · ".join(_e(part) for part in known if part)
        rows.append(
            [
                f'{_e(name)}<div class="note">{about}</div>',
                f"{totals.ended:,}",
                per_second(totals.good / result.seconds) if result.seconds else figures.DASH,
                took(p50),
                took(p95),
                took(p99),
                took(totals.response.maximum),
                f"{failed(totals):,}",
            ]
        )
    head = ["server", "ended", "good/s", "p50", "p95", "p99", "max", "failed"]
    return _section("Servers", _table(head, rows)) if rows else ""


def _upstreams(totals: Totals) -> str:
    answered = sum(totals.upstreams.values())
    rows = [
        [_e(name), f"{count:,}", share(count / answered)]
        for name, count in sorted(totals.upstreams.items(), key=lambda item: -item[1])
    ]
    table = _table(["upstream", "answers", "share"], rows)
    return _section("Behind the balancer", table) if rows else ""


def _phases(run: Run) -> str:
    if len(run.phases) < 2:
        return ""
    rows = []
    for result in run.phases:
        totals = result.all()
        p50, p95, p99 = totals.response.percentiles((50, 95, 99))
        rows.append(
            [
                _e(phase_name(result)),
                _e(law(result.phase)) + ("" if result.phase.measured else ", not measured"),
                f"{totals.ended:,}",
                per_second(totals.good / result.seconds) if result.seconds else figures.DASH,
                took(p50),
                took(p95),
                took(p99),
                f"{failed(totals):,}",
            ]
        )
    head = ["phase", "load", "ended", "good/s", "p50", "p95", "p99", "failed"]
    return _section("Phases", _table(head, rows, left=(0, 1)))


def _server_side(run: Run) -> str:
    """What the servers said of themselves, on the same time axis."""
    ticks = thin(run.ticks, 400)
    names = list(dict.fromkeys(name for tick in ticks for name in tick.servers))
    names = names[: len(_SERVER_COLOURS)]
    times = [tick.at + tick.seconds / 2 for tick in ticks]
    width = max((b - a for a, b in pairwise(times)), default=1.0)
    charts = []
    for attribute, title, unit in (
        ("waiting", "Requests waiting at the servers", ""),
        ("inference_ms", "Inference time", "ms"),
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
            label=(lambda value: took(value / 1000) if value else "0") if unit else _number,
            clock=_clock,
            width=width,
            height=170,
            bands=_bands(run),
        )
        charts.append(_section(title, _legend(lines) + chart, "as they report it"))
    return "".join(charts)


def _generator(over: Sequence[Point], run: Run) -> str:
    if not over:
        return ""
    lines = [Line("in flight", "blue", [float(point.in_flight) for point in over], area=True)]
    chart = svg.over_time(
        "Requests in flight",
        [point.at for point in over],
        lines,
        label=_number,
        clock=_clock,
        width=_width(over),
        height=150,
        bands=_bands(run),
    )
    late = max((point.late or 0 for point in over), default=0)
    facts = f"busiest core {share(max(point.cpu for point in over))} at most"
    if late:
        facts += f", late sending p99 {took(late)} at worst"
    return _section("In flight", chart, facts)


def _foot(run: Run) -> str:
    facts = [f"opsconsole {run.version}" if run.version else "", run.machine]
    facts.append(f"plan {run.fingerprint[:16]}")
    return f"<footer>{_e(' · '.join(fact for fact in facts if fact))}</footer>"


def _section(title: str, body: str, note: str = "") -> str:
    small = f"<small>{_e(note)}</small>" if note else ""
    return f"<section><h2>{_e(title)}{small}</h2>{body}</section>"


def _legend(lines: Iterable[Line]) -> str:
    entries = "".join(f'<span class="{line.style}"><i></i>{_e(line.name)}</span>' for line in lines)
    return f'<div class="legend">{entries}</div>'


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)
) -> str:
    """A table of cells that are HTML already."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{_LEFT if i in left else ''}>{cell}</{tag}>" for i, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{line(head, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _tick(value: float) -> str:
    return took(value) if value else "0"


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
