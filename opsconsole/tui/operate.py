"""Carrying out mutating actions: confirm, run in a thread, tell the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.message import Message

from opsconsole.actions import Action, Confirm, confirmation, get
from opsconsole.errors import OpsError
from opsconsole.profile import Server

if TYPE_CHECKING:
    from opsconsole.tui.app import ConsoleApp

TUNING = "tuning"
"""What a daemon is busy with while its settings are tried."""
_DOING = {
    "server.start": "starting",
    "server.stop": "stopping",
    "server.restart": "restarting",
    "fleet.rolling": "rolling",
}
_QUIT_WITHIN = 2.0


class OperationEnded(Message):
    """An action on one server ended."""

    def __init__(self, server: str, text: str, good: bool) -> None:
        super().__init__()
        self.server = server
        self.text = text
        self.good = good


class Operator:
    """Confirms and runs actions on daemons; one at a time a server."""

    def __init__(self, app: ConsoleApp) -> None:
        self.app = app
        self._adopted: set[str] = set()
        self._asked_to_quit = 0.0

    def request(self, action: Action, servers: Sequence[Server]) -> None:
        """Ask as the registry wants it asked, then run ``action`` on ``servers``."""
        daemons = [server for server in servers if server.daemon is not None]
        if not daemons:
            where = servers[0].name if servers else "nothing here"
            self.app.say(f"{where} is not run by opsconsole: no daemon in the profile", "warning")
            return
        free = [server for server in daemons if server.name not in self.app.model.busy]
        if not free:
            name = daemons[0].name
            self.app.say(f"{name} is already {self.app.model.busy[name]}", "warning")
            return
        names = ", ".join(server.name for server in free)
        question = f"{action.title} {names}?"
        from opsconsole.actions.states import at_work  # not before the first paint

        working = {server.name: at_work(self.app.profile, server) for server in free}
        warnings = [f"{name}: {theirs}" for name, theirs in working.items() if theirs]
        if loaded := self.app.loads.under_load(free):
            warnings.append(f"this console is loading {', '.join(loaded)}: the test would show it")
        self.confirmed(
            action, question, lambda: self.run(action, free), len(free), warnings=warnings
        )

    def confirmed(
        self,
        action: Action,
        question: str,
        do: Callable[[], None],
        targets: int = 1,
        *,
        warnings: Sequence[str] = (),
    ) -> None:
        """Ask ``question`` as the registry wants it asked, then ``do``.

        Args:
            action: What is asked for.
            question: A sentence that can be answered by yes.
            do: Called on a yes, or at once where nothing is to be asked.
            targets: How many servers it works on.
            warnings: What speaks against it; then it is asked in any case.
        """
        how = confirmation(action, self.app.profile, targets)
        if how is Confirm.NEVER and not warnings:
            do()
            return
        from opsconsole.tui.screens.confirm import ConfirmScreen

        typed = self.app.profile.name if how is Confirm.NAME else None

        def answered(yes: bool | None) -> None:
            if yes:
                do()

        self.app.push_screen(ConfirmScreen(question, action.help, typed, warnings), answered)

    def run(self, action: Action, servers: Sequence[Server]) -> None:
        """Run ``action`` in threads and mark the servers as busy meanwhile."""
        for server in servers:
            self.app.model.set_busy(server.name, _DOING[action.id])
        if action.id == "fleet.rolling":
            self._thread(partial(self._rolling, list(servers)), "rolling restart")
            return
        for server in servers:
            self._thread(partial(self._one, action, server), f"{action.title} {server.name}")

    def adopt(self, name: str) -> None:
        """Give an orphaned daemon a new keeper, once a console."""
        server = self.app.profile.server(name)
        if server is None or name in self._adopted or name in self.app.model.busy:
            return
        self._adopted.add(name)
        self.app.say(f"{name}: its keeper died; a new one takes the running server over")
        self.app.model.set_busy(name, "adopting")
        self._thread(partial(self._one, get("server.start"), server), f"adopt {name}")

    def toggle_read_only(self) -> None:
        """Lock or unlock; unlocking production asks for the profile's name."""
        app = self.app
        if not app.read_only:
            app.read_only = True
            app.say("read-only")
        elif app.forced_read_only:
            app.say("opened with --read-only: it stays so", "warning")
        elif app.profile.environment == "production":
            from opsconsole.tui.screens.confirm import ConfirmScreen

            def answered(yes: bool | None) -> None:
                if yes:
                    self._unlock()

            question = f"Unlock production profile {app.profile.name}?"
            app.push_screen(
                ConfirmScreen(question, "Actions that change servers become possible.",
                              app.profile.name), answered,
            )  # fmt: skip
        else:
            self._unlock()

    def quit_asked(self) -> bool:
        """Whether this is the second ctrl+c within two seconds."""
        now = time.monotonic()
        again = now - self._asked_to_quit < _QUIT_WITHIN
        self._asked_to_quit = now
        return again

    def _unlock(self) -> None:
        self.app.read_only = False
        self.app.say("read-write")

    def _thread(self, work: partial[None], name: str) -> None:
        self.app.run_worker(work, thread=True, name=name, group=name, exit_on_error=False)

    def _one(self, action: Action, server: Server) -> None:
        from opsconsole.actions.perform import perform  # not before the first paint

        try:
            status = perform(action.id, self.app.profile, server, via="tui")
        except OpsError as error:
            self.app.post_message(OperationEnded(server.name, error.about(server.name), False))
            return
        except Exception as error:
            self.app.post_message(OperationEnded(server.name, f"{server.name}: {error}", False))
            raise
        survivors = f", still alive: {status.survivors}" if status.survivors else ""
        pid = f" (pid {status.pid})" if status.pid else ""
        text = f"{server.name} {status.state}{pid}{survivors}"
        self.app.post_message(OperationEnded(server.name, text, not status.survivors))

    def _rolling(self, servers: list[Server]) -> None:
        from opsconsole.actions.perform import perform_rolling

        waiting = {server.name for server in servers}
        try:
            for status in perform_rolling(self.app.profile, servers, via="tui"):
                waiting.discard(status.name)
                text = f"{status.name} {status.state} (pid {status.pid})"
                self.app.post_message(OperationEnded(status.name, text, True))
        except OpsError as error:
            self.app.post_message(OperationEnded("", f"rolling restart stopped: {error}", False))
        finally:
            for name in waiting:
                self.app.post_message(OperationEnded(name, f"{name}: not restarted", False))
