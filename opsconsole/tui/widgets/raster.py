"""Lines from numbers: decimation that keeps peaks, and a canvas of braille, blocks or ASCII."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

SymbolSet = Literal["braille", "block", "ascii"]


class Bin(NamedTuple):
    """What falls into one column: the envelope of its values, and whether the line goes on."""

    first: float
    low: float
    high: float
    last: float
    from_left: bool
    """No gap between this and the value before."""


def envelope(
    times: Sequence[float],
    values: Sequence[float | None],
    start: float,
    stop: float,
    columns: int,
) -> list[Bin | None]:
    """Lowest and highest value of each column of a time span, so that no peak is lost.

    Args:
        times: Ascending seconds.
        values: One for each time; None is a gap. All finite.
        start: Time of the left edge.
        stop: Time of the right edge, itself included.
        columns: How many columns the span is cut into.
    """
    bins: list[Bin | None] = [None] * columns
    step = (stop - start) / columns
    low = bisect_left(times, start)
    end = bisect_right(times, stop)
    joined = False
    for column in range(columns):
        high = end
        if column < columns - 1:
            high = bisect_left(times, start + (column + 1) * step, low, end)
        if high == low:
            continue
        chunk = values[low:high]
        low = high
        if None in chunk:
            known = [value for value in chunk if value is not None]
            if known:
                joined = joined and chunk[0] is not None
                bins[column] = Bin(known[0], min(known), max(known), known[-1], joined)
            joined = chunk[-1] is not None
        else:
            whole: list[float] = chunk  # type: ignore[assignment]
            bins[column] = Bin(whole[0], min(whole), max(whole), whole[-1], joined)
            joined = True
    return bins


class _Symbols(NamedTuple):
    """Dots in a cell, and the characters for their bit patterns."""

    across: int
    down: int
    bits: tuple[tuple[int, ...], ...]
    """Bit of each dot by column and row of the cell."""
    chars: tuple[str, ...]


_SYMBOLS: dict[SymbolSet, _Symbols] = {
    "braille": _Symbols(
        2,
        4,
        ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)),
        (" ", *(chr(0x2800 + bits) for bits in range(1, 256))),
    ),
    "block": _Symbols(1, 2, ((1, 2),), (" ", "▀", "▄", "█")),
    "ascii": _Symbols(1, 1, ((1,),), (" ", "*", "|", ":")),
}
MARKERS = "*+xo@%"
"""What the series are drawn with in ASCII, in order."""
DASHES = {
    "braille": ("1", "111100", "100", "11110100"),
    "block": ("1", "1110", "10", "11010"),
    "ascii": ("1", "1", "1", "1"),
}
"""Which dot columns a flat stretch of each series leaves out, in order."""
EIGHTHS = " ▁▂▃▄▅▆▇█"
_LEAST = 1e-200  # a range below this cannot be divided by


class Canvas:
    """Cells on which series are drawn as dots; a later series covers an earlier one.

    Args:
        width: Cells across.
        height: Cells down.
        symbols: The characters to draw with.
    """

    def __init__(self, width: int, height: int, symbols: SymbolSet = "braille") -> None:
        self.width = width
        self.height = height
        self.symbols: SymbolSet = symbols
        self._set = _SYMBOLS[symbols]
        self._bits = [bytearray(width) for _ in range(height)]
        self._owner = [bytearray(width) for _ in range(height)]
        self._masks = _span_masks(self._set)

    @property
    def columns(self) -> int:
        """Dots across: how many columns an :func:`envelope` for this canvas has."""
        return self.width * self._set.across

    @property
    def dots_down(self) -> int:
        """Dots down."""
        return self.height * self._set.down

    def row_of(self, value: float, low: float, high: float) -> int:
        """The cell row in which a value stands."""
        return self._dot(value, low, high) // self._set.down

    def _dot(self, value: float, low: float, high: float) -> int:
        last = self.dots_down - 1
        share = (value - low) / (high - low) if high - low > _LEAST else 0.0
        return last - int(min(1.0, max(0.0, share)) * last + 0.5)

    def line(self, series: int, bins: Sequence[Bin | None], low: float, high: float) -> None:
        """Draw series number ``series``, from 0, as a line; gaps stay gaps.

        Flat stretches get the dashes of the series; where it rises or falls it is whole, so that
        a peak is never left out.
        """
        dashes = DASHES[self.symbols][series % len(DASHES[self.symbols])]
        period, final = len(dashes), len(bins) - 1
        last = self.dots_down - 1
        factor = last / (high - low) if high - low > _LEAST else 0.0

        def dot(value: float) -> int:
            return min(last, max(0, last - int((value - low) * factor + 0.5)))

        before: Bin | None = None
        column_before = top_before = bottom_before = 0
        for column, found in enumerate(bins):
            if found is None:
                continue
            top = bottom = dot(found.high)
            if found.low != found.high:
                bottom = dot(found.low)
            data_top, data_bottom = top, bottom
            if before is not None and found.from_left:
                if column - column_before > 1:
                    start, stop = dot(before.last), dot(found.first)
                    top_before = bottom_before = start
                    for x in range(column_before + 1, column):
                        y = start + round(
                            (stop - start) * (x - column_before) / (column - column_before)
                        )
                        a, b = _joined(y, y, top_before, bottom_before)
                        top_before = bottom_before = y
                        if b - a > 1 or dashes[x % period] == "1":
                            self._span(series, x, a, b)
                top, bottom = _joined(top, bottom, top_before, bottom_before)
            if (
                bottom - top > 1
                or dashes[column % period] == "1"
                or (not found.from_left and (column == final or bins[column + 1] is None))
            ):
                self._span(series, column, top, bottom)
            before = found
            column_before, top_before, bottom_before = column, data_top, data_bottom

    def area(self, series: int, bins: Sequence[Bin | None], low: float, high: float) -> None:
        """Draw series number ``series`` filled from its highest value down to the bottom."""
        if self.symbols == "block":
            self._area_of_eighths(series, bins, low, high)
            return
        if self.symbols == "ascii":
            for column, found in enumerate(bins):
                if found is not None:
                    top = self._dot(found.high, low, high)
                    for row in range(top, self.height):
                        self._bits[row][column] = 1 if row == top else 3
                        self._owner[row][column] = series + 1
            return
        for column, found in enumerate(bins):
            if found is not None:
                self._span(series, column, self._dot(found.high, low, high), self.dots_down - 1)

    def _area_of_eighths(
        self, series: int, bins: Sequence[Bin | None], low: float, high: float
    ) -> None:
        for column, found in enumerate(bins):
            if found is None:
                continue
            share = (found.high - low) / (high - low) if high - low > _LEAST else 0.0
            eighths = max(1, round(min(1.0, max(0.0, share)) * self.height * 8))
            for row in range(self.height):
                filled = min(8, eighths - 8 * (self.height - 1 - row))
                if filled > 0:
                    self._bits[row][column] = 3 + filled
                    self._owner[row][column] = series + 1

    def _span(self, series: int, column: int, top: int, bottom: int) -> None:
        """Set the dots from ``top`` to ``bottom`` of a dot column."""
        down = self._set.down
        cell, side = divmod(column, self._set.across)
        masks, owner = self._masks[side], series + 1
        first, last = top // down, bottom // down
        if self.symbols == "ascii":
            for row in range(first, last + 1):
                self._bits[row][cell] = 2 if first < row < last else 1
                self._owner[row][cell] = owner
            return
        for row in range(first, last + 1):
            begin = top - row * down if row == first else 0
            end = bottom - row * down if row == last else down - 1
            bits = self._bits[row]
            owners = self._owner[row]
            if down == 2 and owners[cell] != owner:
                bits[cell] = 0  # blocks fill the cell, and a cell has one colour
            bits[cell] |= masks[begin][end]
            owners[cell] = owner

    def rows(self) -> Iterator[list[tuple[str, int]]]:
        """The cell rows from the top, each as runs of text and the series it belongs to, or -1."""
        blank = [(" " * self.width, -1)]
        chars = (*self._set.chars, *EIGHTHS[1:]) if self.symbols == "block" else self._set.chars
        for bits, owners in zip(self._bits, self._owner, strict=True):
            if not any(owners):
                yield blank
                continue
            text = "".join([chars[value] for value in bits])
            runs: list[tuple[str, int]] = []
            at = 0
            for owner, group in groupby(owners):
                size = len(list(group))
                piece = text[at : at + size]
                if self.symbols == "ascii" and owner:
                    piece = piece.replace("*", MARKERS[(owner - 1) % len(MARKERS)])
                runs.append((piece, owner - 1))
                at += size
            yield runs


def _joined(top: int, bottom: int, top_before: int, bottom_before: int) -> tuple[int, int]:
    """A span made longer until it touches the one before it."""
    if top > bottom_before + 1:
        return bottom_before + 1, bottom
    if bottom < top_before - 1:
        return top, top_before - 1
    return top, bottom


def _span_masks(symbols: _Symbols) -> list[list[list[int]]]:
    """Bits of the dots from row a to row b, by side of the cell, a and b."""
    return [
        [
            [sum(side[row] for row in range(a, b + 1)) for b in range(symbols.down)]
            for a in range(symbols.down)
        ]
        for side in symbols.bits
    ]
