"""A table that draws only what is seen: its cost does not grow with the number of rows.

Textual's DataTable parses cells as markup and measures every cell; this one takes clean text and
styles, keeps the cursor on the same row key while rows move, and marks rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip


@dataclass(frozen=True)
class Column:
    """A column. ``priority`` 0 is always shown; higher ones go first when space is short."""

    key: str
    title: str
    width: int
    right: bool = False
    priority: int = 0
    flex: bool = False


@dataclass(frozen=True)
class Cell:
    """Clean text and the name of its style (a component class without the prefix)."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Row:
    """A row. Rows without ``selectable`` (a sum line) are passed over by the cursor."""

    key: str
    cells: dict[str, Cell] = field(hash=False)
    selectable: bool = True


STYLES = ("good", "warn", "bad", "accent", "dim", "bright")


class Table(ScrollView, can_focus=True):
    """Rows of cells with a cursor, marks and keys of their own."""

    DEFAULT_CSS = """
    Table {
        background: $background;
        color: $foreground;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
    }
    Table > .table--header { color: $dim; }
    Table > .table--cursor { background: $cursor; }
    Table > .table--good { color: $success; }
    Table > .table--warn { color: $warning; }
    Table > .table--bad { color: $error; }
    Table > .table--accent { color: $accent; }
    Table > .table--dim { color: $dim; }
    Table > .table--bright { color: $bright; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--cursor",
        *(f"table--{name}" for name in STYLES),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("home,g", "edge(-1)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, key: str | None) -> None:
            super().__init__()
            self.key = key

    class Opened(Message):
        """The row under the cursor was double-clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        mark: str = "✓",
        pointer: str = "▌",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.rows: list[Row] = []
        self.marked: set[str] = set()
        self.mark_glyph = mark
        self.pointer = pointer
        self.empty = "nothing to show"
        self._cursor: str | None = None

    @property
    def cursor(self) -> str | None:
        """The key of the row under the cursor."""
        return self._cursor

    @cursor.setter
    def cursor(self, key: str | None) -> None:
        if key != self._cursor:
            self._cursor = key
            self._keep_visible()
            self.refresh()
            self.post_message(self.Moved(key))

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the rows; the cursor stays on its key, or goes to the nearest row."""
        place = self._index()
        if list(rows) == self.rows:
            return
        self.rows = list(rows)
        keys = [row.key for row in self.rows if row.selectable]
        self.marked &= set(keys)
        if self._cursor not in keys:
            self.cursor = keys[min(place, len(keys) - 1)] if keys else None
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        self.refresh()

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor, and go to the next."""
        if self._cursor is not None:
            self.marked ^= {self._cursor}
            self.action_move(1)
            self.refresh()

    def unmark(self) -> None:
        """Unmark all rows."""
        self.marked.clear()
        self.refresh()

    def targets(self) -> list[str]:
        """The keys that an action works on: the marked rows, else the one under the cursor."""
        if self.marked:
            return [row.key for row in self.rows if row.key in self.marked]
        return [self._cursor] if self._cursor is not None else []

    def action_move(self, step: int) -> None:
        keys = self._keys()
        if keys:
            self.cursor = keys[max(0, min(len(keys) - 1, self._index() + step))]

    def action_page(self, direction: int) -> None:
        self.action_move(direction * max(1, self.size.height - 2))

    def action_edge(self, direction: int) -> None:
        keys = self._keys()
        if keys:
            self.cursor = keys[0 if direction < 0 else -1]

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        self._keep_visible()

    def on_click(self, event: events.Click) -> None:
        # The header line stays at the top while rows scroll under it.
        index = int(self.scroll_offset.y) + event.y - 1
        if event.y > 0 and 0 <= index < len(self.rows) and self.rows[index].selectable:
            self.cursor = self.rows[index].key
            if event.chain == 2:
                self.post_message(self.Opened(self.rows[index].key))

    def width_of(self, key: str) -> int:
        """The present width of a column in cells; 0 when it is not shown."""
        return next((width for column, width in self.visible_columns() if column.key == key), 0)

    def visible_columns(self) -> list[tuple[Column, int]]:
        """The columns that fit, with their widths; the flexible ones share what is left."""
        space = self.size.width - 2
        shown = list(self.columns)
        while shown and sum(c.width + 2 for c in shown) > space + 2:
            least = max(c.priority for c in shown)
            if least == 0:
                break
            # The rightmost of the least important goes.
            drop = max(i for i, c in enumerate(shown) if c.priority == least)
            shown.pop(drop)
        rest = max(0, space + 2 - sum(c.width + 2 for c in shown))
        flexible = sum(c.flex for c in shown)
        out = []
        for column in shown:
            extra = rest // flexible if column.flex else 0
            out.append((column, column.width + min(extra, 3 * column.width)))
        return out

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if y == 0:
            return self._strip([(c.title, c, w, "header") for c, w in self.visible_columns()], base)
        index = int(self.scroll_offset.y) + y - 1
        if index >= len(self.rows):
            if not self.rows and y == 1:
                dim = self._style("dim", base)
                return Strip([Segment(set_cell_size(f"  {self.empty}", width), dim)])
            return Strip.blank(width, base)
        row = self.rows[index]
        at_cursor = row.key == self._cursor and row.selectable
        if at_cursor:
            base = base + self.get_component_rich_style("table--cursor", partial=True)
        cells = []
        for column, column_width in self.visible_columns():
            cell = row.cells.get(column.key, Cell(""))
            cells.append((cell.text, column, column_width, cell.style))
        return self._strip(cells, base, row.key in self.marked, at_cursor)

    def _strip(
        self,
        cells: Sequence[tuple[str, Column, int, str]],
        base: Style,
        marked: bool = False,
        at_cursor: bool = False,
    ) -> Strip:
        # The pointer says where the cursor is without colour; the mark stands beside it.
        lead = self.pointer if at_cursor else " "
        segments = [
            Segment(lead, self._style("accent", base)),
            Segment(self.mark_glyph if marked else " ", self._style("accent", base)),
        ]
        for text, column, width, style in cells:
            if cell_len(text) > width:
                text = set_cell_size(text, max(0, width - 1)) + "…"
            pad = max(0, width - cell_len(text))
            text = " " * pad + text if column.right else text + " " * pad
            segments.append(Segment(text, self._style(style, base)))
            segments.append(Segment("  ", base))
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _style(self, name: str, base: Style) -> Style:
        if not name:
            return base
        return base + self.get_component_rich_style(f"table--{name}", partial=True)

    def _keys(self) -> list[str]:
        return [row.key for row in self.rows if row.selectable]

    def _index(self) -> int:
        keys = self._keys()
        return keys.index(self._cursor) if self._cursor in keys else 0

    def _keep_visible(self) -> None:
        at = next((i for i, row in enumerate(self.rows) if row.key == self._cursor), None)
        if at is None or self.size.height < 2:
            return
        top, rows = int(self.scroll_offset.y), self.size.height - 1
        if at < top:
            self.scroll_to(y=at, animate=False)
        elif at >= top + rows:
            self.scroll_to(y=at - rows + 1, animate=False)
