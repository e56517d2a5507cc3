"""Does the balancer carry the fleet over a drained and a killed server? Tried with real ones.

An nginx of our own stands in front of the servers and an open-loop load goes through it while one
server is drained and started again, and another killed, for its keeper to start again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager, suppress
from typing import TypeVar

import msgspec

from opsconsole.balancer.away import Journal
from opsconsole.balancer.config import UPSTREAM_HEADER
from opsconsole.balancer.failover_records import Check, Event, Failover, Settings
from opsconsole.balancer.nginx import Binary
from opsconsole.balancer.outages import Drill, OutageNotes, Tell, require_kept
from opsconsole.balancer.pool import Pool, pool_of
from opsconsole.balancer.running import OwnNginx
from opsconsole.balancer.verdict import ARRIVING, Evidence, conclude
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.fleet import ServerState, poll
from opsconsole.load import LoadRun, Plan, Run, Tick
from opsconsole.profile import Profile, Server

DONE = "the failover test has ended"
LONGEST = 1800.0
"""Seconds that the load may last, whatever happens."""
REQUESTS_EACH = 30
"""Of the first stage, for each server: enough to see who gets his part."""
_LOOK = 0.05
_T = TypeVar("_T")


async def healthy(servers: Sequence[Server]) -> tuple[list[Server], list[str]]:
    """Those of ``servers`` that are up, and of the others why they are not."""
    snapshots = await asyncio.gather(*(poll(server, metrics=False) for server in servers))
    up = [s for s, seen in zip(servers, snapshots, strict=True) if seen.state is ServerState.UP]
    down = [
        f"{server.name}: {seen.words}"
        for server, seen in zip(servers, snapshots, strict=True)
        if seen.state is not ServerState.UP
    ]
    return up, down


def require_two(profile: Profile, up: Sequence[Server], down: Sequence[str]) -> None:
    """A fleet that would not serve while one is away is not touched.

    Raises:
        OpsError: fewer than two are healthy.
    """
    if len(up) < 2:
        state = "; ".join(down) or "it has only this one"
        raise OpsError(
            f"a failover needs two healthy servers, and there {'is one' if up else 'is none'}: "
            f"{state}", where=profile.name, hint="start them with: opsconsole start",
            code=ExitCode.UNKNOWN,
        )  # fmt: skip


def require_rate(settings: Settings, servers: int) -> None:
    """At too low a rate nobody can tell an ejected server from one whose turn it was not.

    Raises:
        UsageError: the rate is too low, with the least that does.
    """
    least = 8 * servers / settings.fail_timeout
    if settings.drain and settings.rate < least:
        raise UsageError(
            f"{settings.rate:g} requests a second are too few to see {servers} servers ejected "
            f"for {settings.fail_timeout:g} s", where="--rate",
            hint=f"at least {least:.3g}, or a longer --fail-timeout",
        )  # fmt: skip


class FailoverRun:
    """One failover test. For one event loop.

    Args:
        plan: What is sent; its rate is that of ``settings``.
        servers: Healthy ones of ``profile``.
        journal: Of ``profile``, held until :meth:`ticks` has ended.
        tell: Is told each stop, kill and start of a daemon, from another thread.
        tls_name, ca: As of :func:`~opsconsole.balancer.pool.pool_of`.

    Attributes:
        load: The load test that goes through the balancer; ``load.run`` is stored by the caller.
        stage: What is under way, in words.
        events: What was done and seen so far.

    Raises:
        UsageError: these servers cannot stand behind one balancer, or cannot be drained and killed.
        OpsError: one of those is being tuned.
    """

    def __init__(
        self,
        profile: Profile,
        servers: Sequence[Server],
        plan: Plan,
        settings: Settings,
        binary: Binary,
        journal: Journal,
        tell: Tell,
        *,
        tls_name: str = "",
        ca: str = "",
        left_out: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.servers = tuple(servers)
        self.pool = _pool(profile, servers, settings, tls_name, ca)
        for name in dict.fromkeys(filter(None, (settings.drain, settings.kill))):
            journal.claim(self._server(name))
        self.stage = "starting nginx"
        self.events: list[Event] = []
        self._why = ""
        self._broken: Check | None = None
        self._profile = profile
        self._left_out = tuple(left_out)
        self._nginx = OwnNginx(binary, self.pool)
        self._plan = msgspec.structs.replace(plan, upstream_header=UPSTREAM_HEADER, servers=())
        self._stages: list[tuple[str, float]] = []
        self._outages: list[OutageNotes] = []
        self._counted: dict[str, int | None] = {}
        self._steady = (0.0, 0.0)
        self._director: asyncio.Task[None] | None = None
        # One thread: what puts things right again begins when what disturbed them has ended.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="failover")
        self._drill = Drill(profile, journal, tell)
        self.load = self._load("http://127.0.0.1:1")

    @property
    def run(self) -> Run:
        """The load test's record; complete when :meth:`ticks` has ended."""
        return self.load.run

    def stop(self, why: str) -> None:
        """Disturb nothing more, end the load, and bring back what is away."""
        self._why = self._why or why
        if self._director is not None:
            self._director.cancel()
        self.load.stop(self._why)

    async def ticks(self) -> AsyncGenerator[Tick, None]:
        """The run, a tick a second. When it ends, by whatever, every server is back, or
        :meth:`result` says which is not, and what else ended the test early.

        Raises:
            OpsError: nothing was measured, because of nginx, a server, or the load generator.
        """
        try:
            await self._in_thread(self._nginx.start)
            self.load = self._load(self._nginx.url)
            if self._why:  # before there was anything to stop
                self.load.stop(self._why)
            async with aclosing(self.load.ticks()) as ticks:
                async for tick in ticks:
                    if self._director is None:
                        self._director = asyncio.create_task(self._direct())
                        self._director.add_done_callback(lambda _: self.load.stop(DONE))
                    yield tick
            await self._conclude()
        finally:
            await self._finish()

    async def _conclude(self) -> None:
        """The load has ended: by the director's word, or before it."""
        director, run = self._director, self.load.run
        if director is None:
            return
        if run.stopped == DONE:
            run.stopped = ""
        elif not director.done():
            run.stopped = run.stopped or "the load ended before the failover"
        director.cancel()
        await asyncio.gather(director, return_exceptions=True)
        error = None if director.cancelled() else director.exception()
        if error is None:
            with suppress(OpsError):  # it may have ended since it was last looked at
                self._check_nginx()
            return
        whole = run.measured()
        if whole is None or not whole.all().ended or not isinstance(error, Exception):
            raise error
        # What clients saw of it is what the test is for.
        self._break("the test is done to its end", error)

    @property
    def touched(self) -> bool:
        """Whether a server is, or may be, away."""
        return self._drill.touched

    @property
    def not_restored(self) -> tuple[str, ...]:
        """What could not be brought back, and why."""
        return tuple(self._drill.not_restored)

    def result(self) -> Failover:
        """What was found; after :meth:`ticks` has ended. The run's phases are the stages then."""
        return conclude(
            Evidence(
                profile=self._profile.name,
                nginx=self._nginx.binary.version,
                pool=self.pool,
                settings=self.settings,
                run=self.run,
                entries=self._nginx.log.entries,
                stages=self._stages,
                outages=self._outages,
                counted=self._counted,
                steady=self._steady,
                events=self.events,
                left_out=self._left_out,
                not_restored=self.not_restored,
                broken=self._broken,
            )
        )

    # -- what is done, stage by stage ---------------------------------------------------------

    async def _direct(self) -> None:
        await self._steadily()
        if self.settings.drain:
            await self._drain(self._server(self.settings.drain))
        if self.settings.kill:
            await self._kill(self._server(self.settings.kill))

    async def _steadily(self) -> None:
        self._begin("all servers")
        before = await self._counters()
        begin = time.time()
        await asyncio.sleep(
            max(self.settings.settle, REQUESTS_EACH * len(self.servers) / self.settings.rate)
        )
        self._check_nginx()
        self._steady = (begin, time.time())
        after = await self._counters()
        for name, now in after.items():
            was = before.get(name)
            self._counted[name] = (
                int(now - was) if now is not None and was is not None and now >= was else None
            )

    async def _counters(self) -> dict[str, float | None]:
        snapshots = await asyncio.gather(*(poll(server) for server in self.servers))
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
        await asyncio.sleep(self.settings.away)
        self._check_nginx()
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
        address = next(peer.address for peer in self.pool.peers if peer.name == server.name)
        since = (notes.gone or notes.at) + ARRIVING
        deadline = time.monotonic() + self.settings.return_within
        while time.monotonic() < deadline:
            found = self._nginx.log.first(since, lambda e: e.good and e.answered == address)
            if found is not None:
                self._say(f"{server.name} answers again")
                break
            self._check_nginx()
            await asyncio.sleep(_LOOK)
        await asyncio.sleep(self.settings.settle / 2)

    def _away(self, server: Server, how: str) -> OutageNotes:
        self._begin(f"{server.name} {how}")
        notes = OutageNotes(server.name, "drained" if how == "drained" else "killed", time.time())
        self._outages.append(notes)
        return notes

    # -- around it ----------------------------------------------------------------------------

    def _begin(self, name: str) -> None:
        self.stage = name
        self._stages.append((name, time.time()))
        self._say(name)

    def _say(self, what: str) -> None:
        self.events.append(Event(time.time(), what))

    def _server(self, name: str) -> Server:
        return next(server for server in self.servers if server.name == name)

    def _check_nginx(self) -> None:
        if why := self._nginx.trouble():
            self._break("nginx runs to the end", OpsError(why))
            raise OpsError(f"nginx has ended: {why}", code=ExitCode.UNKNOWN)

    @contextmanager
    def _must(self, what: str) -> Iterator[None]:
        """``what`` has to be so; a failure ends the test, and is told as that."""
        try:
            yield
        except Exception as error:
            self._break(what, error)
            raise

    def _break(self, what: str, error: Exception) -> None:
        """The first is what matters: it ends the test."""
        if self._broken is None:
            said = f"{type(error).__name__}: {error}"
            if isinstance(error, OpsError):
                named = bool(error.where) and what.startswith(error.where)
                said = str(OpsError(error.what, hint=error.hint) if named else error)
            self._broken = Check(what, False, said)
            self._say(said)

    def _load(self, url: str) -> LoadRun:
        """The load through the balancer, which is no server of ours: it is not polled."""
        server = Server(name="balancer", url=url, kind="http", api_key=self.servers[0].api_key)
        load = LoadRun(self._plan, Profile(name=self._profile.name, servers=(server,)))
        known = (self._plan, self.settings, [(s.name, s.url, s.daemon) for s in self.servers])
        # Another free port is no other test.
        text = msgspec.json.encode(known, order="deterministic")
        load.run.fingerprint = hashlib.sha256(text).hexdigest()
        return load

    def _in_thread(self, work: Callable[[], _T]) -> Awaitable[_T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _finish(self) -> None:
        """Bring everything back. Nothing that is cancelled meanwhile keeps it from that."""
        if self._director is not None:
            self._director.cancel()
        self.stage = "bringing everything back"
        restoring = asyncio.ensure_future(self._in_thread(self._restore))
        cancelled = False
        try:
            while not restoring.done():
                try:
                    await asyncio.shield(restoring)
                except asyncio.CancelledError:
                    cancelled = True
        finally:
            self._threads.shutdown()
        if cancelled:
            raise asyncio.CancelledError

    def _restore(self) -> None:
        try:
            self._drill.restore()
        finally:
            try:
                self._nginx.close()
            except Exception as error:  # what was measured is worth more
                self._break("nginx is cleared away", error)


def _pool(
    profile: Profile, servers: Sequence[Server], settings: Settings, tls_name: str, ca: str
) -> Pool:
    for name in dict.fromkeys(filter(None, (settings.drain, settings.kill))):
        server = next((server for server in servers if server.name == name), None)
        if server is None:
            raise UsageError(f"{name!r} is not among the healthy servers", where=profile.name)
        require_kept(profile, server)
    return pool_of(
        profile, servers, tls_name=tls_name, ca=ca,
        max_fails=settings.max_fails, fail_timeout=settings.fail_timeout, tries=settings.tries,
        style="checklist" if settings.as_in_checklist else "own", listen="127.0.0.1:1",
    )  # fmt: skip
