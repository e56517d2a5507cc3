"""One trial: the daemon started with other settings, loaded, and looked at."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil

from opsconsole.daemon import DaemonState, DaemonStatus
from opsconsole.daemon.folder import Folder
from opsconsole.daemon.halt import halt
from opsconsole.daemon.launch import launch
from opsconsole.daemon.observe import inspect
from opsconsole.daemon.record import Spec
from opsconsole.daemon.started import DTYPE, Started, choices
from opsconsole.errors import OpsError
from opsconsole.fleet import health_of, poll
from opsconsole.load import LoadRun, Plan, Run
from opsconsole.profile import Profile, Server
from opsconsole.text import clean_line
from opsconsole.tuning.lines import as_lines
from opsconsole.tuning.records import Settings

_LOOK = 0.05
_SLACK = 20
"""Requests that others may send before it is said: somebody tries the server by hand."""
_ENDED = frozenset(
    {DaemonState.FATAL, DaemonState.EXITED, DaemonState.STOPPED, DaemonState.FOREIGN}
)


class TrialFailed(Exception):
    """The server with these settings did not come up, or did not last; the reason in words."""


class Stopped(Exception):
    """The tuning was stopped."""


class TimeOver(Stopped):
    """Its time is over."""


class Bench:
    """Where trials are made: one daemon, restarted with other settings again and again.

    Args:
        started: What was there.

    Attributes:
        start_timeout: Seconds that its start may take.
        told: The variables of a trial's server, but for the settings on trial.
        held: What the server as it was had measured and chosen by itself; where it did not run,
            what its first start did. From one start to the next it might choose otherwise, and a
            comparison would be of that.
        health: What the server's ``/health`` said after the last start.
        pid: Of the server that runs.
    """

    def __init__(self, profile: Profile, server: Server, folder: Folder, started: Started) -> None:
        self._profile = profile
        self._server = server
        self._folder = folder
        # A candidate that fails is a finding: nobody is to start it again and again.
        self._spec = started.spec._replace(restart="never", restart_on_degraded=0.0)
        self._environ = started.environ
        self._started = started
        self.start_timeout = started.spec.start_timeout
        self.told: Settings = {**started.environ, **started.spec.env}
        self.held: Settings = dict(started.chosen)
        self._load_run: LoadRun | None = None
        self._driving: asyncio.Task[None] | None = None
        self._stopped = ""
        self._over = False
        self._others = self._disturbed = 0
        self.health: dict[str, Any] = {}
        self.pid: int | None = None

    def stop(self, why: str) -> None:
        """End what is under way; what is in flight may end. A second time it is cut off."""
        again = bool(self._stopped)
        self._stopped = self._stopped or why
        if self._load_run is not None:
            self._load_run.stop(why)
        if again and self._driving is not None:
            self._driving.cancel()

    def expire(self) -> None:
        """The time is over: end what is under way."""
        if not self._stopped:
            self._over = True
            self.stop("the time was over")

    async def start(self, settings: Settings, timeout: float) -> None:
        """Stop what runs, start it with ``settings``, and wait until it is ready.

        Raises:
            TrialFailed: it does not come up within ``timeout`` seconds.
            Stopped: told to stop meanwhile.
        """
        # Another precision is fastest with batches of another size.
        held = {} if DTYPE in settings else self.held
        spec = self._spec._replace(env=self._spec.env | held | settings)
        await self._halt(spec)
        self._go_on()
        deadline = time.monotonic() + timeout
        try:
            await asyncio.to_thread(launch, self._folder, spec, wait=False, environ=self._environ)
        except OpsError as error:
            raise TrialFailed(str(error)) from error
        while (found := await asyncio.to_thread(self._look)).state is not DaemonState.RUNNING:
            self._go_on()
            if found.state in _ENDED:
                raise TrialFailed(_reason(found))
            if time.monotonic() >= deadline:
                raise TrialFailed(f"not ready after {timeout:.0f} s")
            await asyncio.sleep(_LOOK)
        self.pid = found.pid
        self.health = await health_of(self._server)
        if not settings and not self.held:
            self.held = choices(self.told, self.health)

    async def load(self, plan: Plan) -> Run:
        """Load the server by ``plan``.

        Raises:
            TrialFailed: the server was gone, ran out of memory, or nothing could be sent.
            Stopped: told to stop meanwhile.
        """
        self._go_on()
        before = await self._counted()
        self._load_run = load_run = LoadRun(plan, self._profile)
        self._driving = asyncio.create_task(_drive(load_run))
        try:
            await asyncio.wait((self._driving,))
            if not self._driving.cancelled():
                self._driving.result()
        except OpsError as error:
            self._go_on()
            raise TrialFailed(str(error)) from error
        finally:
            self._driving.cancel()  # of an end from outside
            self._load_run = self._driving = None
        self._go_on()
        found = await asyncio.to_thread(self._look)
        if found.pid != self.pid or found.state in _ENDED:
            raise TrialFailed(f"it did not last: {_reason(found)}")
        self.health = await health_of(self._server) or self.health
        if exhausted := self.health.get("engine", {}).get("out_of_memory"):
            raise TrialFailed(f"it ran out of memory {exhausted} times")
        after = await self._counted()
        if before is not None and after is not None:
            sent = sum(result.all().sent for result in load_run.run.phases)
            self._tell_others(round(after - before) - sent, sent)
        return load_run.run

    async def _counted(self) -> float | None:
        """Requests so far by the server's own counter."""
        counters = (await poll(self._server)).counters
        return counters.requests if counters is not None else None

    def _tell_others(self, count: int, sent: int) -> None:
        """So many requests of a trial were not ours; a few, in flight when it was counted, are."""
        if count > _SLACK + sent // 50:
            self._others += count
            self._disturbed += 1

    def memory(self) -> int | None:
        """The most resident bytes that the server's process had; now, where that is not kept."""
        if self.pid is None:
            return None
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return None

    def tau(self) -> float | None:
        """How its scores agree with float32: Kendall's tau; None when it does not say."""
        agreement = self.health.get("model", {}).get("agreement") or {}
        tau = agreement.get("kendall_tau")
        return float(tau) if isinstance(tau, int | float) else None

    def remarks(self) -> list[str]:
        """What the server is held to, and who else asked it."""
        return [*self._remark_held(), *self._remark_others()]

    def _remark_others(self) -> list[str]:
        if not self._disturbed:
            return []
        return [
            f"others asked it too: {self._others:,} requests in {self._disturbed} runs, which "
            "the figures have in them; tune where nobody else does"
        ]

    def _remark_held(self) -> list[str]:
        if self._started.unknown:
            return [
                "what it had measured and chosen at its start could not be told: what runs now "
                "may have chosen otherwise"
            ]
        if not self.held:
            return []
        lines = as_lines(self.held)
        if self._started.chosen:
            return [
                f"held to what it had chosen by itself, also now: {lines}; the next restart "
                "chooses again"
            ]
        return [
            f"all trials were held to what its first start chose by itself: {lines}; another may "
            "choose otherwise"
        ]

    async def _halt(self, spec: Spec) -> None:
        try:
            found = await asyncio.to_thread(halt, self._folder, spec)
        except OpsError as error:
            raise TrialFailed(str(error)) from error
        if found.survivors:
            raise TrialFailed(f"the last one does not end: {found.detail}")

    def _look(self) -> DaemonStatus:
        spec = self._spec
        return inspect(self._folder, spec.profile, spec.name, spec.host, spec.port)

    def _go_on(self) -> None:
        if self._stopped:
            raise (TimeOver if self._over else Stopped)(self._stopped)


async def _drive(load_run: LoadRun) -> None:
    async with aclosing(load_run.ticks()) as ticks:
        async for _ in ticks:
            pass


def _reason(found: DaemonStatus) -> str:
    said = [clean_line(text, 300) for text in (found.detail, found.last_exit or "") if text]
    return "; ".join(dict.fromkeys(said)) or str(found.state)
