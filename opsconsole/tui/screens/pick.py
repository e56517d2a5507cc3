"""Choosing one of a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from opsconsole.text import clean_line
from opsconsole.tui.running import console_of
from opsconsole.tui.widgets.table import Cell, Column, Row, Table

MOST_ROWS = 14


class PickScreen(ModalScreen[str | None]):
    """Enter takes the one under the cursor, Esc none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", show=False),
        Binding("enter", "take", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    PickScreen .dialog { width: 76; }
    PickScreen Table { margin-top: 1; background: $panel; }
    PickScreen .keys { color: $dim; margin-top: 1; }
    PickScreen .title { text-style: bold; }
    """

    def __init__(
        self, title: str, heads: tuple[str, str], options: Sequence[tuple[str, str, str]]
    ) -> None:
        """``options``: key, what is chosen, what is to be known of it."""
        super().__init__()
        self.heading = clean_line(title, 200)
        widest = max((len(option[1]) for option in options), default=8)
        self.table = Table(
            (
                Column("what", heads[0], max(8, min(40, widest))),
                Column("note", heads[1], 20, flex=True),
            )
        )
        self.options = options

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(self.heading), classes="title")
            yield self.table
            yield Static(
                Content.assemble(
                    ("enter", "bold $accent"), " take   ", ("esc", "bold $accent"), " cancel"
                ),
                classes="keys",
            )

    def on_mount(self) -> None:
        self.table.pointer = ">" if console_of(self).symbols.plain else "▌"
        self.table.styles.height = min(MOST_ROWS, len(self.options) + 1)
        self.table.show(
            [
                Row(key, {"what": Cell(clean_line(what, 60)), "note": Cell(note, "dim")})
                for key, what, note in self.options
            ]
        )
        self.table.focus()

    def on_table_opened(self, event: Table.Opened) -> None:
        self.action_take()

    def action_take(self) -> None:
        self.dismiss(self.table.cursor)
