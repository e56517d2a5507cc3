"""A load test under way: it conducts the generator, yields ticks, and ends in a verdict."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import secrets
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress

import msgspec
from msgspec import structs

from opsconsole import __version__
from opsconsole.errors import OpsError, UsageError
from opsconsole.load.beside import announced
from opsconsole.load.children import Generators
from opsconsole.load.collect import Collector, keep
from opsconsole.load.conductor import conduct
from opsconsole.load.judge import thresholds_of
from opsconsole.load.levels import Levels
from opsconsole.load.messages import (
    Begin,
    Control,
    Frame,
    FromGenerator,
    PhasesEnded,
    Ready,
    Setup,
    Stop,
)
from opsconsole.load.overrun import Overrun
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import PhaseResult, Run, Tick
from opsconsole.load.replay_file import refuse_changed
from opsconsole.load.sampling import Sampler
from opsconsole.load.secrecy import is_masked, masked
from opsconsole.load.shares import processes_for
from opsconsole.load.targets import chosen, prepare
from opsconsole.load.validity import failures, reasons
from opsconsole.load.windows import AbortWatch
from opsconsole.profile import Profile, Server
from opsconsole.profile.units import format_rate

_LEAD_NS = 50_000_000
"""From telling the processes to begin until they do: all of them have read it by then."""
_GRACE = 10.0
_PROBE_GRACE = 2.0
_BUILDING = 120.0
_LOOK = 0.1
SILENT = 10.0
"""Seconds without a word from a generator, which has something to say five times a second, after
which it is given up."""


class LoadRun:
    """One run of ``plan`` against servers of ``profile``. For one event loop.

    Attributes:
        run: The record; complete when :meth:`ticks` has ended.
        phases: Those that were begun so far; a tick's ``phase`` counts in them.
        servers: Names of those that are loaded.

    Raises:
        UsageError: the plan names a server or a threshold that there is not, or it is that of a
            stored run and lacks its secrets.
    """

    def __init__(self, plan: Plan, profile: Profile) -> None:
        if is_masked(plan):
            raise UsageError(
                "a part of this plan is a secret, which was not stored",
                where=plan.name, hint="run it from its profile or its options again",
            )  # fmt: skip
        self._servers = chosen(plan, profile)
        self.servers = tuple(server.name for server in self._servers)
        self.plan = plan
        self.thresholds = thresholds_of(plan, self._servers)
        self._levels = Levels(self.thresholds)
        self.phases: list[Phase] = []
        self.run = Run(
            id=_new_id(plan.name),
            at=time.time(),
            plan=(kept := masked(plan, _keys_of(self._servers))),
            profile=profile.name,
            fingerprint=_fingerprint(kept, profile),
            servers={},
            machine=f"{platform.node()}, {platform.machine()}, Python {platform.python_version()}",
            version=__version__,
        )
        self._generators: Generators | None = None
        self._failure: OpsError | None = None
        self._ended = False
        self._origin = time.monotonic_ns()

    def pause(self, paused: bool = True) -> None:
        """Send nothing until told otherwise; the schedule stands still too."""
        self._intervene("paused" if paused else "went on")
        self._tell(Control(paused=paused))

    def change(self, *, rate: float | None = None, concurrency: int | None = None) -> None:
        """Another rate a second, or another number of clients, from now on."""
        if rate is not None:
            self._intervene(format_rate(rate))
        if concurrency is not None:
            self._intervene(f"{concurrency:,} client{'s' * (concurrency != 1)}")
        self._tell(Control(rate=rate, concurrency=concurrency))

    def stop(self, why: str, *, forgive: bool = True) -> None:
        """Send nothing more; what is in flight may end. ``ticks`` ends after it.

        Args:
            forgive: What has not ended after some seconds is counted neither as good nor as bad.
        """
        if not self.run.stopped and not self._ended:
            self.run.stopped = why
            self._tell(Stop(grace=_GRACE, forgive=forgive))

    def hurry(self) -> None:
        """Of a run that is stopped: wait no longer for what is in flight."""
        if self.run.stopped:
            self._tell(Stop(grace=0.0, forgive=True))

    async def ticks(self) -> AsyncGenerator[Tick, None]:
        """The run, a tick a second as it happens.

        Whoever does not go on to its end closes it (contextlib.aclosing) or is cancelled: then, at
        whatever moment, the generator processes are ended too.

        Raises:
            OpsError: a key cannot be had, the replayed file is another by now, or a generator
                process failed before anything was measured. One that fails later makes the run
                invalid.
        """
        await asyncio.to_thread(refuse_changed, self.plan.work)
        targets, self.run.servers = await prepare(self.plan, self._servers)
        self.run.processes = shares = processes_for(self.plan, targets)
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
        urls = [server.url for server in self._servers]
        async with Generators(setups) as generators:
            await self._ready(generators, shares)
            self._generators = generators
            sampler.start()
            try:
                conducted = self._conduct(generators, shares, sampler)
                with announced(urls, self.plan.name):
                    async with aclosing(conducted) as ticks:
                        async for tick in ticks:
                            yield tick
            finally:
                self._generators = None
                await sampler.stop()
        if self._failure is not None and not any(map(_tried, self.run.phases)):
            raise self._failure
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
        self._origin = time.monotonic_ns() + _LEAD_NS
        collector = Collector(self._origin)
        self.run.examples = collector.examples  # they grow while it runs
        watch = AbortWatch(self.plan.aborts)
        conductor = conduct(self.plan, self.thresholds)
        phases = next(conductor)
        while not self._is_over():
            first = len(self.run.phases)
            results: list[PhaseResult] = []
            for batch in batches(phases, shares):
                if self._is_over():
                    break
                begun = first + len(results)
                async with aclosing(self._run(batch, begun, generators, collector)) as ticks:
                    async for tick in ticks:
                        yield self._take(tick, sampler, watch)
                results += collector.results(batch, begun, self._spans)
            self.run.phases += results
            if self._failure is not None:
                return
            try:
                # A search that is stopped says what it knows so far.
                phases = conductor.send([] if self.run.stopped else results)
            except StopIteration as end:
                self.run.conclusion = end.value
                return

    async def _run(
        self, phases: tuple[Phase, ...], first: int, generators: Generators, collector: Collector
    ) -> AsyncGenerator[Tick, None]:
        """The ticks of phases that follow each other in every process without waiting."""
        overrun = Overrun.of(self.plan, self.thresholds, phases, first)
        begin = time.monotonic_ns() + _LEAD_NS
        generators.tell(Begin(phases=phases, first=first, at=begin))
        self.phases += phases
        self._spans: list[Sequence[tuple[int, int]]] = []
        looked = time.monotonic()
        heard = dict.fromkeys(range(self.run.processes), looked)
        while heard and self._failure is None:
            for process, message in await _said(generators):
                if process in heard:
                    heard[process] = time.monotonic()
                if isinstance(message, OpsError):
                    self._failure = message
                elif isinstance(message, PhasesEnded):
                    self._spans.append(message.spans)
                    heard.pop(process, None)
                elif isinstance(message, Frame):
                    collector.add(message, process)
            now = time.monotonic()
            was_away, looked = now - looked > 10 * _LOOK, now
            if was_away:  # this process, as after Ctrl-Z: there is more to be read
                heard = dict.fromkeys(heard, now)
                continue
            if heard and now - min(heard.values()) > SILENT:
                self._failure = OpsError(f"said nothing for {SILENT:g} s", where="load generator")
            for tick in collector.due(time.monotonic_ns()):
                if overrun is not None and overrun.take(tick):
                    # The probe is lost: what is left of it would only pile up.
                    generators.tell(Stop(grace=_PROBE_GRACE))
                yield tick
        for tick in collector.rest():
            yield tick

    def _is_over(self) -> bool:
        return bool(self.run.stopped) or self._failure is not None

    def _take(self, tick: Tick, sampler: Sampler, watch: AbortWatch) -> Tick:
        tick.servers = sampler.samples()
        if self.phases[tick.phase].measured:
            self._levels.take(tick)
            if (why := watch.take(tick)) is not None:
                self.stop(f"aborted: {why}", forgive=False)
        else:
            self._levels.pass_by(tick)
            watch.pass_by(tick)
        keep(self.run.ticks, tick)
        return tick

    def _conclude(self) -> None:
        """Judge the whole, or for a search and a stress test only whether they can be believed."""
        run = self.run
        self._ended = True
        while run.phases and not _tried(run.phases[-1]):  # those that a stop left out
            run.phases.pop()
        whole = run.measured()
        if whole is None or not _tried(whole):
            ours = list(failures(whole.client)) if whole is not None else []
            run.invalid = ours or ["nothing was sent in a measured phase"]
        elif self.plan.search is not None or self.plan.steps is not None:
            # Beyond its limit a server is overrun on purpose: what is dropped there is a finding.
            found = run.conclusion
            held = found.phase if found is not None else None
            if held is not None and held < len(run.phases):
                run.invalid = reasons(run.phases[held], self.thresholds)
            elif not run.stopped and found is not None and found.low is found.high is None:
                run.invalid = ["nothing that was tried could be judged"]
        else:
            run.judgements = self._levels.judge(whole)
            own = [tick for tick in run.ticks if self.phases[tick.phase].measured]
            run.invalid = reasons(whole, self.thresholds, own, self._levels.doubts())
        if self._failure is not None:
            run.invalid.insert(0, f"the {self._failure.where} {self._failure.what}")

    def _intervene(self, what: str) -> None:
        seconds = max(0, time.monotonic_ns() - self._origin) / 1e9
        self.run.interventions.append(f"{seconds:.0f}s: {what}")

    def _tell(self, message: Control | Stop) -> None:
        if self._generators is not None:
            self._generators.tell(message)


async def _said(generators: Generators) -> list[tuple[int, FromGenerator | OpsError]]:
    """All that the processes have said, or nothing after a while."""
    found = []
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK):
            found.append(await generators.inbox.get())
    while not generators.inbox.empty():
        found.append(generators.inbox.get_nowait())
    return found


def batches(phases: tuple[Phase, ...], processes: int) -> Iterator[tuple[Phase, ...]]:
    """Phases that may follow each other without waiting: of several processes one may be through
    with a number of requests before the others, and must not be a phase ahead of them."""
    if processes == 1:
        yield phases
        return
    begin = 0
    for end, phase in enumerate(phases, 1):
        if phase.requests is not None or end == len(phases):
            yield phases[begin:end]
            begin = end


def _tried(result: PhaseResult) -> bool:
    """Whether anything was to be sent; what could not be connected ends without being sent."""
    totals = result.all()
    return bool(totals.sent or totals.ended or result.client.due)


def _new_id(name: str) -> str:
    # In UTC: an hour that a clock goes through twice would name a later run before an earlier.
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{name}-{secrets.token_hex(3)}"


def _keys_of(servers: Iterable[Server]) -> Iterator[str]:
    """The keys that can be had; the others are missed where they are needed."""
    for server in servers:
        if server.api_key is not None:
            with suppress(OpsError):
                yield server.api_key.reveal()


def _fingerprint(plan: Plan, profile: Profile) -> str:
    """SHA-256 of what was to be run, on what; secrets are in neither. Of a replay what the file
    holds is in it, wherever that lies."""
    if plan.work.replayed is not None:
        plan = structs.replace(plan, work=structs.replace(plan.work, replay=""))
    text = msgspec.json.encode(
        (plan, [(s.name, s.url, s.daemon) for s in profile.servers]), order="deterministic"
    )
    return hashlib.sha256(text).hexdigest()
