"""From lines to the strips that a log view shows, kept as long as nothing about them changes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.strip import Strip

from opsconsole.logs import LogBuffer, Pattern
from opsconsole.text import clean_line
from opsconsole.tui.widgets.log_view_lines import (
    ASCII,
    MAX_SHOWN,
    UNICODE,
    WRAP_ROWS,
    Palette,
    ShownLine,
)
from opsconsole.tui.widgets.log_view_window import Row

_GUTTER = 3
_SOURCE_WIDTH = 14


class LinePainter:
    """Paints rows of a buffer: cursor, mark or level, source, text.

    Args:
        buffer: The lines.
    """

    def __init__(self, buffer: LogBuffer) -> None:
        self.buffer = buffer
        self.palette: Palette | None = None
        self.width = 80
        self.column = 0
        """First column of the text that is visible, when not wrapped."""
        self.wrap = False
        self.ascii = False
        self.pattern: Pattern | None = None
        self._names: dict[str, str] = {}
        self._lines: LRUCache[int, tuple[int, ShownLine]] = LRUCache(512)
        self._strips: LRUCache[tuple[Row, bool, bool], Strip] = LRUCache(512)

    def reset(self) -> None:
        """Forget the strips: the width, a style or the search has changed."""
        self._strips.clear()
        bar = ASCII.bar if self.ascii else UNICODE.bar
        names = [clean_line(source, _SOURCE_WIDTH) for source in self.buffer.sources]
        width = max(3, min(max(map(cell_len, names), default=0), self.width // 5))
        self._names = {
            source: f"{set_cell_size(name, width)} {bar} "
            for source, name in zip(self.buffer.sources, names, strict=True)
        }

    @property
    def named(self) -> Sequence[str]:
        """The sources that have a name in the column."""
        return tuple(self._names)

    @property
    def text_width(self) -> int:
        """Columns for the text of a line; the names take some when there are several sources."""
        width = self.width - _GUTTER
        if len(self._names) > 1:
            width -= cell_len(next(iter(self._names.values())))
        return max(1, width)

    def shown(self, number: int) -> ShownLine:
        """The safe text of a line, as far as it can be visible."""
        if self.wrap:
            limit = WRAP_ROWS * self.text_width + 64
        else:  # escape sequences take characters but no cells, so some more than the columns
            limit = min(MAX_SHOWN, 4 * (self.column + self.text_width) + 1024)
        cached = self._lines.get(number)
        if cached is None or cached[0] < limit:
            cached = (limit, ShownLine(self.buffer.line(number), limit))
            self._lines[number] = cached
        return cached[1]

    def rows_of(self, number: int) -> int:
        """Rows that a line takes."""
        return len(self.shown(number).breaks(self.text_width)) - 1 if self.wrap else 1

    def strip(self, row: Row, *, cursor: bool, marked: bool) -> Strip:
        """One row, as wide as the view."""
        key = (row, cursor, marked)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._paint(*row, cursor, marked)
        return strip

    def note(self, text: str) -> Strip:
        """A row with words of our own."""
        palette = self._colours
        segment = Segment(" " * _GUTTER + text, palette.text + palette.dim)
        return Strip([segment] if text else []).adjust_cell_length(self.width, palette.text)

    @property
    def _colours(self) -> Palette:
        if self.palette is None:
            raise RuntimeError("a log view is painted before it has colours")
        return self.palette

    def _paint(self, number: int, row: int, cursor: bool, marked: bool) -> Strip:
        palette, glyphs = self._colours, ASCII if self.ascii else UNICODE
        line, width = self.shown(number), self.text_width
        base = palette.text + palette.cursor if cursor else palette.text
        dim = base + palette.dim
        segments = [
            Segment(glyphs.cursor if cursor else " ", base + palette.mark),
            self._sign(line, marked, base) if row == 0 else Segment(" ", base),
            Segment(" ", base),
        ]
        if len(self._names) > 1:
            segments += self._source(number, row, base)
        margin = sum(segment.cell_length for segment in segments)
        if self.wrap:
            breaks = line.breaks(width)
            row = min(row, len(breaks) - 2)
            start, stop, pad = breaks[row], breaks[row + 1], 0
        else:
            start, stop, pad = line.cut(self.column, width)
        segments.append(Segment(" " * pad, base))
        match = palette.current_match if cursor else palette.match
        matches = line.matches(self.pattern, start, stop, match)
        text_base = dim if line.level == "debug" else base
        segments += line.segments(start, stop, text_base, palette, matches)
        known = margin + pad + stop - start if line.text.isascii() else None
        strip = Strip(segments, known).adjust_cell_length(self.width, base)
        edge = ""
        if not self.wrap:
            if line.more or line.width > self.column + width:
                edge = glyphs.right
            if self.column and line.text:
                left = Strip([Segment(glyphs.left, dim)])
                strip = Strip.join([strip.crop(0, margin), left, strip.crop(margin + 1)])
        elif row == len(breaks) - 2 and (line.more or stop < len(line.text)):
            edge = f" {glyphs.more} {len(self.buffer.raw(number)):,} bytes"
        if edge:
            keep = max(0, self.width - cell_len(edge))
            strip = Strip.join([strip.crop(0, keep), Strip([Segment(edge, dim)])])
        return strip.crop(0, self.width)

    def _sign(self, line: ShownLine, marked: bool, base: Style) -> Segment:
        palette, glyphs = self._colours, ASCII if self.ascii else UNICODE
        if marked:
            return Segment(glyphs.mark, base + palette.mark)
        if line.level == "error":
            return Segment(glyphs.error, base + palette.levels["error"])
        if line.level == "warning":
            return Segment(glyphs.warning, base + palette.levels["warning"])
        return Segment(" ", base)

    def _source(self, number: int, row: int, base: Style) -> list[Segment]:
        palette, source = self._colours, self.buffer.source(number)
        name, bar = self._names[source][:-2], self._names[source][-2:]
        colour = palette.sources[self.buffer.sources.index(source) % len(palette.sources)]
        return [
            Segment(name if row == 0 else " " * cell_len(name), base + colour),
            Segment(bar, base + palette.rule),
        ]
