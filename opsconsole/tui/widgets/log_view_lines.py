"""How one log line looks: safe text, cut to what is visible, with its colours."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from rich.cells import get_character_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from opsconsole.logs import Level, LogLine, Pattern

WRAP_ROWS = 20
"""Most rows that one wrapped line takes; the rest is said to be there."""
MAX_SHOWN = 1 << 16
"""Characters of a line that can be scrolled to."""

_TIME = re.compile(
    r"\[?(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|[+-]\d\d:?\d\d)(?!\S))?\]?"
)
_LEVEL = re.compile(
    r"\b(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|CRIT(?:ICAL)?|FATAL|ALERT|EMERG"
    r"|PANIC)\b"
)
_KEY = re.compile(r"(?<=\s)[A-Za-z_][\w.-]{0,40}=")
_VARIATION = re.compile("[\ufe00-\ufe0f]")  # terminals disagree about the width they cause

Layer = tuple[int, int, Style]
"""Characters from start to stop, and a style on top of what is there."""


@dataclass(frozen=True)
class Glyphs:
    """The characters around the text."""

    cursor: str
    mark: str
    error: str
    warning: str
    left: str
    right: str
    bar: str
    more: str


UNICODE = Glyphs("▌", "◆", "×", "▲", "‹", "›", "│", "…")
ASCII = Glyphs(">", "*", "x", "!", "<", ">", "|", "...")


@dataclass(frozen=True)
class Palette:
    """The styles of the parts, from the widget's component classes."""

    text: Style
    cursor: Style
    dim: Style
    levels: dict[Level, Style]
    match: Style
    current_match: Style
    mark: Style
    rule: Style
    sources: Sequence[Style]
    dark: bool


class ShownLine:
    """The safe text of a line as far as it is needed, with the places of its parts.

    Args:
        line: The line.
        limit: Characters to look at; of a hostile megabyte the rest is never touched.
    """

    __slots__ = ("_cells", "keys", "level", "level_at", "more", "runs", "text", "time_end")

    def __init__(self, line: LogLine, limit: int) -> None:
        spans, self.more = line.head_spans(limit)
        self.runs: list[tuple[int, int, str]] = []
        pieces, at = [], 0
        for span in spans:
            piece = span.text if span.text.isascii() else _VARIATION.sub("", span.text)
            if span.sgr:
                self.runs.append((at, at + len(piece), span.sgr))
            pieces.append(piece)
            at += len(piece)
        self.text = "".join(pieces)
        self.level = line.level
        head = self.text[:240]
        time = _TIME.match(head)
        self.time_end = time.end() if time else 0
        word = _LEVEL.search(head) if self.level else None
        self.level_at = word.span() if word else None
        keys = [] if self.runs else [key.span() for key in _KEY.finditer(self.text, 0, 4096)]
        self.keys: list[tuple[int, int]] = keys
        self._cells: list[int] | None = None

    def _offsets(self) -> list[int]:
        """Cells before each character, and of all."""
        if self._cells is None:
            self._cells = [0, *accumulate(map(get_character_cell_size, self.text))]
        return self._cells

    @property
    def width(self) -> int:
        """Cells that the text takes on one row."""
        return len(self.text) if self.text.isascii() else self._offsets()[-1]

    def cut(self, column: int, width: int) -> tuple[int, int, int]:
        """Characters from start to stop that stand in the columns, and blanks before them."""
        if self.text.isascii():
            start = min(column, len(self.text))
            return start, min(column + width, len(self.text)), 0
        cells = self._offsets()
        start = bisect_left(cells, column, 0, len(cells) - 1)
        stop = bisect_right(cells, column + width) - 1
        # a wide character that the left edge cuts leaves a blank
        return start, max(start, stop), max(0, min(cells[start] - column, width))

    def breaks(self, width: int) -> list[int]:
        """Where each row begins when wrapped, and the end of the last; at most WRAP_ROWS rows."""
        length = len(self.text)
        if self.text.isascii():
            rows = list(range(0, max(1, length), width))[:WRAP_ROWS]
            return [*rows, min(length, rows[-1] + width)]
        cells, rows = self._offsets(), [0]
        while len(rows) <= WRAP_ROWS and rows[-1] < length:
            stop = bisect_right(cells, cells[rows[-1]] + width) - 1
            rows.append(max(stop, rows[-1] + 1))
        return rows if len(rows) > 1 else [0, 0]

    def segments(
        self,
        start: int,
        stop: int,
        base: Style,
        palette: Palette,
        matches: list[tuple[int, int, Style]],
    ) -> list[Segment]:
        """The characters from start to stop with all their styles."""
        layers: list[Layer] = []
        if self.runs:
            layers += [(a, b, sgr_style(sgr, palette.dark)) for a, b, sgr in self.runs]
        else:
            if self.time_end:
                layers.append((0, self.time_end, palette.dim))
            layers += [(a, b, palette.dim) for a, b in self.keys]
            if self.level_at and self.level:
                layers.append((*self.level_at, palette.levels[self.level]))
        layers += matches
        layers = [layer for layer in layers if layer[0] < stop and layer[1] > start]
        if not layers:
            return [Segment(self.text[start:stop], base)] if stop > start else []
        edges = {start, stop}
        for a, b, _ in layers:
            edges.update((max(a, start), min(b, stop)))
        ordered = sorted(edges)
        out: list[Segment] = []
        for a, b in pairwise(ordered):
            style = base
            for low, high, layer_style in layers:
                if low <= a and high >= b:
                    style += layer_style
            out.append(Segment(self.text[a:b], style))
        return out

    def matches(self, pattern: Pattern | None, start: int, stop: int, style: Style) -> list[Layer]:
        """Places of a search that touch the characters from start to stop."""
        if pattern is None:
            return []
        found: list[Layer] = []
        for a, b in pattern.finditer(self.text):
            if a >= stop or len(found) >= 500:
                break
            if b > start:
                found.append((a, b, style))
        return found


