"""Screen 1: the fleet in one table; below it, what is known and wrong of the row at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from opsconsole.actions import Action, Scope, get
from opsconsole.errors import OpsError
from opsconsole.profile import Server
from opsconsole.tui.describe import describe
from opsconsole.tui.fleet_rows import COLUMNS, SORTS, FleetRows
from opsconsole.tui.keys import bindings
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.screens.page import PageScreen
from opsconsole.tui.widgets.detail import Detail
from opsconsole.tui.widgets.frame import Footer, Rule
from opsconsole.tui.widgets.prompt import Prompt
from opsconsole.tui.widgets.table import Table

FRAME = 5
DETAIL_LEAST = 9
DETAIL_MOST = 26
_OF_DAEMONS = frozenset(
    ("server.start", "server.stop", "server.restart", "server.logs", "server.tune")
)
"""What is done with local daemons only, not with a server that is watched."""


class ServersScreen(ConsoleScreen):
    """The fleet."""

    SCOPES: ClassVar = (Scope.SERVER, Scope.FLEET)
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.SERVER, Scope.FLEET)
    AUTO_FOCUS = "Table"
    DEFAULT_CSS = """
    ServersScreen Table { height: 8; }
    ServersScreen Detail { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.filter = ""
        self.sort = SORTS[0]
        self.rows = FleetRows()

    def body(self) -> Iterable[Widget]:
        symbols = self.console_app.symbols
        pointer = ">" if symbols.plain else "▌"
        # Held, not queried: a redraw can come while the screen is being taken down.
        self.table = Table(COLUMNS, mark=symbols.mark, pointer=pointer, id="fleet")
        self.rule, self.detail = Rule(), Detail()
        return (self.table, self.rule, self.detail)

    def on_resize(self) -> None:
        self.show_model()

    def show_model(self) -> None:
        app = self.console_app
        table = self.table
        table.mark_glyph = app.symbols.mark
        servers = [s for s in app.profile.servers if self.filter.lower() in s.name.lower()]
        table.empty = f"no server matches {self.filter!r}" if self.filter else "no servers"
        trend = table.width_of("trend")
        table.show(self.rows.make(app.model, app.symbols, servers, self.sort, trend))
        self._share_height(len(table.rows) + 1)
        self._show_detail()

    def _share_height(self, wanted: int) -> None:
        """Give the table what its rows need, and the chart the rest, but keep both usable."""
        body = self.size.height - FRAME
        most = max(3, body - 1 - DETAIL_LEAST) if body >= DETAIL_LEAST + 4 else body
        table = self.table
        shown = most < body
        for widget in (self.detail, self.rule):
            widget.display = shown
        height = min(wanted, most) if shown else body
        # A chart taller than this says no more; the table may have the rest.
        height = max(height, body - 1 - DETAIL_MOST) if shown else height
        if table.styles.height is None or table.styles.height.value != height:
            table.styles.height = height

    def on_table_moved(self, event: Table.Moved) -> None:
        self._show_detail()
        self._offer_again()

    def _offer_again(self) -> None:
        self.query_one(Footer).refresh()

    def offers(self, action: Action) -> bool:
        if action.id in _OF_DAEMONS:
            return any(server.daemon is not None for server in self.targets())
        return True

    def on_table_opened(self, event: Table.Opened) -> None:
        self.console_app.act("server.describe")

    def _show_detail(self) -> None:
        server = self._current()
        if self.detail.display:
            self.detail.show(server)

    def _current(self) -> Server | None:
        key = self.table.cursor
        return self.console_app.profile.server(key) if key else None

    def targets(self) -> Sequence[Server]:
        keys = self.table.targets()
        return [s for s in self.console_app.profile.servers if s.name in keys]

    def _chosen(self, names: Sequence[str]) -> list[Server]:
        """The servers named on the command line, else the targets."""
        if not names:
            return list(self.targets())
        found = []
        for name in names:
            server = self.console_app.profile.server(name)
            if server is None:
                self.console_app.say(f"no server {name}", "warning")
                return []
            found.append(server)
        return found

    def _request(self, action: Action, names: Sequence[str]) -> None:
        servers = self._chosen(names)
        if servers:
            self.console_app.operator.request(action, servers)

    # Actions

    def do_server_start(self, *names: str) -> None:
        self._request(get("server.start"), names)

    def do_server_stop(self, *names: str) -> None:
        self._request(get("server.stop"), names)

    def do_server_restart(self, *names: str) -> None:
        self._request(get("server.restart"), names)

    def do_fleet_rolling(self, *names: str) -> None:
        marked = self.table.marked
        daemons = self.console_app.profile.daemons
        chosen = self._chosen(names) if names else [s for s in daemons if s.name in marked]
        self.console_app.operator.request(get("fleet.rolling"), chosen or daemons)

    def do_server_logs(self, *names: str) -> None:
        app = self.console_app
        daemons = [server.name for server in self._chosen(names) if server.daemon is not None]
        if not daemons:
            app.say("its log is on its own machine: only local daemons have one here", "warning")
            return
        app.log_sources = daemons
        app.switch_mode("logs")

    def do_server_describe(self, name: str = "") -> None:
        app = self.console_app
        server = app.profile.server(name) if name else self._current()
        if server is not None:
            app.push_screen(PageScreen(server.name, describe(app.model, server)))

    def do_server_health(self) -> None:
        self._raw("health")

    def do_server_metrics(self) -> None:
        self._raw("metrics")

    def _raw(self, what: str) -> None:
        server = self._current()
        if server is not None:
            self.run_worker(self._fetch_raw(server, what), group="raw", exclusive=True)

    async def _fetch_raw(self, server: Server, what: str) -> None:
        from opsconsole.fleet import FetchError, client_for, fetch
        from opsconsole.pretty import pretty

        path = server.health if what == "health" else "/metrics"
        try:
            async with client_for(server) as client, asyncio.timeout(server.timeout):
                answer = await fetch(client, path)
        except (FetchError, OpsError, TimeoutError) as error:
            words = str(error) or "no answer in time"
            self.console_app.say(f"{server.name} {path}: {words}", "error")
            return
        title = f"GET {server.url}{path}  →  HTTP {answer.status}"
        self.console_app.push_screen(PageScreen(title, pretty(answer.body)))

    def do_server_rank(self, name: str = "") -> None:
        app = self.console_app
        server = app.profile.server(name) if name else self._current()
        app.rank_with = server.name if server and server.kind == "own" else None
        app.switch_mode("rerank")

    def do_server_load(self, *words: str) -> None:
        from opsconsole.tui.load_command import load_at_once  # not before the first paint

        load_at_once(self.console_app, words, self.targets())

    def do_server_tune(self, name: str = "") -> None:
        app = self.console_app
        server = app.profile.server(name) if name else self._current()
        if server is None or server.daemon is None:
            app.say("only a local daemon can be tuned: its settings are changed", "warning")
            return
        if app.under_way:
            app.say(f"{app.under_way} is under way: stop it first", "warning")
            return

        from opsconsole.tui.screens.tune_setup import TuneSetupScreen  # not before the first paint

        app.push_screen(TuneSetupScreen(server))

    def do_server_check(self) -> None:
        marked = sorted(self.table.marked)
        self.console_app.say("checking …")
        self.run_worker(self._check(marked), group="check", exclusive=True)

    async def _check(self, names: list[str]) -> None:
        from opsconsole.checks import as_text, check

        app = self.console_app
        order = [server.name for server in app.profile.servers]
        results = [result async for result in check(app.profile, names)]
        results.sort(key=lambda r: order.index(r.server))
        text = as_text(app.profile.name, results, unicode=not app.symbols.plain)
        app.push_screen(PageScreen("Verdict", text))

    def do_server_mark(self) -> None:
        self.table.toggle_mark()
        self._offer_again()

    def do_server_unmark(self) -> None:
        self.table.unmark()
        self._offer_again()

    def do_server_sort(self) -> None:
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.show_model()
        self.console_app.say(f"sorted by {self.sort}")

    def do_console_filter(self) -> None:
        def change(value: str) -> None:
            self.filter = value.strip()
            self.show_model()

        self.query_one(Prompt).ask("filter /", change, value=self.filter, change=change)

    def do_console_back(self) -> None:
        self.filter = ""
        self.table.unmark()
        self.show_model()
        self._offer_again()
