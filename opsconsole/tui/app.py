"""The console: it owns the model, the workers that feed it, and the dispatch of actions."""

from __future__ import annotations

import asyncio
import gc
import inspect
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, ScreenStackError, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from opsconsole.actions import ACTIONS, Action, Scope, get, in_scope
from opsconsole.daemon import DaemonState
from opsconsole.errors import OpsError
from opsconsole.fleet import Snapshot
from opsconsole.profile import Profile, Server, load
from opsconsole.text import clean_line
from opsconsole.tui import clipboard
from opsconsole.tui.ascii_filter import AsciiFilter
from opsconsole.tui.model import FleetModel
from opsconsole.tui.operate import TUNING, OperationEnded, Operator
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.symbols import ASCII, UNICODE, Symbols, detect
from opsconsole.tui.terminal import write_crash
from opsconsole.tui.theme import DARK, THEMES
from opsconsole.tui.widgets.frame import SCREENS, Header

if TYPE_CHECKING:
    from opsconsole.daemon import DaemonStatus
    from opsconsole.load import Plan
    from opsconsole.tui.load_desk import LoadDesk

Source = Callable[[Sequence[Server]], AsyncGenerator[Snapshot, None]]
REDRAW = 0.25
DAEMON_POLL = 1.0
_ASCII_FILTER = AsciiFilter()
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def bindings(*scopes: Scope) -> list[BindingType]:
    """Key bindings of the registry's actions in these scopes."""
    return [
        # ctrl keys act from within text fields too, which have their own use for some of them.
        Binding(
            action.key,
            f"app.act('{action.id}')",
            action.title,
            show=False,
            id=action.id,
            priority=action.key.startswith("ctrl+"),
        )
        for action in in_scope(*scopes)
        if action.key
    ]


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
        self.forced_read_only = read_only
        self.read_only = read_only or profile.environment == "production"
        self.operator = Operator(self)
        self.mouse_on = True
        self.crash = ""
        self.log_sources: list[str] = []
        self.rank_with: str | None = None
        self._load_desk: LoadDesk | None = None
        self._start_daemons = start
        self._source = source
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
        self.run_worker(self._watch(), name="watch", group="watch", exit_on_error=False)
        if self.profile.daemons:
            self._read_daemons()
            self.set_interval(DAEMON_POLL, self._read_daemons)
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

    async def _watch(self) -> None:
        from opsconsole.fleet import watch  # after the first paint

        source = self._source or watch
        async with aclosing(source(self.profile.servers)) as snapshots:
            async for snapshot in snapshots:
                self.model.take(snapshot)

    def _read_daemons(self) -> None:
        self.run_worker(
            self._daemon_states, thread=True, group="daemons", exclusive=True, exit_on_error=False
        )

    def _daemon_states(self) -> None:
        from opsconsole.daemon import status as daemon_status  # not before the first paint

        found = [daemon_status(self.profile, server) for server in self.profile.daemons]
        self.call_from_thread(self._take_daemons, found)

    def _take_daemons(self, found: list[DaemonStatus]) -> None:
        if [s.name for s in found] != [s.name for s in self.profile.daemons]:
            return  # another profile was opened meanwhile
        self.model.take_daemons(found)
        for status in found:
            if status.state is DaemonState.ORPHANED and not self.read_only:
                self.operator.adopt(status.name)

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
        if self._load_desk is not None:
            await self._load_desk.close()

    # Load tests

    @property
    def load_desk(self) -> LoadDesk:
        """The load tests of this console; made when it is first asked for."""
        if self._load_desk is None:
            from opsconsole.tui.load_desk import LoadDesk  # not before the first paint

            self._load_desk = LoadDesk(self.say)
        return self._load_desk

    @property
    def loading(self) -> bool:
        """Whether a load test is under way."""
        return self._load_desk is not None and self._load_desk.busy

    @property
    def under_way(self) -> str:
        """What would be stopped by leaving, in words; empty when nothing would."""
        if self.loading:
            return "a load test"
        return "a tuning" if TUNING in self.model.busy.values() else ""

    def load_start(self, plan: Plan, action: Action | None = None) -> None:
        """Ask as the registry wants it asked, then run ``plan`` and show it."""
        action = action or get("load.start")
        from opsconsole.tui.plan_words import in_words  # not before the first paint

        if self.under_way:
            self.say(f"{self.under_way} is under way: stop it first", "warning")
            return
        names = plan.servers or tuple(server.name for server in self.profile.servers[:1])
        servers = [server for server in self.profile.servers if server.name in names]
        question = f"Load {', '.join(names)}: {plan.name}, {in_words(plan, servers).sends}?"
        self.operator.confirmed(action, question, lambda: self._load(plan))

    def _load(self, plan: Plan) -> None:
        try:
            self.load_desk.start(plan, self.profile)
        except OpsError as error:
            self.say(str(error), "error")
            return
        self.switch_mode("load")

    # Words

    def say(self, text: str, severity: str = "information") -> None:
        """A notification in clean text."""
        timeout = 6.0 if severity == "error" else 3.0
        self.notify(clean_line(text, 500), severity=severity, markup=False, timeout=timeout)  # type: ignore[arg-type]

    def copy(self, text: str, what: str) -> None:
        """Put ``text`` on the operator's clipboard, or say why not."""
        environ = clipboard.environment()
        if clipboard.native(text, environ):
            self.say(f"copied {what}")
            return
        sequence = clipboard.osc52(text, environ)
        if sequence is None:
            try:
                where = f"saved to {clipboard.save(text)}"
            except OSError as error:
                where = f"and it cannot be saved: {error.strerror}"
            self.say(f"too long for the terminal's clipboard; {where}", "warning")
        elif self._driver is not None:
            self._driver.write(sequence)
            self.say(f"copied {what} (through the terminal)")

    # Actions

    def action_act(self, id: str) -> None:
        self.act(id)

    def act(self, id: str, *args: str) -> None:
        """Do an action of the registry, wherever it was asked for."""
        action = get(id)
        if action.mutates and self.read_only:
            unlock = get("console.readonly").key_label
            self.say(f"read-only: {action.title} is refused ({unlock} unlocks)", "warning")
            return
        name = "do_" + id.replace(".", "_")
        for holder in (self.screen, self):
            if (method := getattr(holder, name, None)) is not None:
                try:
                    inspect.signature(method).bind(*args)
                except TypeError:
                    self.say(f"{action.title} does not take: {' '.join(args)}", "warning")
                else:
                    method(*args)
                return
        where = {Scope.SERVER: "Servers", Scope.FLEET: "Servers"}.get(
            action.scope, str(action.scope).capitalize()
        )
        self.say(f"{action.title} works on the screen {where}", "warning")

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
        return any(hasattr(holder, name) for holder in (screen, self))

    def on_operation_ended(self, event: OperationEnded) -> None:
        self.model.set_busy(event.server, None)
        self.say(event.text, "information" if event.good else "error")
        self._read_daemons()

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
        self.workers.cancel_group(self, "watch")
        self.profile = profile
        self.model = FleetModel(profile)
        self.read_only = self.forced_read_only or profile.environment == "production"
        self.log_sources, self.rank_with = [], None
        self._load_desk = None
        for mode in list(self._screen_stacks):
            if mode not in ("_default", self.current_mode):
                await self.remove_mode(mode)
                self.add_mode(mode, _screen(mode))
        self.run_worker(self._watch(), name="watch", group="watch", exit_on_error=False)
        self._read_daemons()
        self._drawn = -1
        self.say(f"profile {profile.name}")

    # The console's own actions

    def do_console_servers(self) -> None:
        self.switch_mode("servers")

    def do_console_logs(self) -> None:
        self.switch_mode("logs")

    def do_console_load(self) -> None:
        self.switch_mode("load")

    def do_console_rerank(self) -> None:
        self.switch_mode("rerank")

    def do_console_host(self) -> None:
        self.switch_mode("host")

    def do_console_help(self) -> None:
        from opsconsole.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen())

    def do_console_palette(self) -> None:
        self.action_command_palette()

    def do_console_readonly(self) -> None:
        self.operator.toggle_read_only()

    def do_console_mouse(self) -> None:
        self.mouse_on = not self.mouse_on
        driver = self._driver
        if driver is not None:
            # The terminal's own selection needs the mouse; Textual has no public switch.
            switch = "_enable_mouse_support" if self.mouse_on else "_disable_mouse_support"
            if (call := getattr(driver, switch, None)) is not None:
                call()
                driver.flush()
        self.say(
            "mouse: the console's" if self.mouse_on else "mouse: the terminal's, select freely"
        )

    def do_console_theme(self, name: str = "") -> None:
        names = [theme.name for theme in THEMES]
        if name:
            found = next((n for n in names if n in (name, f"opsconsole-{name}")), None)
            if found is None:
                known = ", ".join(n.removeprefix("opsconsole-") for n in names)
                self.say(f"no theme {name}; there are: {known}", "error")
                return
            self.theme = found
        else:
            self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.say(f"theme {self.theme.removeprefix('opsconsole-')}")

    def do_console_charset(self) -> None:
        sets = (UNICODE, UNICODE._replace(chart="block"), ASCII)
        at = next((i for i, s in enumerate(sets) if s.chart == self.symbols.chart), 0)
        self.symbols = sets[(at + 1) % len(sets)]
        self._drawn = -1
        self.refresh(layout=True)
        self.screen.refresh(layout=True)
        for widget in self.screen.query("*"):
            widget.refresh()
        self.say(f"charts in {self.symbols.chart}")

    def do_console_redraw(self) -> None:
        self.refresh(repaint=True, layout=True)

    def do_console_profile(self, name: str = "") -> None:
        if not name:
            self.say("say which: profile NAME", "warning")
            return
        self.run_worker(self.open_profile(name), group="profile", exit_on_error=False)

    def do_console_quit(self) -> None:
        if self.current_mode == "servers" or self.current_mode is None:
            if self.under_way and not self.operator.quit_asked():
                self.say(f"{self.under_way} is under way; again to stop it and leave", "warning")
                return
            self.exit()
        else:
            self.switch_mode("servers")

    def do_console_back(self) -> None:
        if self.current_mode != "servers":
            self.switch_mode("servers")

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
