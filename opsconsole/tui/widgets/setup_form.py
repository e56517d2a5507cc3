"""The form of a load test: its fields, each with its mistake under it, and what a field takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from opsconsole.tui.load_draft import Draft
from opsconsole.tui.load_fields import FIELDS, fields_of
from opsconsole.tui.widgets.setup_controls import (
    Choice,
    Edited,
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


class SetupForm(Vertical):
    """The fields of one draft; posts :class:`Edited` for every change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
    ]
    DEFAULT_CSS = """
    SetupForm { padding: 0 1; border-left: solid $rule; }
    SetupForm #fields { height: 1fr; scrollbar-size-vertical: 1; }
    SetupForm.-roomy .note { display: block; }
    SetupForm #note { height: 2; color: $dim; }
    """

    class ServersAsked(Message):
        """The operator wants to choose the servers."""

    def __init__(self) -> None:
        super().__init__(id="form")
        self.rows = {field.key: FieldRow(field) for field in FIELDS}
        self.fold = Fold()
        self.note = Static(id="note")
        self._draft: Draft | None = None
        self.idle = Content("")
        self._servers: tuple[str, ...] = ()
        self._defaults: Mapping[str, str] = {}

    def compose(self) -> ComposeResult:
        folded = False
        with _Fields(id="fields"):
            for key, row in self.rows.items():
                if key == "query_tokens":
                    yield self.fold
                    folded = True
                yield row
        assert folded
        yield self.note

    def on_resize(self) -> None:
        self.set_class(self.size.width >= ROOMY, "-roomy")

    # What is shown

    def show(
        self, draft: Draft, defaults: Mapping[str, str], servers: tuple[str, ...], idle: Content
    ) -> None:
        """Show ``draft``.

        Args:
            defaults: What holds for keys of which only the profile can tell.
            servers: The names to choose from.
            idle: The note while no field is being edited.
        """
        self._draft, self._defaults, self._servers, self.idle = draft, defaults, servers, idle
        fields = {field.key: field for field in fields_of(draft.mode, draft.texts)}
        hidden = [field for field in fields.values() if field.more]
        self.fold.hidden = len(hidden)
        self.fold.said = sum(bool(draft.texts.get(field.key)) for field in hidden)
        self.fold.refresh()
        for key, row in self.rows.items():
            field = fields.get(key)
            row.display = field is not None and (not field.more or self.fold.is_open)
            if field is not None:
                choices = servers if key == "servers" else field.choices
                default = defaults.get(key, field.default)
                row.show(field._replace(choices=choices, default=default), draft.texts.get(key, ""))
        self.show_note()

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
        moves, done = ("↑↓", "fields"), ("esc", "done")
        if isinstance(control, Fold):
            note, keys = "options that are seldom needed", [("enter", "opens"), moves, done]
        else:
            note, keys = self.rows[control.key].field.note, [moves, ("^r", "start"), done]
            if isinstance(control, Choice):
                ticks = [("enter", "ticks")] if control.key == "servers" else []
                keys = [("← →", "choose"), *ticks, moves, done]
        self.note.update(Content(f"{note}\n") + key_words(*keys), layout=False)

    # Keys

    def enter(self) -> None:
        """Begin to edit the first field, the first wrong one if there is one."""
        rows = [row for row in self.rows.values() if row.display]
        first = next((row for row in rows if row.has_class("-wrong")), rows[0])
        first.control.focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.show_note()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        self.show_note()

    def action_move(self, step: int) -> None:
        controls = self._controls()
        here = control_of(self.screen.focused)
        if here in controls:
            controls[max(0, min(len(controls) - 1, controls.index(here) + step))].focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_move(1)

    def on_choice_asked(self, event: Choice.Asked) -> None:
        event.stop()
        if event.key == "servers" and len(self._servers) > 1:
            self.post_message(self.ServersAsked())
        else:
            self.action_move(1)

    def on_fold_turned(self, event: Fold.Turned) -> None:
        event.stop()
        self._again()

    def on_edited(self, event: Edited) -> None:
        if self._draft is not None:
            self._draft.texts[event.key] = event.text

    def _again(self) -> None:
        if self._draft is not None:
            self.show(self._draft, self._defaults, self._servers, self.idle)

    def _controls(self) -> list[Entry | Choice | Fold]:
        found: list[Entry | Choice | Fold] = []
        for key, row in self.rows.items():
            if key == "query_tokens":
                found.append(self.fold)
            if row.display:
                found.append(row.control)
        return found
