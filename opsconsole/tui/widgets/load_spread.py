"""The distribution of latencies as blocks on a log axis."""

from __future__ import annotations

from itertools import groupby

from rich.text import Text

from opsconsole import figures
from opsconsole.load.histogram import Histogram
from opsconsole.load.live import Live
from opsconsole.load.series import Bin, bins
from opsconsole.load.summary import per_second
from opsconsole.tui.widgets.load_charts import LEAST_SPAN
from opsconsole.tui.widgets.load_ink import Cell, Ink, line
from opsconsole.tui.widgets.raster import EIGHTHS
from opsconsole.tui.widgets.sparkline import spark

_ASCII = " ._-=+*#@"
NAME = 8
"""Columns of a name, as many as the labels of the charts take."""
_WORDS = 46
"""Columns of the words beside the bars, at most."""


def spread_lines(ink: Ink, live: Live, width: int, height: int, plot: int = 100) -> list[Text]:
    """Bars in ``height - 1`` rows and under them the least, the commonest and the worst latency;
    in one row all of it beside the bars. Empty without latencies.

    ``plot``: most columns of the bars.
    """
    column = live.probe if live.climbs else live.whole
    if not column.totals.response.total:
        column = live.recent
    histogram = column.totals.response
    if not histogram.total or height < 1:
        return []
    parts = bins(histogram, max(10, min(width - NAME - (_WORDS if height == 1 else 0), plot)))
    words = _words(ink, histogram, parts)
    if height == 1 and width < NAME + len(parts) + _WORDS:
        return [line([Cell(f"{'spread':<{NAME}}", ink.bright), Cell(words, ink.dim)], width)]
    limit = min((t.limit for t in live.thresholds if t.metric == "p95"), default=None)
    rows = _bars(ink, parts, max(1, height - 1), limit)
    lines = []
    for number, cells in enumerate(rows):
        name = "spread" if number == len(rows) - 1 else ""
        lead = Cell(f"{name:<{NAME}}", ink.bright)
        tail = [Cell(f"  {words}", ink.dim)] if height == 1 else []
        lines.append(line([lead, *cells, *tail], width))
    if height > 1:
        lines.append(line([Cell(" " * NAME), Cell(words, ink.dim)], width))
    return lines


def _words(ink: Ink, histogram: Histogram, parts: list[Bin]) -> str:
    most = max(parts, key=lambda part: part.number)
    least, worst = histogram.least / 1e9, histogram.largest / 1e9
    common = figures.with_unit((most.low * most.high) ** 0.5)
    gap = ink.gap
    return ink.plain(
        f"{figures.with_unit(least)} least{gap}{common} most{gap}{figures.with_unit(worst)} worst"
    )


def _bars(ink: Ink, parts: list[Bin], height: int, limit: float | None) -> list[list[Cell]]:
    """Rows of bars from the top. What lies beyond the limit of p95 has another colour, and stands
    right of where it would: no meaning by colour alone."""
    top = max(part.number for part in parts)
    scale = _ASCII if ink.symbols.plain else EIGHTHS
    eighths = [
        0 if part.number < 0.5 else max(1, round(part.number / top * height * 8)) for part in parts
    ]
    over = [limit is not None and part.low >= limit for part in parts]
    rows = []
    for row in range(height):
        base = 8 * (height - 1 - row)
        marks = [(scale[min(8, max(0, e - base))], o) for e, o in zip(eighths, over, strict=True)]
        cells = []
        for beyond, group in groupby(marks, key=lambda mark: mark[1]):
            cells.append(Cell("".join(mark for mark, _ in group), ink.bad if beyond else ink.good))
        rows.append(cells)
    return rows


def rate_line(ink: Ink, live: Live, width: int, plot: int) -> list[Text]:
    """Good requests a second over time as a row of bars in ``plot`` columns, under those of the
    chart above; and now in figures. Empty before the first tick."""
    moments = live.moments
    if not moments or plot < 8:
        return []
    step = max(live.seconds, LEAST_SPAN) / plot
    columns: list[float | None] = [None] * plot
    for moment in moments:
        first = int((moment.at - moment.seconds / 2) / step + 1e-6)
        last = int((moment.at + moment.seconds / 2) / step - 1e-6)
        for column in range(max(0, first), min(plot - 1, max(first, last)) + 1):
            columns[column] = max(moment.good, columns[column] or 0.0)
    bars = spark(columns, plot, "ascii" if ink.symbols.plain else "block")
    now = live.now
    failed = now.totals.ended - now.totals.good
    cells = [
        Cell(f"{'good/s':<{NAME}}", ink.bright),
        Cell(bars, ink.accent),
        Cell("  now ", ink.dim),
        Cell(per_second(now.totals.rates(now.seconds).good)),
        Cell("  failed ", ink.dim),
        Cell(f"{per_second(now.rate(failed))}/s", ink.bad if failed else ""),
    ]
    return [line(cells, width)]
