"""The console: it owns the model, the workers that feed it, and the dispatch of actions."""

from __future__ import annotations

import asyncio
import gc
import inspect
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, ScreenStackError, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from opsconsole.actions import ACTIONS, Action, Scope, get
from opsconsole.errors import OpsError
from opsconsole.profile import Profile, load
from opsconsole.text import clean_line
from opsconsole.tui import clipboard
from opsconsole.tui.ascii_filter import AsciiFilter
from opsconsole.tui.everywhere import Everywhere
from opsconsole.tui.feed import Feed, Source
from opsconsole.tui.keys import bindings
from opsconsole.tui.loading import Loading
from opsconsole.tui.model import FleetModel
from opsconsole.tui.operate import OperationEnded, Operator
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.scrollbar import use_plain
from opsconsole.tui.symbols import Symbols, detect
from opsconsole.tui.terminal import hung_up, write_crash
from opsconsole.tui.theme import DARK, THEMES
from opsconsole.tui.widgets.frame import SCREENS, Header

if TYPE_CHECKING:
    from opsconsole.load import Plan
    from opsconsole.tui.load_desk import LoadDesk

REDRAW = 0.25
TERMINAL_LOOK = 1.0
LOOK_AROUND = 2.0
_ASCII_FILTER = AsciiFilter()
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def _screen(name: str) -> Callable[[], Screen[None]]:
    """A screen that is imported when it is first opened: the first paint needs only one."""

    def build() -> Screen[None]:
        from importlib import import_module

        module = import_module(f"opsconsole.tui.screens.{name}")
        screen: Screen[None] = getattr(module, f"{name.capitalize()}Screen")()
        return screen

    return build


