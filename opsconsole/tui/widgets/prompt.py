"""The line at the bottom that takes a command (``:``) or a filter (``/``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.suggester import Suggester
from textual.widgets import Input, Static


class _Completion(Suggester):
    """Completes the word being typed from what the app offers."""

    def __init__(self, offer: Callable[[str], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=False)
        self.offer = offer

    async def get_suggestion(self, value: str) -> str | None:
        return next((c for c in self.offer(value) if c.lower().startswith(value.lower())), None)


class Prompt(Horizontal):
    """One line of input over the footer. Enter submits, Esc cancels; Tab or → completes."""

    DEFAULT_CSS = """
    Prompt { dock: bottom; height: 1; background: $panel; display: none; layer: above; }
    Prompt.-open { display: block; }
    Prompt > Static { width: auto; color: $accent; text-style: bold; background: $panel; }
    Prompt > Input {
        width: 1fr; height: 1; border: none; padding: 0; background: $panel;
        color: $foreground;
    }
    Prompt > Input:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("tab", "complete", show=False, priority=True),
        Binding("up", "older", show=False),
        Binding("down", "newer", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._submit: Callable[[str], None] | None = None
        self._change: Callable[[str], None] | None = None
        self._history: dict[str, list[str]] = {}
        self._lead = ""
        self._back = 0

    def compose(self) -> ComposeResult:
        yield Static(":", markup=False)
        yield Input(compact=True, select_on_focus=False)

    @property
    def is_open(self) -> bool:
        """Whether the operator is typing here."""
        return self.has_class("-open")

    def ask(
        self,
        lead: str,
        submit: Callable[[str], None],
        *,
        value: str = "",
        change: Callable[[str], None] | None = None,
        offer: Callable[[str], Sequence[str]] | None = None,
    ) -> None:
        """Open the line.

        Args:
            lead: What stands before it, such as ``:`` or ``filter /``.
            submit: Called with the text on Enter.
            value: What is already typed.
            change: Called on every change; with the old value when cancelled.
            offer: Completions for what is typed so far.
        """
        field = self.query_one(Input)
        self.query_one(Static).update(f" {lead}")
        self._lead, self._back = lead, 0
        self._submit, self._change = submit, change
        self._before = value
        field.suggester = _Completion(offer) if offer else None
        with field.prevent(Input.Changed):
            field.value = value
        field.cursor_position = len(value)
        self.add_class("-open")
        self._focused = self.screen.focused
        field.focus()

    def close(self) -> None:
        """Close the line and give the focus back."""
        self.remove_class("-open")
        back = self._focused
        if back is not None and back.is_attached:
            back.focus()
        else:
            self.screen.set_focus(None)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open and self._change is not None:
            self._change(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        submit, value = self._submit, event.value
        past = self._history.setdefault(self._lead, [])
        if value and value not in past[-1:]:
            past.append(value)
            del past[:-100]
        self.close()
        if submit is not None:
            submit(value)

    def action_cancel(self) -> None:
        if self._change is not None:
            self._change(self._before)
        self.close()

    def action_complete(self) -> None:
        self.query_one(Input).action_cursor_right()

    def action_older(self) -> None:
        self._recall(1)

    def action_newer(self) -> None:
        self._recall(-1)

    def _recall(self, step: int) -> None:
        past = self._history.get(self._lead, [])
        self._back = max(0, min(len(past), self._back + step))
        field = self.query_one(Input)
        field.value = past[-self._back] if self._back else ""
        field.cursor_position = len(field.value)
