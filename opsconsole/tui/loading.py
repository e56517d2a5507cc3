"""Load tests as the whole console sees them: whether one runs, and asking before one starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opsconsole.actions import Action, get
from opsconsole.checks.hindrance import hindrance
from opsconsole.errors import OpsError
from opsconsole.tui.operate import TUNING

if TYPE_CHECKING:
    from opsconsole.load import Plan
    from opsconsole.profile import Server
    from opsconsole.tui.app import ConsoleApp
    from opsconsole.tui.load_desk import LoadDesk


class Loading:
    """The console's load desk, and what else must not run beside a load test."""

    def __init__(self, app: ConsoleApp) -> None:
        self.app = app
        self._desk: LoadDesk | None = None
        self._told: set[str] = set()

    @property
    def desk(self) -> LoadDesk:
        """The load tests of this console; made when it is first asked for."""
        if self._desk is None:
            from opsconsole.tui.load_desk import LoadDesk  # not before the first paint

            self._desk = LoadDesk(self.app.say)
        return self._desk

    @property
    def busy(self) -> bool:
        """Whether a load test is under way."""
        return self._desk is not None and self._desk.busy

    @property
    def under_way(self) -> str:
        """What would be stopped by leaving, in words; empty when nothing would."""
        if self.busy:
            return "a load test"
        return "a tuning" if TUNING in self.app.model.busy.values() else ""

    def under_load(self, servers: Sequence[Server]) -> list[str]:
        """Which of ``servers`` this console is loading."""
        session = self._desk.session if self._desk is not None and self.busy else None
        if session is None:
            return []
        # Two servers of a profile may be one: a url that is watched beside its daemon.
        urls = {s.url for s in self.app.profile.servers if s.name in session.servers}
        return [server.name for server in servers if server.url in urls]

    def forget(self) -> None:
        """Another profile is opened."""
        self._desk = None

    async def close(self) -> None:
        """The console is being left: store what was measured."""
        if self._desk is not None:
            await self._desk.close()

    def start(self, plan: Plan, action: Action | None = None) -> None:
        """Ask as the registry wants it asked, then run ``plan`` and show it.

        It is asked in any case when requests to a server would fail, or go to another program
        than the profile's.
        """
        from opsconsole.tui.plan_words import in_words  # not before the first paint

        app = self.app
        action = action or get("load.start")
        if self.under_way:
            app.say(f"{self.under_way} is under way: stop it first", "warning")
            return
        names = plan.servers or tuple(server.name for server in app.profile.servers[:1])
        servers = [server for server in app.profile.servers if server.name in names]
        question = f"Load {', '.join(names)}: {plan.name}, {in_words(plan, servers).sends}?"
        app.operator.confirmed(
            action, question, lambda: self._run(plan), warnings=self._hindrances(servers)
        )

    def _hindrances(self, servers: Sequence[Server]) -> list[str]:
        from opsconsole.actions.states import at_work  # not before the first paint

        model = self.app.model
        told = []
        for server in servers:
            busy = model.busy.get(server.name)
            why = f"it is {busy}" if busy else ""
            why = why or at_work(self.app.profile, server)
            why = why or hindrance(model.snapshot(server.name), model.daemons.get(server.name))
            if why:
                told.append(f"{server.name}: {why}")
        return [*told, *self._others(servers)]

    def _others(self, servers: Sequence[Server]) -> list[str]:
        """Load tests of other processes on these servers."""
        from opsconsole.load.beside import others  # not before the first paint

        told = []
        for pid, plan, urls in others([server.url for server in servers]):
            names = ", ".join(server.name for server in servers if server.url in urls)
            told.append(f"{names}: process {pid} runs the load test {plan} on it now")
        return told

    def look_around(self) -> None:
        """Say it when another process begins to load what this console is loading; once each."""
        desk = self._desk
        if desk is None or desk.session is None or not self.busy:
            self._told.clear()
            return
        names = desk.session.servers
        servers = [server for server in self.app.profile.servers if server.name in names]
        for told in self._others(servers):
            if told not in self._told:
                self._told.add(told)
                self.app.say(f"{told} too: the figures are of both", "warning")

    def _run(self, plan: Plan) -> None:
        try:
            self.desk.start(plan, self.app.profile)
        except OpsError as error:
            self.app.say(str(error), "error")
            return
        self.app.switch_mode("load")
