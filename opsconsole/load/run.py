"""A load test under way: it conducts the generator, yields ticks, and ends in a verdict."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

import msgspec

from opsconsole import __version__
from opsconsole.errors import OpsError, UsageError
from opsconsole.load.children import Generators
from opsconsole.load.collect import Collector, keep
from opsconsole.load.conductor import Overrun, conduct
from opsconsole.load.judge import default_thresholds, judge
from opsconsole.load.messages import Begin, Control, Frame, PhasesEnded, Ready, Setup, Stop
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import PhaseResult, Run, Tick
from opsconsole.load.sampling import Sampler
from opsconsole.load.targets import chosen, prepare
from opsconsole.load.validity import reasons
from opsconsole.load.windows import AbortWatch
from opsconsole.profile import Profile, Server
from opsconsole.profile.threshold import Threshold, parse_threshold

_LEAD_NS = 50_000_000
"""From telling the processes to begin until they do: all of them have read it by then."""
_GRACE = 10.0
_PROBE_GRACE = 2.0
_BUILDING = 120.0
_LOOK = 0.1


class LoadRun:
    """One run of ``plan`` against servers of ``profile``. For one event loop.

    Attributes:
        run: The record; complete when :meth:`ticks` has ended.
        phases: Those that were begun so far; a tick's ``phase`` counts in them.
        servers: Names of those that are loaded.

    Raises:
        UsageError: the plan names a server or a threshold that there is not.
    """

    def __init__(self, plan: Plan, profile: Profile) -> None:
        self._servers = chosen(plan, profile)
        self.servers = tuple(server.name for server in self._servers)
        self.plan = plan
        self.thresholds = _thresholds(plan, self._servers)
        self.phases: list[Phase] = []
        self.run = Run(
            id=_new_id(plan.name),
            at=time.time(),
            plan=plan,
            profile=profile.name,
            fingerprint=_fingerprint(plan, profile),
            servers={},
            machine=f"{platform.node()}, {platform.machine()}, Python {platform.python_version()}",
            version=__version__,
        )
        self._generators: Generators | None = None

    def pause(self, paused: bool = True) -> None:
        """Send nothing until told otherwise; the schedule stands still too."""
        self._tell(Control(paused=paused))

    def change(self, *, rate: float | None = None, concurrency: int | None = None) -> None:
        """Another rate a second, or another number of clients, from now on."""
        self._tell(Control(rate=rate, concurrency=concurrency))

    def stop(self, why: str) -> None:
        """Send nothing more; what is in flight may end. ``ticks`` ends after it."""
        if not self.run.stopped:
            self.run.stopped = why
            self._tell(Stop(grace=_GRACE))

    async def ticks(self) -> AsyncGenerator[Tick, None]:
        """The run, a tick a second as it happens.

        Raises:
            OpsError: a key cannot be had, or a generator process failed.
        """
        targets, self.run.servers = await prepare(self.plan, self._servers)
        shares = self.plan.processes or 1
        setups = [
            Setup(
                targets=targets,
                work=self.plan.work,
                timeout=self.plan.timeout,
                max_in_flight=self.plan.max_in_flight,
                upstream_header=self.plan.upstream_header,
                share=share,
                shares=shares,
            )
            for share in range(shares)
        ]
        sampler = Sampler(self._servers)
        async with Generators(setups) as generators:
            await self._ready(generators, shares)
            self._generators = generators
            sampler.start()
            try:
                async for tick in self._conduct(generators, shares, sampler):
                    yield tick
            finally:
                self._generators = None
                await sampler.stop()
        self._conclude()

    async def _ready(self, generators: Generators, shares: int) -> None:
        try:
            async with asyncio.timeout(_BUILDING):
                for _ in range(shares):
                    message = (await generators.inbox.get())[1]
                    if not isinstance(message, Ready):
                        raise message if isinstance(message, OpsError) else OpsError("not ready")
        except TimeoutError:
            raise OpsError(
                f"the requests were not built within {_BUILDING:g} s", where="load generator"
            ) from None

    async def _conduct(
        self, generators: Generators, shares: int, sampler: Sampler
    ) -> AsyncGenerator[Tick, None]:
        collector = Collector(time.monotonic_ns() + _LEAD_NS, shares)
        watch = AbortWatch(self.plan.aborts)
        conductor = conduct(self.plan, self.thresholds)
        overrun = Overrun() if self.plan.search is not None else None
        first = 0
        phases = next(conductor)
        while not self.run.stopped:
            begin = time.monotonic_ns() + _LEAD_NS
            generators.tell(Begin(phases=phases, first=first, at=begin))
            self.phases += phases
            spans: list[Sequence[tuple[int, int]]] = []
            while len(spans) < shares:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        _, message = await generators.inbox.get()
                    if isinstance(message, OpsError):
                        raise message
                    if isinstance(message, PhasesEnded):
                        spans.append(message.spans)
                    elif isinstance(message, Frame):
                        collector.add(message)
                for tick in collector.due(time.monotonic_ns()):
                    if overrun is not None and overrun.take(tick):
                        # The probe is lost: what is left of it would only pile up.
                        generators.tell(Stop(grace=_PROBE_GRACE))
                    yield self._take(tick, sampler, watch)
            for tick in collector.rest():
                yield self._take(tick, sampler, watch)
            results = collector.results(phases, first, spans)
            self.run.phases += results
            self.run.examples = collector.examples
            first += len(phases)
            try:
                # A search that is stopped says what it knows so far.
                phases = conductor.send([] if self.run.stopped else results)
            except StopIteration as end:
                self.run.conclusion = end.value
                return

    def _take(self, tick: Tick, sampler: Sampler, watch: AbortWatch) -> Tick:
        tick.servers = sampler.samples()
        if self.phases[tick.phase].measured and (why := watch.take(tick)) is not None:
            self.stop(f"aborted: {why}")
        keep(self.run.ticks, tick)
        return tick

    def _conclude(self) -> None:
        """Judge the whole, or for a search and a stress test only whether they can be believed."""
        run = self.run
        while run.phases and not _tried(run.phases[-1]):  # those that a stop left out
            run.phases.pop()
        measured = {i for i, result in enumerate(run.phases) if result.phase.measured}
        whole = run.measured()
        if whole is None or not _tried(whole):
            run.invalid = ["nothing was sent in a measured phase"]
        elif self.plan.search is not None or self.plan.steps is not None:
            # Beyond its limit a server is overrun on purpose: what is dropped there is a finding.
            held = [i for i in measured if self._held(run.phases[i])]
            if held:
                run.invalid = self._reasons(run.phases[max(held)], {max(held)})
        else:
            run.judgements = judge(whole, self.thresholds)
            run.invalid = self._reasons(whole, measured)

    def _held(self, result: PhaseResult) -> bool:
        return all(judgement.passed for judgement in judge(result, self.thresholds))

    def _reasons(self, result: PhaseResult, phases: set[int]) -> list[str]:
        ticks = [tick for tick in self.run.ticks if tick.phase in phases]
        return reasons(result, self.thresholds, ticks)

    def _tell(self, message: Control | Stop) -> None:
        if self._generators is not None:
            self._generators.tell(message)


def _tried(result: PhaseResult) -> bool:
    """Whether anything was to be sent; what could not be connected ends without being sent."""
    totals = result.all()
    return bool(totals.sent or totals.ended or result.client.due)


def _thresholds(plan: Plan, servers: Sequence[Server]) -> list[Threshold]:
    if not plan.thresholds:
        return list(default_thresholds(servers))
    found = []
    for text in plan.thresholds:
        try:
            found.append(parse_threshold(text))
        except ValueError as error:
            raise UsageError(f"{text!r}: {error}", where="threshold") from None
    return found


def _new_id(name: str) -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{secrets.token_hex(2)}"


def _fingerprint(plan: Plan, profile: Profile) -> str:
    """SHA-256 of what was to be run, on what; secrets are in neither."""
    text = msgspec.json.encode(
        (plan, [(s.name, s.url, s.daemon) for s in profile.servers]), order="deterministic"
    )
    return hashlib.sha256(text).hexdigest()
