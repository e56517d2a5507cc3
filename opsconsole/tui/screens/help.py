"""Every key and command, from the registry."""

from __future__ import annotations

from rich.text import Text

from opsconsole.actions import Scope, in_scope
from opsconsole.tui.running import console_of
from opsconsole.tui.screens.base import command_name
from opsconsole.tui.screens.page import PageScreen

_TITLES = {
    Scope.CONSOLE: "Everywhere",
    Scope.SERVER: "Servers",
    Scope.FLEET: "Servers: all at once",
    Scope.LOGS: "Logs",
    Scope.RERANK: "Rerank",
    Scope.HOST: "Host",
}


class HelpScreen(PageScreen):
    """The help page."""

    def __init__(self) -> None:
        super().__init__("Keys and commands", Text())

    def on_mount(self) -> None:
        from textual.widgets import Static

        app = console_of(self)
        colors = app.theme_variables
        text = Text()
        text.append(
            "Lower-case keys never change a server; upper-case and ctrl keys may.\n"
            "Every command can be typed after : and found with ^p.\n",
            colors["dim"],
        )
        for scope, title in _TITLES.items():
            actions = in_scope(scope)
            if not actions:
                continue
            text.append(f"\n{title}\n", f"bold {colors['bright']}")
            for action in actions:
                refused = action.mutates and app.read_only
                text.append(
                    f"  {action.key_label:<6}", "" if refused else f"bold {colors['accent']}"
                )
                text.append(f" :{command_name(action):<16}", colors["dim"])
                text.append(f" {action.help}")
                if refused:
                    text.append("  (refused: read-only)", colors["warning"])
                text.append("\n")
        text.append("\nTables\n", f"bold {colors['bright']}")
        text.append("  j k g G ↑ ↓ PgUp PgDn move, space marks, click selects\n")
        self.body = text
        self.query_one("VerticalScroll > Static", Static).update(text)
