"""Asking before something is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from opsconsole.text import clean_line
from opsconsole.tui.running import console_of

_MOST = 4
"""Warnings that are shown."""


class ConfirmScreen(ModalScreen[bool]):
    """Yes or no; or, where it matters most, typing a name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n,N", "answer(False)", show=False),
        Binding("y,Y", "yes", show=False),
    ]
    DEFAULT_CSS = """
    ConfirmScreen Input {
        margin-top: 1; border: none; height: 1; background: $background; padding: 0 1;
    }
    ConfirmScreen .explain { color: $dim; }
    ConfirmScreen .warn { color: $warning; }
    ConfirmScreen .keys { margin-top: 1; }
    """

    def __init__(
        self,
        question: str,
        explain: str,
        typed: str | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.warnings = warnings
        self.question = question
        self.explain = explain
        self.typed = typed

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -danger" if self.typed else "dialog"):
            yield Static(Content.styled(clean_line(self.question, 300), "bold"))
            for warning in self.warnings[:_MOST]:
                shown = f"{console_of(self).symbols.warn} {clean_line(warning, 300)}"
                yield Static(Content(shown), classes="warn")
            if (more := len(self.warnings) - _MOST) > 0:
                yield Static(Content(f"and {more} more"), classes="warn")
            yield Static(Content(clean_line(self.explain, 300)), classes="explain")
            if self.typed is None:
                yield Static(
                    Content.assemble(
                        ("y", "bold $accent"), " yes    ", ("n", "bold $accent"), " no"
                    ),
                    classes="keys",
                )
            else:
                yield Static(
                    Content.assemble("This is production. Type ", (self.typed, "bold"),
                                     " and press enter; esc cancels."), classes="keys",
                )  # fmt: skip
                yield Input(compact=True)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_yes(self) -> None:
        if self.typed is None:
            self.dismiss(True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip() == self.typed:
            self.dismiss(True)
        else:
            event.input.value = ""
            event.input.placeholder = f"not {self.typed}"
