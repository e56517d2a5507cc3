"""A page of foreign text over everything: a raw answer, a description, a verdict."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from opsconsole.text import clean
from opsconsole.tui.running import console_of

LIMIT = 200_000


class PageScreen(ModalScreen[None]):
    """Scrolls; ``c`` copies; Esc closes. The text is cleaned here, whatever it was."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", show=False),
        Binding("c", "copy", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown,space,ctrl+d", "scroll(15)", show=False),
        Binding("pageup,ctrl+u", "scroll(-15)", show=False),
        Binding("home,g", "scroll(-1000000)", show=False),
        Binding("end,G", "scroll(1000000)", show=False),
    ]
    DEFAULT_CSS = """
    PageScreen .page { width: 96; max-width: 96%; height: auto; max-height: 92%;
        background: $panel; border-left: outer $accent; padding: 1 2; }
    PageScreen VerticalScroll { height: auto; max-height: 100%; background: $panel;
        scrollbar-size-vertical: 1; margin: 1 0; }
    PageScreen .title { text-style: bold; height: 1; }
    PageScreen .keys { dock: bottom; color: $dim; height: 1; }
    """

    def __init__(self, title: str, text: str | Text) -> None:
        super().__init__()
        self.heading = clean(title)
        self.body: Text | str
        if isinstance(text, Text):
            self.body = text
        else:
            shown = clean(text[: 2 * LIMIT])
            self.body = shown if len(shown) <= LIMIT else shown[:LIMIT] + "\n… cut here"

    def compose(self) -> ComposeResult:
        with Vertical(classes="page"):
            yield Static(Content(self.heading), classes="title")
            with VerticalScroll(can_focus=False):
                yield Static(self.body if isinstance(self.body, Text) else Content(self.body))
            yield Static(
                Content.assemble(
                    ("esc", "bold $accent"), " close   ", ("c", "bold $accent"), " copy"
                ),
                classes="keys",
            )

    @property
    def text_width(self) -> int:
        """Cells of a line of the text, beside the frame, the bar and a blank before it."""
        return min(96, self.app.size.width * 96 // 100) - 7

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_copy(self) -> None:
        console_of(self).copy(str(self.body), "the page")