@lru_cache(maxsize=512)
def sgr_style(sgr: str, dark: bool) -> Style:
    """The style that SGR parameters such as ``1;31`` mean.

    Backgrounds, blinking and concealing are left out, and so is a colour too near to the ground:
    a log line shall not be able to hide a part of itself.
    """
    codes = [int(code) if code.isdigit() else 0 for code in sgr.split(";")][:32]
    style = Style.null()
    at = 0
    while at < len(codes):
        code = codes[at]
        at += 1
        if code == 0:
            style = Style.null()
        elif code in _ATTRIBUTES:
            style += _ATTRIBUTES[code]
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style += _foreground(Color.from_ansi(code - 30 if code < 90 else code - 82), dark)
        elif code == 39:
            style = style.without_color
        elif code in (38, 48):
            mode, size = codes[at : at + 1], 0
            if mode == [5] and len(codes) > at + 1:
                size = 2
                if code == 38:
                    style += _foreground(Color.from_ansi(codes[at + 1] & 255), dark)
            elif mode == [2] and len(codes) > at + 3:
                size = 4
                if code == 38:
                    red, green, blue = (min(value, 255) for value in codes[at + 1 : at + 4])
                    style += _foreground(Color.from_rgb(red, green, blue), dark)
            at += size or 1
    return style


_ATTRIBUTES = {
    1: Style(bold=True),
    2: Style(dim=True),
    3: Style(italic=True),
    4: Style(underline=True),
    7: Style(reverse=True),
    9: Style(strike=True),
    22: Style(bold=False, dim=False),
    23: Style(italic=False),
    24: Style(underline=False),
    27: Style(reverse=False),
    29: Style(strike=False),
}


def _foreground(color: Color, dark: bool) -> Style:
    if color.number is not None and color.number < 16:  # the terminal's own, made to be read
        near = color.number == 0 if dark else color.number in (7, 15)
    else:
        red, green, blue = color.get_truecolor()
        light = (299 * red + 587 * green + 114 * blue) / 255_000
        near = light < 0.18 if dark else light > 0.85
    return Style.null() if near else Style(color=color)
