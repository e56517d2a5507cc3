"""The frame of every screen: the header line, the screens' line, the keys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from opsconsole.actions import Action, Scope, get, in_scope
from opsconsole.figures import ago
from opsconsole.text import clean_line
from opsconsole.tui.running import console_of

if TYPE_CHECKING:
    from opsconsole.tui.app import ConsoleApp

SCREENS = ("servers", "logs", "load", "rerank", "host")


class FrameWidget(Widget):
    """A line that takes its colours from the theme and its facts from the app."""

    @property
    def console_app(self) -> ConsoleApp:
        return console_of(self)

    def color(self, name: str) -> str:
        """A colour of the theme, as Rich wants it."""
        return self.app.theme_variables.get(name, "default")


class Header(FrameWidget):
    """Which fleet, how dangerous, read-only or not, how old the data is; then the screens."""

    DEFAULT_CSS = """
    Header { height: 3; background: $background; color: $foreground; }
    """

    def on_mount(self) -> None:
        self.set_interval(0.5, self.refresh)

    def on_click(self, event: object) -> None:
        y, x = getattr(event, "y", 0), getattr(event, "x", 0)
        if y == 1:
            for start, end, name in self._tabs()[1]:
                if start <= x < end:
                    self.console_app.act(f"console.{name}")

    def render(self) -> RenderResult:
        width = self.size.width
        text = Text(no_wrap=True, overflow="crop")
        for words, style in self._parts():
            # What matters most comes first; what does not fit whole is left out.
            if text.cell_len + len(words) + 2 <= width or text.cell_len == 0:
                text.append(words, style)
                text.append("  ")
        clock = time.strftime("%H:%M:%S")
        if text.cell_len + len(clock) + 1 <= width:
            text.append(" " * (width - text.cell_len - len(clock) - 1))
            text.append(clock, self.color("dim"))
        text.append("\n")
        text.append_text(self._tabs()[0])
        text.append("\n")
        text.append(self.console_app.symbols.rule * width, self.color("rule"))
        return text

    def _parts(self) -> list[tuple[str, str]]:
        """The facts of the first line with their styles, the most important first."""
        app = self.console_app
        dim, ground = self.color("dim"), self.color("background")
        alarm = f"bold {self.color('warning')}"
        parts = [
            (" opsconsole ", f"bold {ground} on {self.color('accent')}"),
            (clean_line(app.profile.name, 24), f"bold {self.color('bright')}"),
        ]
        stage = app.profile.environment
        if stage == "production":
            parts.append((" PRODUCTION ", f"bold {ground} on {self.color('error')}"))
        elif stage == "staging":
            parts.append((" STAGING ", f"bold {ground} on {self.color('warning')}"))
        else:
            parts.append(("development", dim))
        parts.append(("read-only", alarm) if app.read_only else ("read-write", dim))
        if app.loading:
            parts.append((f"{app.symbols.up} load", f"bold {self.color('accent')}"))
        age = app.model.age()
        if age is None:
            parts.append(("no data yet", dim))
        elif app.model.stale():
            parts.append((f"STALE {ago(age)}", alarm))
        else:
            parts.append((f"data {ago(age)}", dim))
        return parts

    def _tabs(self) -> tuple[Text, list[tuple[int, int, str]]]:
        """The screens' line, and where each name is for the mouse."""
        line = Text(no_wrap=True, overflow="crop")
        places = []
        here = self.console_app.current_mode
        narrow = sum(len(name) + 5 for name in SCREENS) > self.size.width
        for name in SCREENS:
            action = get(f"console.{name}")
            start = line.cell_len
            if name == here:
                line.append(
                    f" {action.key_label} ",
                    f"bold {self.color('background')} on {self.color('accent')}",
                )
                line.append(f" {action.title} ", f"bold {self.color('bright')}")
            else:
                line.append(f" {action.key_label} ", self.color("accent"))
                if not narrow:
                    line.append(f"{action.title} ", self.color("dim"))
            places.append((start, line.cell_len, name))
            line.append(" ")
        line.truncate(self.size.width)
        return line, places


class Footer(FrameWidget):
    """The keys that work here, from the action registry; what does not fit is in ``?``."""

    DEFAULT_CSS = """
    Footer { dock: bottom; height: 2; background: $background; color: $foreground; }
    """

    def __init__(self, *scopes: Scope) -> None:
        super().__init__()
        self.scopes = scopes

    def actions(self) -> Sequence[Action]:
        """What is shown, before it is cut to the width."""
        own = [a for a in in_scope(*self.scopes) if a.footer and a.key]
        everywhere = [a for a in in_scope(Scope.CONSOLE) if a.footer and a.key]
        if self.console_app.read_only and not self.console_app.forced_read_only:
            everywhere.insert(0, get("console.readonly"))
        taken = {key for action in own for key in action.key.split(",")}
        shown = [*own, *(a for a in everywhere if a.key not in taken)]
        offers = getattr(self.screen, "offers", lambda action: True)
        return [
            a for a in shown if (a.mutates or self.console_app.can(a, self.screen)) and offers(a)
        ]

    def render(self) -> RenderResult:
        app = self.console_app
        text = Text(no_wrap=True, overflow="crop")
        text.append(app.symbols.rule * self.size.width, self.color("rule"))
        text.append("\n")
        line = Text(" ", no_wrap=True)
        help_action = get("console.help")
        tail = self._key(help_action, False)
        for action in self.actions():
            if action is help_action:
                continue
            part = self._key(action, app.read_only and action.mutates)
            if line.cell_len + part.cell_len + tail.cell_len > self.size.width:
                break
            line.append_text(part)
        line.append_text(tail)
        line.truncate(self.size.width)
        text.append_text(line)
        return text

    def _key(self, action: Action, refused: bool) -> Text:
        key = self.color("dim") if refused else f"bold {self.color('accent')}"
        words = f"{self.color('dim')} strike" if refused else self.color("dim")
        part = Text()
        part.append(action.key_label, key)
        part.append(" ")
        part.append(action.title, words)
        part.append("   ")
        return part


class Rule(FrameWidget):
    """A thin line between panes."""

    DEFAULT_CSS = """
    Rule { height: 1; background: $background; }
    """

    def render(self) -> RenderResult:
        return Text(self.console_app.symbols.rule * self.size.width, self.color("rule"))
