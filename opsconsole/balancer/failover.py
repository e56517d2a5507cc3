"""Does the balancer carry the fleet over a drained and a killed server? Tried with real ones.

An nginx of our own stands in front of the servers and an open-loop load goes through it while one
server is drained and started again, and another killed, for its keeper to start again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import TypeVar

import msgspec

from opsconsole.balancer.away import Journal
from opsconsole.balancer.config import UPSTREAM_HEADER
from opsconsole.balancer.director import Director
from opsconsole.balancer.failover_records import Failover, Settings
from opsconsole.balancer.nginx import Binary
from opsconsole.balancer.outages import Drill, Tell
from opsconsole.balancer.preconditions import one_key, pool_under_test
from opsconsole.balancer.running import OwnNginx
from opsconsole.balancer.verdict import Evidence, conclude
from opsconsole.errors import OpsError
from opsconsole.load import LoadRun, Plan, Run, Tick
from opsconsole.profile import Profile, Server

DONE = "the failover test has ended"
LONGEST = 1800.0
"""Seconds that the load may last, whatever happens."""
_T = TypeVar("_T")


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

    Raises:
        UsageError: these servers cannot stand behind one balancer, or cannot be drained and killed.
        OpsError: one of those is being tuned, or a key cannot be had.
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
        self.pool = pool_under_test(profile, servers, settings, tls_name, ca)
        self._key = one_key(servers)
        for name in dict.fromkeys(filter(None, (settings.drain, settings.kill))):
            journal.claim(next(server for server in servers if server.name == name))
        self._why = ""
        self._profile = profile
        self._left_out = tuple(left_out)
        self._nginx = OwnNginx(binary, self.pool)
        self._plan = msgspec.structs.replace(plan, upstream_header=UPSTREAM_HEADER, servers=())
        # One thread: what puts things right again begins when what disturbed them has ended.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="failover")
        self._drill = Drill(profile, journal, tell)
        self._director = Director(
            servers, settings, self.pool, self._nginx, self._drill, self._in_thread
        )
        self._directing: asyncio.Task[None] | None = None
        self.load = self._load("http://127.0.0.1:1")

    @property
    def stage(self) -> str:
        """What is under way, in words."""
        return self._director.stage

    @property
    def run(self) -> Run:
        """The load test's record; complete when :meth:`ticks` has ended."""
        return self.load.run

    def stop(self, why: str) -> None:
        """Disturb nothing more, end the load, and bring back what is away."""
        self._why = self._why or why
        if self._directing is not None:
            self._directing.cancel()
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
                    if self._directing is None:
                        self._directing = asyncio.create_task(self._director.direct())
                        self._directing.add_done_callback(lambda _: self.load.stop(DONE))
                    yield tick
            await self._conclude()
        finally:
            await self._finish()

    async def _conclude(self) -> None:
        """The load has ended: by the director's word, or before it."""
        directing, run = self._directing, self.load.run
        if directing is None:
            return
        if run.stopped == DONE:
            run.stopped = ""
        elif not directing.done():
            run.stopped = run.stopped or "the load ended before the failover"
        directing.cancel()
        await asyncio.gather(directing, return_exceptions=True)
        error = None if directing.cancelled() else directing.exception()
        if error is None:
            with suppress(OpsError):  # it may have ended since it was last looked at
                self._director.check_nginx()
            return
        whole = run.measured()
        if whole is None or not whole.all().ended or not isinstance(error, Exception):
            raise error
        # What clients saw of it is what the test is for.
        self._director.fail("the test is done to its end", error)

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
        director = self._director
        return conclude(
            Evidence(
                profile=self._profile.name,
                nginx=self._nginx.binary.version,
                pool=self.pool,
                settings=self.settings,
                run=self.run,
                entries=self._nginx.log.entries,
                stages=director.stages,
                outages=director.outages,
                counted=director.counted,
                steady=director.steady,
                events=director.events,
                left_out=self._left_out,
                not_restored=self.not_restored,
                broken=director.broken,
                remarks=tuple(dict.fromkeys(self._drill.remarks)),
            )
        )

    def _load(self, url: str) -> LoadRun:
        """The load through the balancer, which is no server of ours: it is not polled."""
        server = Server(name="balancer", url=url, kind="http", api_key=self._key)
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
        if self._directing is not None:
            self._directing.cancel()
        self._director.stage = "bringing everything back"
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
                self._director.fail("nginx is cleared away", error)
