"""A form: rows of fields, each with its mistake under it, and what the field at hand takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from opsconsole.tui.load_fields import Field
from opsconsole.tui.widgets.setup_controls import (
    Choice,
    Entry,
    FieldRow,
    Fold,
    control_of,
    key_words,
)

ROOMY = 100
"""Columns from which every field's note stands beside it."""


class _Fields(VerticalScroll, can_focus=False, inherit_bindings=False):
    """Scrolls to the field that has the focus; up and down are the form's."""


class Form(Vertical):
    """Posts :class:`~opsconsole.tui.widgets.setup_controls.Edited` for every change.

    Args:
        fields: All that there may be, in their order.
        fold: The key of the field above which what is seldom needed is folded away.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
    ]
    DEFAULT_CSS = """
    Form { padding: 0 1; }
    Form #fields { height: 1fr; scrollbar-size-vertical: 1; }
    Form.-roomy .note { display: block; }
    Form #note { height: 2; color: $dim; }
    """

    class TicksAsked(Message):
        """The operator wants to tick some of a field's choices."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, fields: Sequence[Field], fold: str, *, id: str) -> None:
        super().__init__(id=id)
        self.rows = {field.key: FieldRow(field) for field in fields}
        self.fold = Fold()
        self.note = Static(id="note")
        self.idle = Content("")
        """The note while no field is being edited."""
        self._fold_at = fold
        self._shown: Mapping[str, Field] = {}
        self._texts: Mapping[str, str] = {}

    def compose(self) -> ComposeResult:
        with _Fields(id="fields"):
            for key, row in self.rows.items():
                if key == self._fold_at:
                    yield self.fold
                yield row
        yield self.note

    def on_resize(self) -> None:
        self.set_class(self.size.width >= ROOMY, "-roomy")

    # What is shown

    def show_fields(self, fields: Sequence[Field], texts: Mapping[str, str]) -> None:
        """Show these fields with what stands in them; the others are hidden."""
        self._shown = {field.key: field for field in fields}
        self._texts = texts
        hidden = [field for field in fields if field.more]
        self.fold.hidden = len(hidden)
        self.fold.said = sum(bool(texts.get(field.key)) for field in hidden)
        self.fold.display = bool(hidden)
        self.fold.refresh()
        for key, row in self.rows.items():
            field = self._shown.get(key)
            row.display = field is not None and (not field.more or self.fold.is_open)
            if field is not None:
                row.show(field, texts.get(key, ""))
        self.show_note()

    def show_default(self, key: str, default: str) -> None:
        """Say what holds while nothing is said, where it depends on the other fields."""
        row, field = self.rows[key], self._shown.get(key)
        if field is not None:
            row.show(field._replace(default=default), self._texts.get(key, ""))

    def show_errors(self, errors: Mapping[str, str]) -> None:
        """Put each mistake at its field; one behind the fold opens it."""
        behind = [key for key in errors if key in self.rows and self.rows[key].field.more]
        if behind and not self.fold.is_open:
            self.fold.is_open = True
            self._again()
        for key, row in self.rows.items():
            row.wrong(errors.get(key, ""))

    def show_note(self) -> None:
        """What the field that is being edited takes, and the keys that work in it."""
        control = control_of(self.screen.focused) if self.is_attached else None
        if control is None:
            self.note.update(self.idle, layout=False)
            return
        moves, start, done = ("↑↓", "fields"), ("^r", "start"), ("esc", "done")
        if isinstance(control, Fold):
            note, keys = "options that are seldom needed", [("enter", "opens"), moves, done]
        else:
            note, keys = self.rows[control.key].field.note, [moves, start, done]
            if isinstance(control, Choice):
                ticks = [("enter", "ticks")] if self._ticks(control.key) else []
                keys = [("← →", "choose"), *ticks, moves, start, done]
        self.note.update(Content(f"{note}\n") + key_words(*keys), layout=False)

    # Keys

    def enter(self) -> None:
        """Begin to edit the first field, the first wrong one if there is one."""
        rows = [row for row in self.rows.values() if row.display]
        first = next((row for row in rows if row.has_class("-wrong")), rows[0])
        # At once: the next key, which may be waiting, is meant for the field.
        self.screen.set_focus(first.control)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.show_note()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        self.show_note()

    def action_move(self, step: int) -> None:
        controls = self._controls()
        here = control_of(self.screen.focused)
        if here in controls:
            at = max(0, min(len(controls) - 1, controls.index(here) + step))
            self.screen.set_focus(controls[at])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_move(1)

    def on_choice_asked(self, event: Choice.Asked) -> None:
        event.stop()
        if self._ticks(event.key):
            self.post_message(self.TicksAsked(event.key))
        else:
            self.action_move(1)

    def on_fold_turned(self, event: Fold.Turned) -> None:
        event.stop()
        self._again()

    def _ticks(self, key: str) -> bool:
        field = self.rows[key].field
        return field.many and len(field.choices) > 1

    def _again(self) -> None:
        self.show_fields(tuple(self._shown.values()), self._texts)

    def _controls(self) -> list[Entry | Choice | Fold]:
        found: list[Entry | Choice | Fold] = []
        for key, row in self.rows.items():
            if key == self._fold_at and self.fold.display:
                found.append(self.fold)
            if row.display:
                found.append(row.control)
        return found
