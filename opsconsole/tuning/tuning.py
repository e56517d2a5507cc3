"""A tuning from its first look to what was there being there again, whatever happens between."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable

from opsconsole.daemon import DaemonState, status
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.leftovers import tuning_journal
from opsconsole.daemon.started import Started
from opsconsole.errors import OpsError, UsageError
from opsconsole.fleet import health_of
from opsconsole.profile import Profile, Server
from opsconsole.tuning.before import (
    Before,
    hold,
    look,
    put_back,
    read_journal,
    write_journal,
)
from opsconsole.tuning.frontier import contenders, frontier
from opsconsole.tuning.lines import as_lines, as_yaml
from opsconsole.tuning.records import Doing, Event, Recommendation, Report, Step
from opsconsole.tuning.request import LEAST_BUDGET, Request
from opsconsole.tuning.space import effective
from opsconsole.tuning.steps import PRESETS, clients_of, run_step
from opsconsole.tuning.sweep import Sweep
from opsconsole.tuning.trial import Bench, Stopped, TimeOver


class Tuning:
    """One tuning of one daemon. For one event loop.

    Raises:
        UsageError: a request that makes no sense.
    """

    def __init__(self, profile: Profile, server: Server, request: Request) -> None:
        if request.budget < LEAST_BUDGET:
            raise UsageError(f"expected {LEAST_BUDGET:g}s or more", where="--budget")
        if request.preset and request.preset not in PRESETS:
            raise UsageError(f"there is no preset {request.preset!r}", where="--preset")
        request.plan(server.name, 1.0)  # says what is wrong with the load
        self.profile = profile
        self.server = server
        self.request = request
        level = server.service_level.p95
        self.limit = request.limit if request.limit is not None else level
        self._bench: Bench | None = None
        self._stopped = ""

    def stop(self, why: str) -> None:
        """End it, and put back what was there; the same call again cuts off what is in flight.

        Nothing can keep it from restoring.
        """
        self._stopped = self._stopped or why
        if self._bench is not None:
            self._bench.stop(why)

    async def run(self, tell: Callable[[Event], None]) -> Report:
        """Tune, and leave the daemon as it was.

        Args:
            tell: Called with what is being done, and with each trial that has ended. What it
                raises ends the tuning, after the restoring.

        Raises:
            OpsError: another tuning is at work, it cannot be tuned or measured, or what was there
                could not be restored (the journal stays for ``--restore`` then).
        """
        begin, at = time.monotonic(), time.time()
        until = begin + self.request.budget
        notes: list[str] = []
        with hold(self.profile, self.server):
            if (words := await asyncio.to_thread(_recover, self.profile, self.server)) is not None:
                notes.append(f"an earlier tuning was killed: the daemon was put back, {words}")
            health = await health_of(self.server)
            before, started = await asyncio.to_thread(look, self.profile, self.server, health)
            folder = folder_of(self.profile, self.server)
            # Nonsense is said before anything is touched.
            was = effective({**started.environ, **started.spec.env}, {})
            if self.request.preset:
                clients_of(self.request, was)
            bench = Bench(self.profile, self.server, folder, started)
            sweep = Sweep(bench, self.server.name, self.request, self.limit, until, tell)
            sweep.notes += notes
            write_journal(folder, before)
            self._bench = bench
            if self._stopped:
                bench.stop(self._stopped)
            timer = asyncio.get_running_loop().call_later(self.request.budget, bench.expire)
            try:
                found, load = await self._measure(sweep, bench, until)
            finally:
                timer.cancel()
                restored = await self._restore(before, started, tell)
        return self._report(sweep, found, load, at, time.monotonic() - begin, restored)

    async def _measure(
        self, sweep: Sweep, bench: Bench, until: float
    ) -> tuple[Recommendation | Step | None, str]:
        request = self.request
        try:
            if request.preset:
                left = until - time.monotonic()
                return await run_step(sweep, bench, self.server, request, self.limit, left)
            return await sweep.run(), request.load_words
        except TimeOver as over:
            sweep.notes.append(f"{over} before it was done")
            why = f"{over} before anything was confirmed"
            found = None if request.preset else Recommendation(settings={}, why=why)
            return found, request.load_words
        except Stopped as stopped:
            self._stopped = self._stopped or str(stopped)
            return None, request.load_words

    async def _restore(
        self, before: Before, started: Started, tell: Callable[[Event], None]
    ) -> str:
        """Put back what was there: a cancellation waits for it."""
        doing = Doing(what="putting back what was there", settings=None, until=time.monotonic())
        with contextlib.suppress(Exception):  # a terminal that is gone keeps nothing from this
            tell(doing)
        work = asyncio.ensure_future(
            asyncio.to_thread(put_back, self.profile, self.server, before, started)
        )
        cancelled = False
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                cancelled = True
            except Exception:
                break
        words = work.result()
        if cancelled:
            raise asyncio.CancelledError
        return words

    def _report(
        self,
        sweep: Sweep,
        found: Recommendation | Step | None,
        load: str,
        at: float,
        seconds: float,
        restored: str,
    ) -> Report:
        settings = {} if found is None else found.settings
        return Report(
            profile=self.profile.name,
            server=self.server.name,
            at=at,
            seconds=seconds,
            load=load,
            goal=self.request.goal,
            limit=self.limit,
            was=sweep.was,
            trials=tuple(sweep.trials),
            frontier=tuple(trial.number for trial in frontier(contenders(sweep.trials))),
            recommendation=found if isinstance(found, Recommendation) else None,
            step=found if isinstance(found, Step) else None,
            lines=as_lines(settings),
            yaml=as_yaml(settings) if settings else "",
            notes=tuple(dict.fromkeys(sweep.remarks())),
            stopped=self._stopped,
            restored=restored,
        )


def restore(profile: Profile, server: Server) -> str | None:
    """Put back what a tuning that was killed left behind; in words, None when there is nothing.

    Blocks.

    Raises:
        OpsError: a tuning is at work, or it cannot be put back.
    """
    with hold(profile, server):
        return _recover(profile, server)


def left_behind(profile: Profile, server: Server) -> bool:
    """Whether a tuning is at work on this daemon, or was killed."""
    return os.path.exists(tuning_journal(folder_of(profile, server)))


def _recover(profile: Profile, server: Server) -> str | None:
    folder = folder_of(profile, server)
    before = read_journal(folder)
    if before is None:
        return None
    if status(profile, server).state is DaemonState.FOREIGN:
        raise OpsError("another process holds its port", where=server.name,
                       hint="end that first")  # fmt: skip
    return put_back(profile, server, before)
