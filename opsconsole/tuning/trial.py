"""One trial: the daemon started with other settings, loaded, and looked at."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
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
from opsconsole.errors import OpsError
from opsconsole.fleet import FetchError, client_for, fetch
from opsconsole.load import LoadRun, Plan, Run
from opsconsole.profile import Profile, Server
from opsconsole.text import clean_line
from opsconsole.tuning.records import Settings

_LOOK = 0.05
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

    Attributes:
        health: What the server's ``/health`` said after the last start.
        pid: Of the server that runs.
    """

    def __init__(
        self,
        profile: Profile,
        server: Server,
        folder: Folder,
        spec: Spec,
        environ: Mapping[str, str],
    ) -> None:
        self._profile = profile
        self._server = server
        self._folder = folder
        # A candidate that fails is a finding: nobody is to start it again and again.
        self._spec = spec._replace(restart="never", restart_on_degraded=0.0)
        self._environ = environ
        self._load_run: LoadRun | None = None
        self._driving: asyncio.Task[None] | None = None
        self._stopped = ""
        self._over = False
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
        spec = self._spec._replace(env=self._spec.env | settings)
        await self._halt(spec)
        self._go_on()
        deadline = time.monotonic() + timeout
        try:
            await asyncio.to_thread(launch, self._folder, spec, wait=False, secrets=self._environ)
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
        self.health = await self._health()

    async def load(self, plan: Plan) -> Run:
        """Load the server by ``plan``.

        Raises:
            TrialFailed: the server was gone, ran out of memory, or nothing could be sent.
            Stopped: told to stop meanwhile.
        """
        self._go_on()
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
        self.health = await self._health() or self.health
        if exhausted := self.health.get("engine", {}).get("out_of_memory"):
            raise TrialFailed(f"it ran out of memory {exhausted} times")
        return load_run.run

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

    async def _health(self) -> dict[str, Any]:
        try:
            async with client_for(self._server) as client, asyncio.timeout(self._server.timeout):
                answer = await fetch(client, "/health")
                found: dict[str, Any] = answer.json(dict[str, Any])
        except (FetchError, OpsError, TimeoutError):
            return {}
        return found

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
