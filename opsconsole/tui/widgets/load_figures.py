"""The table of a run: now, the last seconds, the whole, and what was promised."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from opsconsole import figures
from opsconsole.load.judge import (
    family_of,
    is_latency,
    measure,
    percent_of,
    show,
)
from opsconsole.load.live import Live
from opsconsole.load.live_columns import Column
from opsconsole.load.measured import observed
from opsconsole.load.records import Judgement
from opsconsole.load.summary import per_second, span, too_few, took
from opsconsole.text import clean_line
from opsconsole.tui.widgets.load_ink import Cell, Ink, facts, fit, limit_words, line

_COLUMN = 7
_NAME = 9
_LEVEL = 16
"""Columns of a figure, of a row's name, of a service level with its verdict."""
WIDTH = _NAME + 3 * _COLUMN + _LEVEL
"""Columns of the table with all of it."""

_STREAMS = 0.9
"""Share of the service time after which the first byte of a streamed answer is there."""
_ROLES = {"p50": "good", "p95": "warn", "p99": "bad"}
_ALWAYS = ("p50", "p95", "p99", "success_rate", "goodput")
_SPARE = (
    "throughput",
    "max",
    "pairs",
    "p99.9",
    "service.p95",
    "first_byte.p95",
    "p90",
    "p99.99",
    "mean",
)
"""What is shown beside :data:`_ALWAYS` and what the thresholds ask for, while there is room."""
_ORDER = (
    "p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max", "mean",
    "success_rate", "error_rate", "throughput", "goodput", "pairs",
)  # fmt: skip
_NAMES = {
    "success_rate": "ok %",
    "error_rate": "error %",
    "throughput": "req/s",
    "goodput": "good/s",
    "pairs": "pairs/s",
}


class _Row(NamedTuple):
    metric: str
    write: Callable[[float | None], str]


def table(ink: Ink, live: Live, width: int, most: int, *, invalid: bool = False) -> list[Text]:
    """At most ``most`` lines, the head included; figures right-aligned, so that a change is seen
    as one. Latencies in milliseconds, those of a second and more with their unit.

    ``invalid``: the run has ended so, and neither keeps nor breaks anything.
    """
    columns = _columns(live)
    if most == 1:
        return [_brief(ink, live, columns[-1][1], width)]
    name = _NAME if width >= WIDTH else _NAME - 1
    room = width - name - len(columns) * _COLUMN
    cells = [Cell(f"{'ms':<{name}}", ink.dim)]
    cells += [Cell(f"{title:>{_COLUMN - 1}} ", ink.dim) for title, _ in columns]
    if live.thresholds and room >= 4:
        cells.append(Cell(" service level" if room >= 15 else " SLO", ink.dim))
    lines = [line(cells, width)]
    for metric in _metrics(live, columns[-1][1], most - 1):
        cells = _figures(ink, columns, metric, name)
        cells += _level(ink, live, columns, metric, room, invalid=invalid)
        lines.append(line(cells, width))
    return lines[:most]


def _brief(ink: Ink, live: Live, column: Column, width: int) -> Text:
    """The figures that matter most, where there is one line for all of them."""
    column = column if column.totals.ended else live.recent
    told = [
        ("p95", took(column.latency("p95")), ""),
        ("ok %", written("success_rate", column), ""),
        ("good/s", written("goodput", column), ""),
        ("p50", took(column.latency("p50")), ""),
        ("p99", took(column.latency("p99")), ""),
    ]
    return facts(ink, "", told, width)


def _columns(live: Live) -> list[tuple[str, Column]]:
    if live.climbs:
        # What a search tries is not one thing: the whole of it says nothing.
        return [("now", live.now), ("10s", live.recent), ("probe", live.probe)]
    return [("now", live.now), ("10s", live.recent), ("whole", live.whole)]


def _metrics(live: Live, whole: Column, most: int) -> list[str]:
    asked = dict.fromkeys(threshold.metric for threshold in live.thresholds)
    wanted = [*_ALWAYS, *(metric for metric in asked if metric not in _ALWAYS)]
    if len(wanted) > most:
        # What is promised, then what everyone asks for.
        wanted = list(dict.fromkeys([*asked, "p95", "success_rate", "goodput", "p50", "p99"]))
    for metric in _SPARE:
        if len(wanted) >= most:
            break
        if metric not in wanted and _says_more(metric, live, whole):
            wanted.append(metric)
    return sorted(wanted[:most], key=_place)


def _says_more(metric: str, live: Live, whole: Column) -> bool:
    """Whether a figure says what no other does."""
    seen = whole if whole.totals.ended else live.recent
    if metric == "throughput":
        # A refusal is an answer too: with any, both rates are needed to be understood.
        return seen.totals.answered > seen.totals.good
    if metric == "pairs":
        return seen.totals.pairs > seen.totals.good
    if metric == "service.p95":
        phase = live.phase
        return phase is not None and phase.is_open
    if metric == "first_byte.p95":
        # An answer that comes in one piece begins when it ends.
        first, service = seen.totals.first_byte.mean, seen.totals.service.mean
        return first is not None and service is not None and first < _STREAMS * service
    percent = percent_of(metric)
    # The tail of a few requests is their maximum.
    return percent is None or seen.totals.response.total * (100 - percent) >= 100


def _place(metric: str) -> tuple[int, int, str]:
    family, name = family_of(metric) if is_latency(metric) else ("", metric)
    second = {"": 1, "response": 0, "service": 1, "first_byte": 2}[family]
    order = _ORDER.index(name) if name in _ORDER else len(_ORDER)
    return (second if is_latency(metric) else 3, order, metric)


