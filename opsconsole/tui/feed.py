"""What keeps the model true: polls of the servers, and what the keepers of daemons say."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from opsconsole.daemon import DaemonState
from opsconsole.fleet import Snapshot
from opsconsole.profile import Server

if TYPE_CHECKING:
    from opsconsole.daemon import DaemonStatus
    from opsconsole.host import BusyReader
    from opsconsole.tui.app import ConsoleApp

Source = Callable[[Sequence[Server]], AsyncGenerator[Snapshot, None]]
DAEMON_POLL = 1.0


class Feed:
    """Takes in what is seen of the profile at hand.

    Args:
        source: Of snapshots: a recording, or by default live polls.
    """

    def __init__(self, app: ConsoleApp, source: Source | None = None) -> None:
        self.app = app
        self._source = source
        self._busy: BusyReader | None = None

    def start(self) -> None:
        """Watch the servers and the keepers, from now on."""
        self.watch()
        self.read_daemons()
        self.app.set_interval(DAEMON_POLL, self.read_daemons)

    def stop(self) -> None:
        """Poll no more: another profile takes the place of this one."""
        self.app.workers.cancel_group(self.app, "watch")

    def watch(self) -> None:
        """Poll the servers of the profile that is open."""
        self.app.run_worker(self._watch(), name="watch", group="watch", exit_on_error=False)

    def read_daemons(self) -> None:
        """Look at the keepers' files now, in a thread."""
        if self.app.profile.daemons:
            self.app.run_worker(
                self._daemon_states, thread=True, group="daemons", exclusive=True,
                exit_on_error=False,
            )  # fmt: skip

    async def _watch(self) -> None:
        from opsconsole.fleet import watch  # after the first paint

        source = self._source or watch
        async with aclosing(source(self.app.profile.servers)) as snapshots:
            async for snapshot in snapshots:
                self.app.model.take(snapshot)

    def _daemon_states(self) -> None:
        from opsconsole.actions.states import daemon_states  # not before the first paint

        profile = self.app.profile
        found = daemon_states(profile, profile.daemons)
        if self._source is None:  # a recording is of another machine, or another day
            self._look_at_machine()
        self.app.call_from_thread(self._take_daemons, found)

    def _look_at_machine(self) -> None:
        from opsconsole.host import BusyReader  # not before the first paint

        if self._busy is None:
            self._busy = BusyReader()
        self.app.model.machine = self._busy.read()

    def _take_daemons(self, found: list[DaemonStatus]) -> None:
        app = self.app
        if [s.name for s in found] != [s.name for s in app.profile.daemons]:
            return  # another profile was opened meanwhile
        app.model.take_daemons(found)
        for status in found:
            if status.state is DaemonState.ORPHANED and not app.read_only:
                app.operator.adopt(status.name)