class ConsoleApp(App[int]):
    """The opsconsole screen."""

    TITLE = "opsconsole"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    DEFAULT_MODE = "servers"
    MODES: ClassVar = {name: _screen(name) for name in SCREENS}
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.CONSOLE),
        Binding("ctrl+q", "app.act('console.quit')", show=False, priority=True),
        Binding("ctrl+c", "interrupt", show=False, priority=True),
    ]

    def __init__(
        self,
        profile: Profile,
        *,
        start: bool = False,
        read_only: bool = False,
        ascii: bool = False,
        source: Source | None = None,
    ) -> None:
        """A console on ``profile``, fed by ``source``: a recording, or by default live polls."""
        super().__init__()
        self.profile = profile
        self.model = FleetModel(profile)
        self.symbols: Symbols = detect(ascii)
        use_plain(self.symbols.plain)
        self.forced_read_only = read_only
        self.read_only = read_only or profile.environment == "production"
        self.operator = Operator(self)
        self.everywhere = Everywhere(self)
        self.feed = Feed(self, source)
        self.loads = Loading(self)
        self.mouse_on = True
        self.crash = ""
        self.log_sources: list[str] = []
        self.rank_with: str | None = None
        self._start_daemons = start
        self._drawn = -1
        self._rest_until = 0.0
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        return [*filters, _ASCII_FILTER] if self.symbols.plain else filters

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    # Life

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            # Textual installs no handler: without one the terminal would stay in raw mode.
            loop.add_signal_handler(number, self.exit, None, 128 + number)
        if not self.is_headless:
            self.set_interval(TERMINAL_LOOK, self._leave_lost_terminal)
        self.feed.start()
        self.set_interval(LOOK_AROUND, self.loads.look_around)
        self.set_interval(REDRAW, self._redraw)
        # What is loaded by now stays: without it the collector looks through all of it again and
        # again, 50 ms at a stretch while a log floods in.
        self.call_after_refresh(gc.freeze)
        if self._start_daemons:
            self.call_after_refresh(self._start_all)

    def _start_all(self) -> None:
        if self.read_only:
            self.notify("read-only: nothing was started", severity="warning", markup=False)
            return
        for server in self.profile.daemons:
            self.operator.run(get("server.start"), [server])

    def _leave_lost_terminal(self) -> None:
        if hung_up():
            self.exit(None, 128 + signal.SIGHUP)

    def _redraw(self) -> None:
        try:
            screen = self.screen
        except ScreenStackError:  # on the way out
            return
        start = time.monotonic()
        if self.model.version == self._drawn or start < self._rest_until:
            return
        # A screen on its way out has no widgets any more.
        if isinstance(screen, ConsoleScreen) and screen.query("#body > *"):
            self._drawn = self.model.version
            screen.show_model()
            screen.query(Header).refresh()
            # A large fleet takes longer to draw, and is drawn less often: making the rows may take
            # a thirtieth of the time, with Textual's own part about a tenth.
            self._rest_until = start + 30 * (time.monotonic() - start)

    def on_screen_shown(self) -> None:
        """A screen came up: it shows the model at the next tick, changed or not."""
        self._drawn, self._rest_until = -1, 0.0

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            path = write_crash(event.worker.error)
            what = f"{event.worker.name}: {type(event.worker.error).__name__}"
            where = f", trace in {path}" if path else ""
            self.say(f"internal error in {what}{where}", "error")

    def _fatal_error(self) -> None:
        # Textual's own prints the values of variables, API keys among them, into the scrollback.
        error = self._exception or sys.exc_info()[1]
        where = write_crash(error) if error is not None else None
        self.crash = f"opsconsole crashed: {type(error).__name__}; daemons are not affected"
        self.crash += f"\nthe trace is in {where}" if where else ""
        self._close_messages_no_wait()

    async def on_unmount(self) -> None:
        await self.loads.close()

    # Load tests

    @property
    def load_desk(self) -> LoadDesk:
        """The load tests of this console."""
        return self.loads.desk

    @property
    def loading(self) -> bool:
        """Whether a load test is under way."""
        return self.loads.busy

    @property
    def under_way(self) -> str:
        """What would be stopped by leaving, in words; empty when nothing would."""
        return self.loads.under_way

    def load_start(self, plan: Plan, action: Action | None = None) -> None:
        """Ask as the registry wants it asked, then run ``plan`` and show it."""
        self.loads.start(plan, action)

    # Words

    def say(self, text: str, severity: str = "information") -> None:
        """A notification in clean text."""
        timeout = 6.0 if severity == "error" else 3.0
        self.notify(clean_line(text, 500), severity=severity, markup=False, timeout=timeout)  # type: ignore[arg-type]

    def copy(self, text: str, what: str) -> None:
        """Put ``text`` on the operator's clipboard, or say why not."""
        write = self._driver.write if self._driver is not None else None
        self.say(*clipboard.copy(text, what, write))

    def take_mouse(self) -> bool:
        """Take the mouse, or give it back to the terminal; whether it is the console's now."""
        self.mouse_on = not self.mouse_on
        if (driver := self._driver) is not None:
            # The terminal's own selection needs the mouse; Textual has no public switch.
            switch = "_enable_mouse_support" if self.mouse_on else "_disable_mouse_support"
            if (call := getattr(driver, switch, None)) is not None:
                call()
                driver.flush()
        return self.mouse_on

    # Actions

    def action_act(self, id: str) -> None:
        self.act(id)

    def act(self, id: str, *args: str) -> None:
        """Do an action of the registry, wherever it was asked for."""
        action = get(id)
        if action.mutates and self.read_only:
            unlock = f"{get('console.readonly').key_label} unlocks"
            why = "opened with --read-only" if self.forced_read_only else unlock
            self.say(f"read-only: {action.title} is refused ({why})", "warning")
            return
        name = "do_" + id.replace(".", "_")
        for holder in (self.screen, self.everywhere):
            if (method := getattr(holder, name, None)) is not None:
                try:
                    inspect.signature(method).bind(*args)
                except TypeError:
                    self.say(f"{action.title} does not take: {' '.join(args)}", "warning")
                else:
                    method(*args)
                return
        if action.scope is Scope.CONSOLE:
            self.say(f"{action.title} does nothing on this screen", "warning")
            return
        where = "servers" if action.scope in (Scope.SERVER, Scope.FLEET) else action.scope
        self.say(f"{action.title} works on the screen {where.capitalize()}", "warning")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for action in ACTIONS:
            if self.can(action, screen):
                key = f"  ({action.key_label})" if action.key else ""
                yield SystemCommand(
                    f"{action.scope}: {action.title}{key}",
                    action.help,
                    lambda a=action: self.act(a.id),
                )

    def can(self, action: Action, screen: Screen[object]) -> bool:
        """Whether an action would do something on ``screen`` now."""
        if action.mutates and self.read_only:
            return False
        name = "do_" + action.id.replace(".", "_")
        return any(hasattr(holder, name) for holder in (screen, self.everywhere))

    def on_operation_ended(self, event: OperationEnded) -> None:
        self.model.set_busy(event.server, None)
        self.say(event.text, "information" if event.good else "error")
        self.feed.read_daemons()

    async def open_profile(self, name: str) -> None:
        """Leave this profile for another; its mistakes leave everything as it is."""
        if self.under_way:
            self.say(f"{self.under_way} is under way: stop it first", "warning")
            return
        try:
            profile = load(name)
        except OpsError as error:
            self.say(str(error), "error")
            return
        self.feed.stop()
        self.profile = profile
        self.model = FleetModel(profile)
        self.read_only = self.forced_read_only or profile.environment == "production"
        self.log_sources, self.rank_with = [], None
        self.loads.forget()
        for mode in list(self._screen_stacks):
            if mode not in ("_default", self.current_mode):
                await self.remove_mode(mode)
                self.add_mode(mode, _screen(mode))
        self.feed.watch()
        self.feed.read_daemons()
        self._drawn = -1
        self.say(f"profile {profile.name}")

    def action_interrupt(self) -> None:
        """ctrl+c: copy a selection if there is one, else leave; operators' fingers know it."""
        selected = getattr(self.focused, "selected_text", "") or self.screen.get_selected_text()
        if selected:
            self.copy(clean_line(selected, 100_000), "the selection")
            self.screen.clear_selection()
        elif self.operator.quit_asked():
            self.exit()
        else:
            self.say("ctrl+c again leaves the console; daemons go on")
