"""The load test of this console: it goes on whatever screen is shown, one at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Literal

from opsconsole.actions.perform import note
from opsconsole.errors import OpsError
from opsconsole.load import LoadRun, Plan, Run, store
from opsconsole.load.compare import Comparison, compare
from opsconsole.load.live import Live
from opsconsole.load.plan import Phase
from opsconsole.load.summary import Summary, sentence, summarize, verdict
from opsconsole.profile import Profile
from opsconsole.profile.threshold import Threshold
from opsconsole.tui.courtesy import courteous
from opsconsole.tui.terminal import write_crash

State = Literal["starting", "running", "paused", "stopping", "ended", "failed"]
Say = Callable[[str, str], None]
"""Told to the operator: the words, and ``information``, ``warning`` or ``error``."""

_MORE = 1.25
_LEAVE = 2.0
"""Seconds that what is in flight gets when the console is left."""
_CONCLUDE = 15.0
"""Seconds after which a run that was told to end is cut off: its generator says nothing."""


@dataclass
class Session:
    """One run on the screen: under way, ended, or a stored one that was opened again.

    Attributes:
        run: Complete when ``state`` is ``ended``.
        error: Why it failed.
        rate, concurrency: As changed by hand since; None: as planned.
        comparison: With the baseline, when it has ended. ``not_compared``: why there is none.
        saved: Where it is stored, or why it is not.
    """

    plan: Plan
    profile: str
    servers: tuple[str, ...]
    thresholds: list[Threshold]
    live: Live
    run: Run
    state: State = "starting"
    error: str = ""
    rate: float | None = None
    concurrency: int | None = None
    comparison: Comparison | None = None
    compared_with: Summary | None = None
    not_compared: str = ""
    saved: str = ""

    @property
    def under_way(self) -> bool:
        """Whether it still sends, or waits for answers."""
        return self.state not in ("ended", "failed")


class LoadDesk:
    """Runs load tests for the console.

    Attributes:
        session: What is shown; None before the first.
        version: Grows with every change; a screen redraws when it has seen another one.
        wanted: Servers that were chosen for the next test on another screen.
    """

    def __init__(self, say: Say) -> None:
        self.session: Session | None = None
        self.version = 0
        self.wanted: tuple[str, ...] = ()
        self._say = say
        self._load_run: LoadRun | None = None
        self._task: asyncio.Task[None] | None = None
        self._at = 0

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self._task is not None and not self._task.done()

    def start(self, plan: Plan, profile: Profile) -> None:
        """Run ``plan``.

        Raises:
            OpsError: one is under way, or the plan does not fit the profile.
        """
        if self.busy:
            raise OpsError("a load test is under way", hint="stop it first")
        load_run = LoadRun(plan, profile)
        self._load_run, self._at = load_run, 0
        self.session = Session(
            plan=plan,
            profile=profile.name,
            servers=load_run.servers,
            thresholds=load_run.thresholds,
            live=Live(plan, load_run.phases, load_run.thresholds),
            run=load_run.run,
        )
        self._task = asyncio.create_task(self._drive(self.session, load_run, profile))
        self._changed()

    def open(self, run: Run) -> None:
        """Show a stored run.

        Raises:
            OpsError: one is under way.
        """
        if self.busy:
            raise OpsError("a load test is under way", hint="stop it first")
        live = Live.of(run)
        self.session = Session(
            plan=run.plan,
            profile=run.profile,
            servers=tuple(run.servers),
            thresholds=live.thresholds,
            live=live,
            run=run,
            state="ended",
        )
        self._changed()

    def pause(self) -> None:
        """Send nothing, or go on."""
        session = self._underway()
        if session is None or self._load_run is None:
            return
        if session.state not in ("running", "paused"):
            self._say(f"it is {session.state}: nothing to pause", "warning")
            return
        paused = session.live.paused = session.state == "running"
        self._load_run.pause(paused)
        session.state = "paused" if paused else "running"
        self._changed()

    def stop(self, why: str = "by the operator") -> None:
        """Send nothing more; what is in flight may end. The second time none waits for it."""
        session = self._underway()
        if session is None or self._load_run is None or self._task is None:
            return
        if session.state == "starting":
            self._task.cancel()  # nothing is measured yet
            return
        if session.state == "stopping":
            self._load_run.hurry()
            return
        self._load_run.stop(why)
        session.state = "stopping"
        self._changed()

    def faster(self) -> None:
        """A quarter more requests a second, or more clients."""
        self._scale(_MORE)

    def slower(self) -> None:
        """A fifth fewer requests a second, or fewer clients."""
        self._scale(1 / _MORE)

    async def close(self) -> None:
        """Stop what runs, store what was measured. The console is being left."""
        task, load_run = self._task, self._load_run
        if task is None or task.done() or load_run is None:
            return
        self._say = lambda words, severity: None
        if self.session is not None and self.session.under_way:
            load_run.stop("the console was left")
            await asyncio.wait((task,), timeout=_LEAVE)
            load_run.hurry()
        # What is ended is being stored, which is not to be cut off.
        await asyncio.wait((task,), timeout=_CONCLUDE)
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _underway(self) -> Session | None:
        if self.session is None or not self.session.under_way:
            self._say("no load test is under way", "warning")
            return None
        return self.session

    def _scale(self, by: float) -> None:
        session = self._underway()
        if session is None or self._load_run is None:
            return
        phase = self._phase()
        if phase is None or session.state not in ("running", "paused"):
            self._say(f"it is {session.state}", "warning")
        elif session.plan.mode in ("search", "stress"):
            self._say(f"a {session.plan.mode} test chooses its load itself", "warning")
        elif not phase.measured:
            self._say("it is warming up", "warning")
        elif phase.concurrency is not None:
            clients = session.concurrency or phase.concurrency
            step = max(1, round(abs(clients * by - clients)))
            clients = min(10_000, max(1, clients + (step if by > 1 else -step)))
            session.concurrency = clients
            self._load_run.change(concurrency=clients)
        elif phase.rate is None or phase.rate_end is not None:
            self._say("its rate follows a course of its own", "warning")
        else:
            rate = float(f"{(session.rate or phase.rate) * by:.3g}")
            session.rate = rate
            self._load_run.change(rate=rate)
        self._changed()

    def _phase(self) -> Phase | None:
        assert self._load_run is not None
        phases = self._load_run.phases
        return phases[self._at] if self._at < len(phases) else None

    async def _drive(self, session: Session, load_run: LoadRun, profile: Profile) -> None:
        begin = time.monotonic()
        targets = ",".join(session.servers)
        try:
            with courteous():
                async with aclosing(load_run.ticks()) as ticks:
                    async for tick in ticks:
                        self._take(session, tick.phase)
                        session.live.take(tick)
                        self._changed()
        except asyncio.CancelledError:
            session.state, session.error = "failed", "cut off before its end"
            note("load.run", profile, targets, "tui", begin, "failed", session.error)
            self._changed()
            return
        except OpsError as error:
            session.state, session.error = "failed", str(error)
            note("load.run", profile, targets, "tui", begin, "failed", str(error))
            self._say(session.error, "error")
            self._changed()
            return
        except Exception as error:
            session.state, session.error = "failed", f"internal error: {type(error).__name__}"
            path = write_crash(error)
            self._say(f"{session.error}, trace in {path}", "error")
            self._changed()
            return
        session.live.end(load_run.run)
        session.state = "ended"
        self._changed()
        outcome = verdict(load_run.run)
        note("load.run", profile, targets, "tui", begin, outcome, session.plan.name)
        good = outcome in ("passed", "measured")
        self._say(f"{session.plan.name}: {sentence(load_run.run)}",
                  "information" if good else "warning")  # fmt: skip
        await self._keep(session)
        self._changed()

    def _take(self, session: Session, phase: int) -> None:
        if session.state == "starting":
            session.state = "running"
        if phase != self._at:
            self._at = phase  # which has a law of its own again
            session.rate = session.concurrency = None

    async def _keep(self, session: Session) -> None:
        """Store the run and hold it against the baseline, in threads: both take a while."""
        run = session.run
        try:
            session.saved = str(await asyncio.to_thread(store.save, run))
        except OpsError as error:
            session.saved = f"not stored: {error}"
            self._say(session.saved, "error")
            return
        try:
            base = await asyncio.to_thread(store.baseline, run.plan.name, run.profile)
        except OpsError as error:
            session.not_compared = str(error)
            self._say(f"not compared: {error}", "warning")
            return
        if base is None:
            session.not_compared = "no baseline"
            return
        self._changed()
        try:
            session.comparison = await asyncio.to_thread(compare, base, run)
            session.compared_with = summarize(base)
        except OpsError as error:
            session.not_compared = str(error)

    def _changed(self) -> None:
        self.version += 1
