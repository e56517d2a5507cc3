"""The time-series chart: several lines, round axes, service levels, a legend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.reactive import var
from textual.strip import Strip
from textual.widget import Widget

from opsconsole.text import clean_line
from opsconsole.tui.widgets.chart_axis import Scale, time_row, value_scale
from opsconsole.tui.widgets.chart_series import Mark, Role, Series, Threshold
from opsconsole.tui.widgets.raster import Bin, Canvas, SymbolSet, envelope

__all__ = ["Chart", "Mark", "Role", "Series", "Threshold"]

_SERIES_STYLES = 6
_ROLES = ("good", "warn", "bad", "accent", "dim")
_MARK = -2
"""Owner of the cells of a mark; -1 is nobody."""
_PARTS = ("axis", "label", "title", "threshold")


def plain(value: float) -> str:
    """A value without a unit."""
    return f"{value:,.6g}"


class Chart(Widget):
    """Lines over time, drawn on the line API.

    Args:
        title: What is shown, at the top left.
        format_value: Writes a value with its unit, for the axis and the legend.
        symbols: The characters to draw with.
        empty: What stands there when there is no data.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Chart { height: 1fr; background: $background; color: $foreground; }
    Chart > .chart--axis { color: $rule; }
    Chart > .chart--label { color: $dim; }
    Chart > .chart--title { color: $foreground; text-style: bold; }
    Chart > .chart--threshold { color: $error; }
    Chart > .chart--good { color: $success; }
    Chart > .chart--warn { color: $warning; }
    Chart > .chart--bad { color: $error; }
    Chart > .chart--accent { color: $accent; }
    Chart > .chart--dim { color: $dim; }
    Chart > .chart--series-1 { color: $accent; }
    Chart > .chart--series-2 { color: $warning; }
    Chart > .chart--series-3 { color: $secondary; }
    Chart > .chart--series-4 { color: $success; }
    Chart > .chart--series-5 { color: $error; }
    Chart > .chart--series-6 { color: $foreground; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"chart--{name}" for name in (*_PARTS, *_ROLES)),
        *(f"chart--series-{number + 1}" for number in range(_SERIES_STYLES)),
    }

    symbols: var[SymbolSet] = var[SymbolSet]("braille")
    """The characters to draw with."""

    def __init__(
        self,
        *,
        title: str = "",
        format_value: Callable[[float], str] = plain,
        symbols: SymbolSet = "braille",
        empty: str = "no data",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.title = title
        self.empty = empty
        self.format_value = format_value
        self.set_reactive(Chart.symbols, symbols)
        self._series: Sequence[Series] = ()
        self._thresholds: Sequence[Threshold] = ()
        self._mark: Mark | None = None
        self._span: tuple[float, float] | None = None
        self._origin: float | None = None
        self._strips: list[Strip] | None = None
        self._styles: dict[str, Style] = {}

    def show(
        self,
        series: Sequence[Series],
        *,
        thresholds: Sequence[Threshold] = (),
        span: tuple[float, float] | None = None,
        origin: float | None = None,
        mark: Mark | None = None,
    ) -> None:
        """Draw something else.

        Args:
            series: The lines; a later one covers an earlier one.
            thresholds: Levels, each drawn as a thin line with its name.
            span: Times of the left and right edge; by default those of the data.
            origin: Label times as time since then; None labels by the clock.
            mark: A moment, drawn as a thin upright line where no series is.
        """
        self._mark = mark
        self._series, self._thresholds = tuple(series), tuple(thresholds)
        self._span, self._origin = span, origin
        self._strips = None
        self.refresh()

    # drawing

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        if self._strips is None or len(self._strips) != self.size.height:
            self._strips = self._draw(self.size)
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def notify_style_update(self) -> None:
        """Colours have changed."""
        super().notify_style_update()
        self._styles.clear()
        self._strips = None

    def on_resize(self) -> None:
        self._strips = None

    def watch_symbols(self) -> None:
        self._strips = None
        self.refresh()

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self.rich_style + self.get_component_rich_style(f"chart--{name}", partial=True)
            self._styles[name] = style
        return style

    def _series_style(self, number: int) -> Style:
        role = self._series[number].role
        return self._style(role or f"series-{number % _SERIES_STYLES + 1}")

    def _time_span(self) -> tuple[float, float] | None:
        if self._span is not None:
            return self._span
        starts = [series.times[0] for series in self._series if series.times]
        stops = [series.times[-1] for series in self._series if series.times]
        return (min(starts), max(stops)) if starts else None

    def _draw(self, size: Size) -> list[Strip]:
        base, width, height = self.rich_style, size.width, size.height
        span = self._time_span()
        if span is not None and span[1] <= span[0]:
            span = (span[0] - 0.5, span[0] + 0.5)
        header = 1 if height >= 4 and (self.title or len(self._series) > 1) else 0
        footer = 1 if height - header >= 4 and width >= 20 else 0
        rows = height - header - footer
        strips: list[Strip] = []
        values = None if span is None else self._range(span)
        if header:
            high = values[1] if values is not None else math.inf
            above = [level for level in self._thresholds if level.value > high]
            strips.append(self._header(width, above))
        if span is None or values is None or rows < 1:
            strips += self._no_data(width, height - header)
            return strips[:height]
        scale = value_scale(*values, most_parts=max(1, (rows - 1) // 3))
        labels, label_width = self._labels(scale, width)
        plot = max(1, width - label_width)
        canvas = Canvas(plot, rows, self.symbols)
        for number, series in enumerate(self._series):
            draw = canvas.area if series.area else canvas.line
            bins = envelope(series.times, series.values, *span, canvas.columns)
            draw(number, bins, scale.low, scale.high)
        ticks = {canvas.row_of(v, scale.low, scale.high): text for v, text in labels}
        levels = {
            canvas.row_of(level.value, scale.low, scale.high): level.label
            for level in self._thresholds
            if scale.low <= level.value <= scale.high
        }
        styles = [self._series_style(number) for number in range(len(self._series))]
        mark = self._mark_column(span, plot)
        for row, runs in enumerate(canvas.rows()):
            segments = self._axis(label_width, ticks.get(row))
            if mark is not None:
                runs = _parted(runs, mark, ":" if self.symbols == "ascii" else "┊")
            if row in levels:
                segments += self._level(runs, levels[row], plot, styles)
            else:
                segments += [Segment(t, self._run_style(owner, styles)) for t, owner in runs]
            strips.append(Strip(segments).adjust_cell_length(width, base))
        if footer:
            strips.append(self._footer(span, label_width, plot, width))
        return strips

    def _mark_column(self, span: tuple[float, float], plot: int) -> int | None:
        if self._mark is None or not span[0] < self._mark.at < span[1]:
            return None
        return min(plot - 1, int((self._mark.at - span[0]) / (span[1] - span[0]) * plot))

    def _run_style(self, owner: int, styles: list[Style]) -> Style:
        if owner >= 0:
            return styles[owner]
        return self._style("axis") if owner == _MARK else self.rich_style

    def _range(self, span: tuple[float, float]) -> tuple[float, float] | None:
        """Lowest and highest value that must fit; None when there is no value at all."""
        found: list[Bin] = []
        for series in self._series:
            found += filter(None, envelope(series.times, series.values, *span, 1))
        if not found:
            return None
        low, high = min(b.low for b in found), max(b.high for b in found)
        for level in self._thresholds:
            # a level far above would press the data flat; the header names it instead
            if high < level.value <= 2.5 * high:
                high = level.value
        return low, high

    def _labels(self, scale: Scale, width: int) -> tuple[list[tuple[float, str]], int]:
        """The values at the axis with their texts, and the columns that axis and texts take."""
        if width < 20:
            return [], 0
        labels: list[tuple[float, str]] = []
        for value in scale.ticks:
            text = clean_line(self.format_value(value), width // 3)
            if not labels or labels[-1][1] != text:
                labels.append((value, text))
        return labels, max(cell_len(text) for _, text in labels) + 2

    def _axis(self, width: int, label: str | None) -> list[Segment]:
        if not width:
            return []
        plain_set = self.symbols == "ascii"
        line = ("+" if plain_set else "┤") if label is not None else ("|" if plain_set else "│")
        text = label or ""
        pad = " " * (width - 1 - cell_len(text) - 1)
        return [
            Segment(f"{pad}{text} ", self._style("label")),
            Segment(line, self._style("axis")),
        ]

    def _level(
        self, runs: list[tuple[str, int]], label: str, plot: int, styles: list[Style]
    ) -> list[Segment]:
        """A row with a level: its line where no series is, its name at the right."""
        style, dash = self._style("threshold"), "-" if self.symbols == "ascii" else "╌"
        segments: list[Segment] = []
        for text, owner in runs:
            if owner >= 0 or owner == _MARK:
                segments.append(Segment(text, self._run_style(owner, styles)))
            else:
                segments.append(Segment(dash * len(text), style))
        name = f" {clean_line(label, max(plot // 2, plot - 10))}"
        strip = Strip(segments).crop(0, max(0, plot - cell_len(name)))
        return [*strip, Segment(name, style)]

    def _header(self, width: int, above: Sequence[Threshold]) -> Strip:
        """Title and legend. Where there is no room for all of it, the newest values go first, then
        the title, then the levels above: a number that is cut would be another number."""
        named = [Segment(clean_line(self.title, width), self._style("title"))] * bool(self.title)
        title, legend = named, list[Segment]()
        for with_title, with_values, levels in (
            (True, True, above),
            (True, False, above),
            (False, False, above),
            (True, False, ()),
            (False, False, ()),
        ):
            title = named if with_title else []
            legend = self._legend(with_values, levels)
            if sum(part.cell_length for part in (*title, *legend)) + 2 * len(title) <= width:
                break
        gap = width - sum(part.cell_length for part in (*title, *legend))
        blank = Segment(" " * max(0, gap), self.rich_style)
        return Strip([*title, blank, *legend]).adjust_cell_length(width, self.rich_style)

    def _legend(self, with_values: bool, above: Sequence[Threshold]) -> list[Segment]:
        plain_set, label = self.symbols == "ascii", self._style("label")
        parts: list[Segment] = []
        for number, series in enumerate(self._series):
            style = self._series_style(number)
            parts += [
                Segment("  " if parts else "", label),
                Segment(self._sample(number), style),
                Segment(f" {clean_line(series.name, 24)}", label),
            ]
            if with_values:
                value = "-" if plain_set else "—"
                if series.last is not None:
                    value = clean_line(self.format_value(series.last), 16)
                parts.append(Segment(f" {value}", style))
        for level in above:
            name = f"  {clean_line(level.label, 24)} {'^' if plain_set else '↑'}"
            parts.append(Segment(name, self._style("threshold")))
        return [part for part in parts if part.text]

    def _sample(self, number: int) -> str:
        """A short stretch of the line of a series, for the legend."""
        canvas = Canvas(1 if self.symbols == "ascii" else 4, 1, self.symbols)
        flat = [Bin(0.5, 0.5, 0.5, 0.5, True)] * canvas.columns
        draw = canvas.area if self._series[number].area else canvas.line
        draw(number, flat, 0.0, 1.0)
        return "".join(text for text, _ in next(canvas.rows()))

    def _footer(self, span: tuple[float, float], label_width: int, plot: int, width: int) -> Strip:
        mark = self._mark
        under = None if mark is None else (self._mark_column(span, plot), mark.before)
        text = time_row(
            span, label_width, plot, width, self._origin, under, ascii_=self.symbols == "ascii"
        )
        return Strip([Segment(text, self._style("label"))]).adjust_cell_length(
            width, self.rich_style
        )

    def _no_data(self, width: int, height: int) -> list[Strip]:
        base = self.rich_style
        text = clean_line(self.empty, width)
        at = max(0, (width - cell_len(text)) // 2)
        middle = Segment(set_cell_size(" " * at + text, width), self._style("label"))
        blank = Strip.blank(width, base)
        return [Strip([middle]) if row == (height - 1) // 2 else blank for row in range(height)]


def _parted(runs: Sequence[tuple[str, int]], column: int, glyph: str) -> list[tuple[str, int]]:
    """A row with ``glyph`` in ``column``, unless a series is there."""
    parted: list[tuple[str, int]] = []
    at = 0
    for text, owner in runs:
        here = column - at
        if owner < 0 and 0 <= here < len(text):
            pieces = ((text[:here], owner), (glyph, _MARK), (text[here + 1 :], owner))
            parted += [piece for piece in pieces if piece[0]]
        else:
            parted.append((text, owner))
        at += len(text)
    return parted