def metric_name(metric: str) -> str:
    """As a row is called: ``p95``, ``ok %``, ``svc p95``."""
    if not is_latency(metric):
        return _NAMES.get(metric, metric)
    family, name = family_of(metric)
    return {"response": "", "service": "svc ", "first_byte": "1st "}[family] + name


def _figures(ink: Ink, columns: Sequence[tuple[str, Column]], metric: str, name: int) -> list[Cell]:
    role = _ROLES.get(metric, "")
    style = {"good": ink.good, "warn": ink.warn, "bad": ink.bad}.get(role, "")
    cells = [Cell(fit(metric_name(metric), name, ascii_=ink.symbols.plain), style)]
    for _, column in columns:
        broken = any(not j.passed for j in _judged(column, metric) if j.observed is not None)
        value = ink.plain(written(metric, column))
        cells.append(Cell(f"{value:>{_COLUMN - 1}}", ink.bad if broken else ""))
        # The mark says it without colour.
        cells.append(Cell("!" if broken else " ", ink.bad))
    return cells


def written(metric: str, column: Column) -> str:
    """A metric of a column without its unit; of the good requests where it is a latency."""
    totals = column.totals
    if metric == "success_rate":
        return share_of_all(totals.good, totals.ended)
    if metric == "error_rate":
        failed = totals.ended - totals.good
        return f"{failed * 100 / totals.ended:.2f}" if totals.ended else figures.DASH
    if not is_latency(metric):
        return per_second(measure(metric, totals, column.rated))
    return figures.latency(column.latency(metric))


def share_of_all(part: int, whole: int) -> str:
    """Per cent without its sign; what is not all is never shown as 100."""
    if not whole:
        return figures.DASH
    if part == whole:
        return "100"
    return f"{math.floor(part * 10_000 / whole) / 100:.2f}"


def _judged(column: Column, metric: str) -> list[Judgement]:
    return [judged for judged in column.judgements if judged.metric == metric]


def _level(
    ink: Ink,
    live: Live,
    columns: Sequence[tuple[str, Column]],
    metric: str,
    room: int,
    *,
    invalid: bool,
) -> list[Cell]:
    """The promise and whether it is kept: over the whole, before there is one lately. The verdict
    stays when there is no room for the limit."""
    whole = columns[-1][1]
    column = whole if whole.totals.ended else columns[1][1]
    asked = [
        pair
        for pair in zip(live.thresholds, column.judgements, strict=False)
        if pair[0].metric == metric
    ]
    if not asked:
        return []
    broken = [pair for pair in asked if not pair[1].passed and pair[1].observed is not None]
    # Of several, such as one a server, the first that is broken.
    threshold, judged = (broken or asked)[0]
    limit = Cell(f" {limit_words(threshold).replace(' ', '')}", ink.dim)
    more: list[Cell] = []
    if len(broken) > 1:
        more.append(Cell(f" {len(broken)} of {len(asked)}", ink.dim))
    elif threshold.server and (broken or len(asked) == 1):
        more.append(Cell(f" on {clean_line(threshold.server, 24)}", ink.dim))
    if invalid:
        verdict = Cell(" ? invalid", ink.dim)
    elif broken:
        verdict = Cell(f" {ink.symbols.down} broken", ink.bad)
        # The figures are those of good requests; here a failed one took for ever.
        seen = show(metric, judged.observed)
        if is_latency(metric) and seen != show(metric, column.latency(metric)):
            more.append(Cell(f" by {ink.plain(observed(judged))}", ink.dim))
    elif judged.observed is None:
        verdict = Cell(" ?", ink.dim)
    else:
        verdict = Cell(f" {ink.kept} kept", ink.good)
    if threshold.window:
        more.append(Cell(f" over {span(threshold.window)}", ink.dim))
    mark = Cell(verdict.text[:2], verdict.style)
    for cells in ([limit, verdict], [verdict], [mark]):
        if _size(cells) <= room:
            break
    if few := too_few(judged):
        # The head says it in full once the run has ended.
        said = [Cell(f" {few}", ink.dim), Cell(f" (max of {judged.maximum_of:,})", ink.dim)]
        fitting = (cell for cell in said if _size([*cells, cell]) <= room)
        more.insert(0, next(fitting, Cell(", max", ink.dim)))
    for cell in more:
        if _size([*cells, cell]) <= room:
            cells.append(cell)
    return cells


def _size(cells: Sequence[Cell]) -> int:
    return sum(cell_len(cell.text) for cell in cells)


def client_line(ink: Ink, live: Live, width: int) -> Text:
    """How the generator fares: in flight, late, dropped, its core."""
    column = live.whole if live.whole and not live.climbs else live.recent
    now = live.now.client
    late = column.client.late.percentile(99)
    # The last tick's are not those of now where the generator was lost before its own end.
    left = live.ticks and not (live.ended and now.in_flight)
    told = [("in flight", f"{now.in_flight:,}" if left else figures.DASH, "")]
    if late is not None:
        told.append(("late p99", figures.with_unit(late), ""))
    dropped = column.client.dropped
    if dropped or (live.phase is not None and live.phase.is_open):
        told.append(("dropped", f"{dropped:,}", ink.bad if dropped else ""))
    if now.cpu:
        told.append(("core", f"{now.cpu:.0%}", ""))
    return facts(ink, "", told, width)
