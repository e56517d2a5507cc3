"""Screen 2: the logs of the daemons, one or several merged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static
from textual.widgets.selection_list import Selection

from opsconsole.actions import Scope
from opsconsole.daemon import log_path
from opsconsole.errors import OpsError
from opsconsole.logs import Follower, OlderLines
from opsconsole.text import clean, clean_line
from opsconsole.tui.keys import bindings
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.screens.choose import ChooseScreen
from opsconsole.tui.screens.page import PageScreen
from opsconsole.tui.widgets.frame import Rule
from opsconsole.tui.widgets.log_view import LogView
from opsconsole.tui.widgets.log_view_messages import (
    CopyRequested,
    LineOpened,
    OlderRequested,
    PromptRequested,
    StateChanged,
)
from opsconsole.tui.widgets.prompt import Prompt

BACKLOG = 2_000
OLDER = 5_000
IDLE = 0.1


class LogsScreen(ConsoleScreen):
    """Logs."""

    SCOPES: ClassVar = (Scope.LOGS,)
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LOGS)
    AUTO_FOCUS = "LogView"
    DEFAULT_CSS = """
    LogsScreen LogView { height: 1fr; }
    LogsScreen #log-head { height: 1; padding: 0 1; color: $dim; text-wrap: nowrap;
        text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.files: dict[str, Path] = {}
        self._older: dict[str, OlderLines] = {}
        self._state = "following"

    def body(self) -> Iterable[Widget]:
        yield Static(id="log-head")
        yield Rule()
        yield LogView()

    def on_mount(self) -> None:
        self._open(self.console_app.log_sources or self._all())

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        wanted = self.console_app.log_sources or self._all()
        if self.is_mounted and not self.files and wanted != self.sources:
            self._open(wanted)

    def _all(self) -> list[str]:
        return [server.name for server in self.console_app.profile.daemons]

    def _open(self, sources: list[str], files: dict[str, Path] | None = None) -> None:
        """Show these daemons' logs, or these files, from their ends on."""
        view = self.query_one(LogView)
        self.sources, self.files = list(sources), dict(files or {})
        self._older.clear()
        view.clear()
        view.ascii = self.console_app.symbols.plain
        view.empty = "no lines yet" if sources else "this profile has no daemons on this machine"
        self._head()
        self.run_worker(self._follow(), group="follow", exclusive=True, exit_on_error=False)

    def _path(self, source: str) -> Path:
        if source in self.files:
            return self.files[source]
        server = self.console_app.profile.server(source)
        assert server is not None
        return Path(log_path(self.console_app.profile, server))

    async def _follow(self) -> None:
        # Reading waits for the disk: in a thread, one batch at a time, so that a flood slows the
        # reader down and not the screen.
        view = self.query_one(LogView)
        followers: dict[str, Follower] = {}
        try:
            first: dict[str, list[bytes]] = {}
            for source in self.sources:
                path = self._path(source)
                try:
                    follower = await asyncio.to_thread(Follower, path, backlog=BACKLOG)
                except OpsError as error:
                    self.console_app.say(str(error), "error")
                    continue
                followers[source] = follower
                self._older[source] = OlderLines(path, follower.origin)
                first[source] = await asyncio.to_thread(follower.read)
            view.load(first)
            while True:
                quiet = True
                for source, follower in followers.items():
                    if lines := await asyncio.to_thread(follower.read):
                        quiet = False
                        view.feed(source, lines)
                await asyncio.sleep(IDLE if quiet else 0)
        finally:
            for follower in followers.values():
                follower.close()

    @on(OlderRequested)
    def older_requested(self, event: OlderRequested) -> None:
        self.run_worker(self._load_older(), group="older", exclusive=True, exit_on_error=False)

    async def _load_older(self) -> None:
        pages: dict[str, list[bytes]] = {}
        for source, older in self._older.items():
            try:
                pages[source] = await asyncio.to_thread(older.read, OLDER)
            except OpsError as error:
                self.console_app.say(str(error), "error")
        self.query_one(LogView).feed_older(pages)

    @on(StateChanged)
    def state_changed(self, event: StateChanged) -> None:
        separator = " - " if self.console_app.symbols.plain else " · "
        self._state = event.state.describe(separator)
        self._head()

    def _head(self) -> None:
        colors = self.console_app.theme_variables
        names = ", ".join(clean_line(name, 30) for name in self.sources) or "nothing"
        limit = max(12, self.size.width // 3)
        if len(names) > limit:
            names = f"{len(self.sources)} logs"
        self.query_one("#log-head", Static).update(
            Content.assemble(
                (names, f"bold {colors['bright']}"), f"   {clean_line(self._state, 300)}"
            ),
            layout=False,
        )

    @on(PromptRequested)
    def prompt_requested(self, event: PromptRequested) -> None:
        view, question = self.query_one(LogView), event.question

        def submit(text: str) -> None:
            try:
                view.answer(question, text)
            except OpsError as error:
                self.console_app.say(str(error), "error")

        def change(text: str) -> None:
            view.preview(question, text)

        self.query_one(Prompt).ask(event.lead, submit, value=event.value, change=change)

    @on(CopyRequested)
    def copy_requested(self, event: CopyRequested) -> None:
        self.console_app.copy(event.text, f"{event.lines} lines")

    @on(LineOpened)
    def line_opened(self, event: LineOpened) -> None:
        from opsconsole.pretty import pretty

        line = event.line
        self.app.push_screen(PageScreen(clean(line.source), pretty(line.raw)))

    # Actions that are the screen's own; the view's keys are the view's

    def do_logs_sources(self) -> None:
        known = self._all()
        if not known:
            self.console_app.say("this profile has no daemons on this machine", "warning")
            return

        def chosen(sources: list[str] | None) -> None:
            if sources:
                self.console_app.log_sources = sources
                self._open([name for name in known if name in sources])

        selections = [
            Selection(Content(clean_line(name, 40)), name, name in self.sources) for name in known
        ]
        self.app.push_screen(ChooseScreen("Which logs?", selections), chosen)

    def do_logs_open(self, name: str = "") -> None:
        path = Path(name).expanduser()
        if not name or not path.is_file():
            what = "is no file" if path.exists() else "is not there"
            self.console_app.say(f"{name} {what}" if name else "say which: open PATH", "warning")
            return
        self._open([path.name], {path.name: path})


def _verb(name: str) -> None:
    """A registry action that the log view carries out itself."""

    def act(self: LogsScreen) -> None:
        getattr(self.query_one(LogView), f"action_{name}")()

    setattr(LogsScreen, f"do_logs_{name}", act)


for _name in (
    "follow", "search", "filter_in", "filter_out", "clear_filters", "level", "next_error",
    "previous_error", "next_warning", "previous_warning", "next_match", "previous_match", "wrap",
    "copy",
):  # fmt: skip
    _verb(_name)
