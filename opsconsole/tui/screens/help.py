"""Every key and command, from the registry."""

from __future__ import annotations

import textwrap

from rich.text import Text
from textual.widgets import Static

from opsconsole.actions import Action, Scope, in_scope
from opsconsole.tui.running import console_of
from opsconsole.tui.screens.base import command_name
from opsconsole.tui.screens.page import PageScreen

_TITLES = {
    Scope.CONSOLE: "Everywhere",
    Scope.SERVER: "Servers",
    Scope.FLEET: "Servers: all at once",
}
"""Where the name of the scope says less."""
_SCOPES = (Scope.CONSOLE, *(scope for scope in Scope if scope is not Scope.CONSOLE))
_REFUSED = " (refused: read-only)"
_INDENT = 26
_LEAST = 24
"""Cells of the words beside the keys; where there is less room, they go below."""


class HelpScreen(PageScreen):
    """The help page."""

    def __init__(self) -> None:
        super().__init__("Keys and commands", Text())

    def on_mount(self) -> None:
        self._fill()

    def on_resize(self) -> None:
        self._fill()

    def _fill(self) -> None:
        self.body = self._text(self.text_width)
        self.query_one("VerticalScroll > Static", Static).update(self.body)

    def _text(self, width: int) -> Text:
        colors = console_of(self).theme_variables
        text = Text()
        for line in (
            "Lower-case keys never change a server; upper-case and ctrl keys may.",
            "Every command can be typed after : and found with ^p.",
        ):
            text.append("\n".join(textwrap.wrap(line, max(10, width))) + "\n", colors["dim"])
        for scope in _SCOPES:
            if actions := in_scope(scope):
                title = _TITLES.get(scope, scope.capitalize())
                text.append(f"\n{title}\n", f"bold {colors['bright']}")
            for action in actions:
                self._action(text, action, width)
        text.append("\nTables\n", f"bold {colors['bright']}")
        text.append("  j k g G ↑ ↓ PgUp PgDn move, space marks, click selects\n")
        return text

    def _action(self, text: Text, action: Action, width: int) -> None:
        """A key, its command and, in a column of their own, the words about it."""
        app = console_of(self)
        colors = app.theme_variables
        refused = action.mutates and app.read_only
        text.append(f"  {action.key_label:<6}", "" if refused else f"bold {colors['accent']}")
        text.append(f" :{command_name(action):<16}", colors["dim"])
        words = action.help + (_REFUSED if refused else "")
        beside = width - _INDENT >= _LEAST
        indent = _INDENT if beside else 4
        lines = textwrap.wrap(words, max(10, width - indent))
        shown = Text(("" if beside else f"\n{' ' * indent}") + f"\n{' ' * indent}".join(lines))
        if refused:
            shown.highlight_words(("(refused:", "read-only)"), colors["warning"])
        text.append_text(shown)
        text.append("\n")
