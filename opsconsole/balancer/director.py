"""What is done to the servers, stage by stage, while the load goes through the balancer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from opsconsole.balancer.failover_records import Check, Event, Settings
from opsconsole.balancer.outages import Drill, OutageNotes
from opsconsole.balancer.pool import Pool
from opsconsole.balancer.running import OwnNginx
from opsconsole.balancer.verdict import ARRIVING
from opsconsole.errors import ExitCode, OpsError
from opsconsole.fleet import poll
from opsconsole.profile import Server

REQUESTS_EACH = 30
"""Of the first stage, for each server: enough to see who gets his part."""
_LOOK = 0.05
_T = TypeVar("_T")


class InThread(Protocol):
    """Runs what blocks, one after the other."""

    def __call__(self, work: Callable[[], _T], /) -> Awaitable[_T]: ...


class Director:
    """Watches all servers for a while, drains one, kills another, and sees each return.

    Attributes:
        stage: What is under way, in words.
        events: What was done and seen so far.
        stages: Names and begins, Unix seconds.
        outages: What came of each server that was taken away.
        counted: Requests of the first stage by each server's own counter; None: it does not tell.
        steady: Begin and end of the first stage, Unix seconds; zeros before its end.
        broken: What ended the test early.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        settings: Settings,
        pool: Pool,
        nginx: OwnNginx,
        drill: Drill,
        in_thread: InThread,
    ) -> None:
        self.stage = "starting nginx"
        self.events: list[Event] = []
        self.stages: list[tuple[str, float]] = []
        self.outages: list[OutageNotes] = []
        self.counted: dict[str, int | None] = {}
        self.steady = (0.0, 0.0)
        self.broken: Check | None = None
        self._servers = {server.name: server for server in servers}
        self._settings = settings
        self._addresses = {peer.name: peer.address for peer in pool.peers}
        self._nginx = nginx
        self._drill = drill
        self._in_thread = in_thread

    async def direct(self) -> None:
        """All of it, once.

        Raises:
            OpsError: nginx has ended, or a server could not be taken away or did not come back;
                :attr:`broken` says so too.
        """
        await self._steadily()
        if name := self._settings.drain:
            await self._drain(self._servers[name])
        if name := self._settings.kill:
            await self._kill(self._servers[name])

    def check_nginx(self) -> None:
        """See that it runs.

        Raises:
            OpsError: it has ended by itself.
        """
        if why := self._nginx.trouble():
            self.fail("nginx runs to the end", OpsError(why))
            raise OpsError(f"nginx has ended: {why}", code=ExitCode.UNKNOWN)

    def fail(self, what: str, error: Exception) -> None:
        """``what`` is not so; the first that is told is what matters, as it ends the test."""
        if self.broken is not None:
            return
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, OpsError):
            named = bool(error.where) and what.startswith(error.where)
            said = str(OpsError(error.what, hint=error.hint) if named else error)
        self.broken = Check(what, False, said)
        self._say(said)

    # -- stage by stage -----------------------------------------------------------------------

    async def _steadily(self) -> None:
        self._begin("all servers")
        before = await self._counters()
        begin = time.time()
        settings = self._settings
        await asyncio.sleep(
            max(settings.settle, REQUESTS_EACH * len(self._servers) / settings.rate)
        )
        self.check_nginx()
        self.steady = (begin, time.time())
        after = await self._counters()
        for name, now in after.items():
            was = before.get(name)
            self.counted[name] = (
                int(now - was) if now is not None and was is not None and now >= was else None
            )

    async def _counters(self) -> dict[str, float | None]:
        snapshots = await asyncio.gather(*(poll(server) for server in self._servers.values()))
        return {
            seen.server: seen.counters.requests if seen.counters is not None else None
            for seen in snapshots
        }

    async def _drain(self, server: Server) -> None:
        notes = self._away(server, "drained")
        with self._must(f"{server.name} can be drained"):
            gone = await self._in_thread(lambda: self._drill.drain(server))
        notes.gone = time.time()
        self._say(gone)
        await asyncio.sleep(self._settings.away)
        self.check_nginx()
        self._begin(f"{server.name} starts")
        with self._must(f"{server.name} comes back"):
            await self._in_thread(lambda: self._drill.bring_back(server))
        notes.by = "opsconsole"
        await self._see_return(server, notes)

    async def _kill(self, server: Server) -> None:
        notes = self._away(server, "killed")
        with self._must(f"{server.name} can be killed"):
            killed = await self._in_thread(lambda: self._drill.kill(server))
        notes.gone = time.time()
        self._say(f"{server.name}: process {killed.pid} killed")
        with self._must(f"{server.name} comes back"):
            notes.by = await self._in_thread(lambda: self._drill.await_restart(server, killed))
        await self._see_return(server, notes)

    async def _see_return(self, server: Server, notes: OutageNotes) -> None:
        notes.healthy = time.time()
        self._say(f"{server.name} is healthy, started by {notes.by}")
        self._begin(f"{server.name} is back")
        address = self._addresses[server.name]
        since = (notes.gone or notes.at) + ARRIVING
        deadline = time.monotonic() + self._settings.return_within
        while time.monotonic() < deadline:
            found = self._nginx.log.first(since, lambda e: e.good and e.answered == address)
            if found is not None:
                self._say(f"{server.name} answers again")
                break
            self.check_nginx()
            await asyncio.sleep(_LOOK)
        notes.awaited = True
        await asyncio.sleep(self._settings.settle / 2)

    def _away(self, server: Server, how: str) -> OutageNotes:
        self._begin(f"{server.name} {how}")
        notes = OutageNotes(server.name, "drained" if how == "drained" else "killed", time.time())
        self.outages.append(notes)
        return notes

    def _begin(self, name: str) -> None:
        self.stage = name
        self.stages.append((name, time.time()))
        self._say(name)

    def _say(self, what: str) -> None:
        self.events.append(Event(time.time(), what))

    @contextmanager
    def _must(self, what: str) -> Iterator[None]:
        """``what`` has to be so; a failure ends the test, and is told as that."""
        try:
            yield
        except Exception as error:
            self.fail(what, error)
            raise
