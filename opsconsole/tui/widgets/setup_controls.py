"""What a form's row consists of: a text to type, or a choice among few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from opsconsole.text import clean_line
from opsconsole.tui.load_fields import Field


def key_words(*keys: tuple[str, str]) -> Content:
    """Keys and what they do, in one line."""
    parts: list[str | tuple[str, str]] = []
    for key, does in keys:
        parts += ["   " if parts else "", (key, "bold $accent"), (f" {does}", "$dim")]
    return Content.assemble(*parts)


class Edited(Message):
    """The operator changed a field."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__()
        self.key = key
        self.text = text


class Entry(Input):
    """A line of text; its key is the row's."""

    def __init__(self, key: str) -> None:
        super().__init__(compact=True)
        self.key = key

    @property
    def words(self) -> str:
        """What is typed."""
        return self.value


def _is_letter(event: events.Key) -> bool:
    """Whether a key would be a letter in a field of text, and is to be no command beside one."""
    return event.is_printable and event.key != "space"


class Choice(Static, can_focus=True):
    """One of few; left and right go through them, a letter goes to the next that begins with it,
    enter asks where there is more to choose."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
        Binding("backspace,delete", "clear", show=False),
        Binding("enter", "ask", show=False),
    ]

    class Asked(Message):
        """Enter was pressed."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.choices: Sequence[str] = ()
        self.default = ""
        self.words = ""

    def show(self, words: str, choices: Sequence[str], default: str) -> None:
        """Show ``words``; nothing said means ``default``."""
        self.words, self.choices, self.default = words, choices, default
        self.refresh()

    def render(self) -> Content:
        colors = self.app.theme_variables
        shown = clean_line(self.words or self.default, 200)
        arrow = colors["accent"] if self.has_focus else colors["dim"]
        said = colors["foreground"] if self.words else colors["dim"]
        return Content.assemble(("‹ ", arrow), (shown, said), (" ›", arrow))

    def on_key(self, event: events.Key) -> None:
        # As in a field of text, a letter or a digit is no key of the console here.
        if _is_letter(event):
            event.stop()
            self._jump((event.character or "").lower())

    def action_turn(self, step: int) -> None:
        if not self.choices:
            return
        at = self._place(-1 if step > 0 else 0)
        self._choose(self.choices[(at + step) % len(self.choices)])

    def _jump(self, letter: str) -> None:
        at = self._place(-1) + 1
        later = [*self.choices[at:], *self.choices[:at]]
        found = next((choice for choice in later if choice.lower().startswith(letter)), None)
        if found is not None:
            self._choose(found)

    def _place(self, otherwise: int) -> int:
        now = self.words or self.default
        return self.choices.index(now) if now in self.choices else otherwise

    def _choose(self, choice: str) -> None:
        self._take("" if choice == self.default else choice)

    def action_clear(self) -> None:
        self._take("")

    def on_click(self) -> None:
        self.action_turn(1)

    def action_ask(self) -> None:
        self.post_message(self.Asked(self.key))

    def _take(self, words: str) -> None:
        self.words = words
        self.refresh()
        self.post_message(Edited(self.key, words))


class FieldRow(Vertical):
    """Label, control, and under them what is wrong."""

    DEFAULT_CSS = """
    FieldRow { height: auto; padding-right: 1; }
    FieldRow > Horizontal { height: 1; }
    FieldRow .label { width: 12; color: $dim; }
    FieldRow.-here .label { color: $accent; text-style: bold; }
    FieldRow Entry { width: 1fr; height: 1; border: none; padding: 0; background: $panel;
        color: $foreground; }
    FieldRow Entry:focus { border: none; background: $cursor; }
    FieldRow Entry > .input--placeholder { color: $dim; }
    FieldRow Choice { width: 1fr; height: 1; background: $panel; }
    FieldRow Choice:focus { background: $cursor; }
    FieldRow .note { width: 44; color: $dim; display: none; padding-left: 2; }
    FieldRow .error { height: auto; color: $error; padding-left: 12; display: none; }
    FieldRow.-wrong .error { display: block; }
    FieldRow.-wrong .label { color: $error; }
    """

    def __init__(self, field: Field) -> None:
        super().__init__(id=f"field-{field.key.replace('_', '-')}")
        self.field = field
        is_choice = bool(field.choices) or field.many
        self.control: Entry | Choice = Choice(field.key) if is_choice else Entry(field.key)
        self._label = Static(field.label, classes="label", markup=False)
        self._note = Static(field.note, classes="note", markup=False)
        self._error = Static(classes="error")

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield self._label
            yield self.control
            yield self._note
        yield self._error

    def show(self, field: Field, text: str) -> None:
        """Show what is said, and what holds when nothing is."""
        if field.note != self.field.note:
            self._note.update(Content(field.note), layout=False)
        self.field = field
        control = self.control
        if isinstance(control, Choice):
            control.show(text, field.choices, field.default)
            return
        control.placeholder = clean_line(field.default, 60)
        if control.value != text:
            with control.prevent(Input.Changed):
                control.value = text
            control.cursor_position = len(text)

    def wrong(self, message: str) -> None:
        """Say what is wrong with it; empty: nothing is."""
        self.set_class(bool(message), "-wrong")
        if message:
            self._error.update(Content(f"× {message}"))

    def on_descendant_focus(self) -> None:
        self.add_class("-here")

    def on_descendant_blur(self) -> None:
        self.remove_class("-here")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value.isspace():
            event.input.value = ""  # blanks say nothing, and would hide what then holds
            return
        self.post_message(Edited(self.field.key, event.value))


class Fold(Static, can_focus=True):
    """A line that shows or hides what is needed less often."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space,right,left", "turn", show=False),
    ]
    DEFAULT_CSS = """
    Fold { height: 1; color: $dim; }
    Fold:focus { background: $cursor; color: $accent; text-style: bold; }
    """

    class Turned(Message):
        """The fold was opened or closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False
        self.hidden = 0
        self.said = 0

    def render(self) -> Content:
        if self.is_open:
            return Content("▾ less")
        said = f", {self.said} of them set" if self.said else ""
        options = "1 option" if self.hidden == 1 else f"{self.hidden} options"
        return Content(f"▸ more: {options}{said}")

    def on_key(self, event: events.Key) -> None:
        if _is_letter(event):
            event.stop()

    def on_click(self) -> None:
        self.action_turn()

    def action_turn(self) -> None:
        self.is_open = not self.is_open
        self.refresh()
        self.post_message(self.Turned())


def control_of(widget: Widget | None) -> Entry | Choice | Fold | None:
    """The form's control that ``widget`` is."""
    return widget if isinstance(widget, Entry | Choice | Fold) else None
