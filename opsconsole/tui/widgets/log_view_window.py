"""Which rows of a log are on the screen: following, paused, moved; without any drawing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from opsconsole.logs import LineIndex, LogBuffer

Row = tuple[int, int]
"""A line by its absolute number, and which of its wrapped rows."""


class LogWindow:
    """The part of a buffer that a viewport shows.

    It is anchored at an absolute line, so that while paused nothing moves when lines come in at
    one end and go at the other. Following keeps the last row at the bottom.

    Args:
        buffer: All lines.
        rows_of: Rows that a line takes; more than one when wrapped.
    """

    def __init__(self, buffer: LogBuffer, rows_of: Callable[[int], int]) -> None:
        self.buffer = buffer
        self.index: LineIndex | None = None
        """The lines that a filter shows; None shows all."""
        self.height = 1
        self.following = True
        self.cursor: int | None = None
        """The current line while paused."""
        self.visible: list[Row] = []
        """The rows of the last :meth:`layout`, top first."""
        self._rows_of = rows_of
        self._top: Row = (buffer.first, 0)
        self._paused_end = 0

    # the shown lines as a sequence

    @property
    def count(self) -> int:
        """How many lines are shown after the filter."""
        return len(self.buffer) if self.index is None else len(self.index)

    def number_at(self, position: int) -> int:
        """Absolute number of the line at a position among those shown."""
        if self.index is None:
            return self.buffer.first + position
        return self.index.numbers[position]

    def position_of(self, number: int) -> int:
        """Position of a line, or of the first one shown after it."""
        if self.index is None:
            return min(max(number - self.buffer.first, 0), len(self.buffer))
        return bisect_left(self.index.numbers, number)

    @property
    def new_lines(self) -> int:
        """Shown lines that came since the pause."""
        return 0 if self.following else self.count - self.position_of(self._paused_end)

    # layout

    def layout(self) -> list[Row]:
        """Work out the visible rows anew."""
        self._has_lines()
        if self.following:
            self.visible = self._rows_to_end()
        else:
            position = self.position_of(self._top[0])
            exact = position < self.count and self.number_at(position) == self._top[0]
            rows = self._rows_from(position, self._top[1] if exact else 0)
            # near the end, or while a filter is still being worked out
            self.visible = rows if len(rows) >= self.height else self._rows_to_end()
        return self.visible

    def _has_lines(self) -> bool:
        """Whether any line is shown; lines that the buffer has dropped meanwhile do not count."""
        if self.index is not None:
            self.index.evict()
        return self.count > 0

    def _rows_from(self, position: int, row: int) -> list[Row]:
        rows: list[Row] = []
        while position < self.count and len(rows) < self.height:
            number = self.number_at(position)
            rows += [(number, r) for r in range(row, max(self._rows_of(number), row + 1))]
            position, row = position + 1, 0
        return rows[: self.height]

    def _rows_to_end(self) -> list[Row]:
        rows: list[Row] = []
        position = self.count - 1
        while position >= 0 and len(rows) < self.height:
            number = self.number_at(position)
            rows += [(number, r) for r in reversed(range(self._rows_of(number)))]
            position -= 1
        return rows[: self.height][::-1]

    def _back(self, position: int, row: int, rows: int) -> Row:
        """The row that stands ``rows`` above a row, or the first of all."""
        while rows > row:
            if position == 0:
                return (self.number_at(0), 0)
            rows -= row + 1
            position -= 1
            row = self._rows_of(self.number_at(position)) - 1
        return (self.number_at(position), row - rows)

    def _forward(self, position: int, row: int, rows: int) -> Row | None:
        """The row that stands ``rows`` below a row; None past the last."""
        while True:
            left = self._rows_of(self.number_at(position)) - row - 1
            if rows <= left:
                return (self.number_at(position), row + rows)
            rows -= left + 1
            position, row = position + 1, 0
            if position >= self.count:
                return None

    # movement

    @property
    def current(self) -> int:
        """The line that jumps start from: the cursor, or the last line while following."""
        if self.cursor is not None and not self.following:
            return self.cursor
        return self.buffer.end - 1

    @property
    def at_first(self) -> bool:
        """Whether the first line there is stands at the top."""
        return not self._has_lines() or (
            bool(self.visible) and self.visible[0] == (self.number_at(0), 0)
        )

    def pause(self) -> None:
        """Stop following; what is visible stays."""
        if self.following and self._has_lines():
            if not self.visible:
                self.layout()
            self.following = False
            self._top = self.visible[0]
            self._paused_end = self.buffer.end
            self.cursor = self.visible[-1][0]

    def follow(self) -> None:
        """Show the end, and keep showing it."""
        self.following = True
        self.cursor = None

    def move(self, lines: int) -> None:
        """Move the cursor; past the last line is following."""
        if not self._has_lines() or (self.following and lines > 0):
            return
        self.pause()
        position = self._cursor_position() + lines
        if position >= self.count:
            self.follow()
        else:
            self.cursor = self.number_at(max(0, position))
            self._reveal(self.cursor)

    def scroll(self, rows: int) -> None:
        """Move the viewport, the cursor only as far as it must stay visible."""
        if not self._has_lines() or (self.following and rows > 0):
            return
        self.pause()
        self._shift(rows)
        if not self.following:
            seen = self.layout()
            cursor = seen[0][0] if self.cursor is None else self.cursor
            self.cursor = min(max(cursor, seen[0][0]), seen[-1][0])

    def page(self, pages: float) -> None:
        """Move viewport and cursor together, by a part of the height."""
        rows = round(pages * self.height) or (1 if pages > 0 else -1)
        if not self._has_lines() or (self.following and rows > 0):
            return
        self.pause()
        position = self._cursor_position()
        self._shift(rows)
        if not self.following:
            moved = max(0, min(self.count - 1, position + rows))
            seen = self.layout()
            self.cursor = min(max(self.number_at(moved), seen[0][0]), seen[-1][0])
            if rows < 0 and self.at_first:
                self.cursor = self.number_at(moved)

    def to_first(self) -> None:
        """Go to the first line."""
        if self._has_lines():
            self.pause()
            self.cursor = self.number_at(0)
            self._top = (self.cursor, 0)

    def go_to(self, number: int) -> None:
        """Put the cursor on a line, or the next one shown; far away, it comes to the middle."""
        if not self._has_lines():
            return
        self.pause()
        position = min(self.position_of(number), self.count - 1)
        self.cursor = self.number_at(position)
        if self.cursor not in {line for line, _ in self.layout()}:
            self._top = self._back(position, 0, self.height // 2)

    def settle(self) -> bool:
        """Put a cursor whose line is not shown any more on the next one; says whether it was."""
        if self.following or self.cursor is None or not self._has_lines():
            return False
        before, self.cursor = self.cursor, self.number_at(self._cursor_position())
        return self.cursor != before

    def scroll_to_position(self, position: int) -> None:
        """Put the line at a position at the top, as a dragged scrollbar asks."""
        if not self._has_lines():
            return
        if position >= self.position_of(self._rows_to_end()[0][0]):
            self.follow()
            return
        self.pause()
        self._top = (self.number_at(max(0, position)), 0)
        self.scroll(0)

    def top_positions(self) -> tuple[int, int]:
        """Position of the top line, and the one it has when the end is reached."""
        if not self.visible or not self._has_lines():
            return 0, 0
        end = self._rows_to_end()
        return self.position_of(self.visible[0][0]), self.position_of(end[0][0])

    def _cursor_position(self) -> int:
        cursor = self.visible[-1][0] if self.cursor is None else self.cursor
        return min(self.position_of(cursor), self.count - 1)

    def _shift(self, rows: int) -> None:
        number, row = self.layout()[0]
        position = self.position_of(number)
        if rows <= 0:
            self._top = self._back(position, row, -rows)
            return
        top, end = self._forward(position, row, rows), self._rows_to_end()[0]
        if top is None or top >= end:
            self.follow()
        else:
            self._top = top

    def _reveal(self, number: int) -> None:
        seen = self.layout()
        position = self.position_of(number)
        if number < seen[0][0] or (number == seen[0][0] and seen[0][1] > 0):
            self._top = (number, 0)
        elif (number, self._rows_of(number) - 1) > seen[-1]:
            rows = self._rows_of(number)
            self._top = self._back(position, rows - 1, self.height - 1)
            if rows > self.height:
                self._top = (number, 0)
