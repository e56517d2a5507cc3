"""Choosing some of a few."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection


class ChooseScreen(ModalScreen[list[str] | None]):
    """Space ticks, enter takes what is ticked, Esc leaves it as it was."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", show=False),
        Binding("enter", "take", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    ChooseScreen SelectionList { height: auto; max-height: 16; border: none; margin-top: 1;
        background: $panel; padding: 0; }
    ChooseScreen SelectionList:focus { border: none; }
    /* Textual tells ticked and unticked apart by colour alone: an unticked X is made invisible. */
    ChooseScreen SelectionList > .selection-list--button,
    ChooseScreen SelectionList > .selection-list--button-highlighted {
        color: $panel; background: $panel;
    }
    ChooseScreen SelectionList > .selection-list--button-selected,
    ChooseScreen SelectionList > .selection-list--button-selected-highlighted {
        color: $accent; background: $panel; text-style: bold;
    }
    ChooseScreen .keys { color: $dim; margin-top: 1; }
    ChooseScreen .title { text-style: bold; }
    """

    def __init__(self, title: str, selections: list[Selection[str]]) -> None:
        super().__init__()
        self.heading = title
        self.offered = selections

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(self.heading), classes="title")
            yield SelectionList[str](*self.offered, compact=True)
            yield Static(
                Content.assemble(("space", "bold $accent"), " tick   ", ("enter", "bold $accent"),
                                 " take   ", ("esc", "bold $accent"), " cancel"), classes="keys",
            )  # fmt: skip

    def action_take(self) -> None:
        self.dismiss(list(self.query_one(SelectionList).selected))
