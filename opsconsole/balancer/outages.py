"""Taking a daemon away and bringing it back, whatever comes between. All calls block."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Literal

from opsconsole.balancer.away import RESTORE, Journal
from opsconsole.balancer.before import look, noted, otherwise, recall
from opsconsole.daemon import DaemonState, start, status
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.halt import halt
from opsconsole.daemon.holding import hold_daemon
from opsconsole.daemon.identity import Handle, Identity
from opsconsole.daemon.started import Started
from opsconsole.daemon.states import ENDED
from opsconsole.errors import OpsError, UsageError
from opsconsole.profile import Profile, Server

_ENDING = 10.0
_POLL = 0.05
_MARGIN = 10.0

Tell = Callable[[str, str, float, str, str], object]
"""For the audit trail: action, server, when it began (monotonic), outcome, detail."""


def _untold(*_: object) -> None:
    pass


class OutageNotes:
    """When what happened to a server, Unix seconds; None: not yet, or not at all. ``awaited``: its
    return was waited for to the end."""

    def __init__(self, server: str, how: Literal["drained", "killed"], at: float) -> None:
        self.server, self.how, self.at = server, how, at
        self.gone: float | None = None
        self.healthy: float | None = None
        self.by: Literal["its keeper", "opsconsole", ""] = ""
        self.awaited = False


class Drill:
    """Daemons of ``profile`` that are disturbed on purpose.

    Args:
        journal: What is away is written there before it is touched.
        tell: Called for each stop, kill and start, also from other threads.

    Attributes:
        not_restored: Those that :meth:`restore` could not bring back, and why.
        remarks: What is not quite as it was: a server's precision, a secret that is lost.
    """

    def __init__(self, profile: Profile, journal: Journal, tell: Tell = _untold) -> None:
        self._profile = profile
        self._journal = journal
        self._tell = tell
        self._touched: dict[str, Server] = {}
        self._before: dict[str, Started] = {}
        self._lost: dict[str, tuple[str, ...]] = {}
        self.not_restored: list[str] = []
        self.remarks: list[str] = []

    @property
    def touched(self) -> bool:
        """Whether any was disturbed and not restored yet."""
        return bool(self._touched)

    def drain(self, server: Server) -> str:
        """Stop it gently; what it says of its end.

        Raises:
            OpsError: it is not ours, does not end, or cannot be written down.
        """
        before = self._touch(server)
        begin = time.monotonic()
        try:
            stopped = halt(folder_of(self._profile, server), before.spec)
            if stopped.survivors:
                raise OpsError(f"it does not end: {stopped.detail}", where=server.name)
        except OpsError as error:
            self._tell("server.stop", server.name, begin, "failed", str(error))
            raise
        self._tell("server.stop", server.name, begin, str(stopped.state), stopped.detail)
        return f"{server.name}: {stopped.detail or stopped.state}"

    def bring_back(self, server: Server) -> None:
        """Start it and wait until it is ready.

        Raises:
            OpsError: it does not start.
        """
        begin = time.monotonic()
        there = status(self._profile, server).state is DaemonState.RUNNING
        try:
            if (before := self._had(server)) is None:
                found = start(self._profile, server)
            else:
                found = before.again(folder_of(self._profile, server))
        except OpsError as error:
            self._tell("server.start", server.name, begin, "failed", str(error))
            raise
        if not there:
            self._tell("server.start", server.name, begin, str(found.state), found.detail)
            if lost := self._lost.pop(server.name, ()):
                names = ", ".join(lost)
                self.remarks.append(f"{server.name}: without {names}: secrets are in no file")
        self._journal.back(server.name)

    def _touch(self, server: Server) -> Started:
        before = look(self._profile, server)
        self._journal.away(server.name, noted(before))
        self._before[server.name] = before
        if before.unknown:
            self.remarks.append(
                f"{server.name}: what it had chosen at its start could not be told: it may have "
                "chosen otherwise now"
            )
        self._touched[server.name] = server
        return before

    def _had(self, server: Server) -> Started | None:
        """What it ran with before it was touched; None where nobody knows."""
        if server.name not in self._before and (told := self._journal.started.get(server.name)):
            self._before[server.name], self._lost[server.name] = recall(self._profile, server, told)
        return self._before.get(server.name)

    def kill(self, server: Server) -> Identity:
        """SIGKILL to the server's process, proved to be it; who it was.

        Raises:
            OpsError: there is none, it cannot be proved, does not end, or cannot be written down.
        """
        identity = _identity(self._profile, server)
        self._touch(server)
        begin = time.monotonic()
        handle = Handle.claim(identity)
        if handle is None:
            raise OpsError("its process has ended by itself", where=server.name)
        with handle:
            handle.send(signal.SIGKILL)
            self._tell("server.kill", server.name, begin, "killed", f"process {identity.pid}")
            if not handle.wait(_ENDING):
                raise OpsError("KILL does not end it", where=server.name)
        return identity

    def await_restart(
        self, server: Server, killed: Identity
    ) -> Literal["its keeper", "opsconsole"]:
        """Wait until another process of it is ready; where its keeper does not see to that, start
        it. Who did.

        Raises:
            OpsError: it does not come back.
        """
        daemon = server.daemon
        assert daemon is not None
        patience = daemon.start_timeout + daemon.backoff + _MARGIN
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            seen = status(self._profile, server)
            if seen.state is DaemonState.RUNNING and seen.pid not in (None, killed.pid):
                self._journal.back(server.name)
                if remark := otherwise(server, self._before[server.name]):
                    self.remarks.append(remark)
                return "its keeper"
            if seen.state in ENDED or seen.state is DaemonState.ORPHANED:
                break
            time.sleep(_POLL)
        self.bring_back(server)
        return "opsconsole"

    def restore(self) -> None:
        """Start what was disturbed and does not run. Raises nothing: see :attr:`not_restored`."""
        for server in self._touched.values():
            try:
                self.bring_back(server)
            except OpsError as error:
                self.not_restored.append(error.about(server.name))
            except Exception as error:  # the others come back all the same
                self.not_restored.append(f"{server.name}: {type(error).__name__}: {error}")
        self._touched.clear()


def put_back(profile: Profile, journal: Journal, tell: Tell = _untold) -> list[str]:
    """Start what a failover test that was killed has left away; what was done, in words. Blocks.

    Raises:
        OpsError: not all could be started; those stay in the journal.
    """
    drill, done, failed = Drill(profile, journal, tell), [], []
    for name in journal.names:
        server = profile.server(name)
        if server is None or server.daemon is None:
            done.append(f"{name}: no daemon of this profile any more, left as it is")
            continue
        there = status(profile, server).state is DaemonState.RUNNING
        try:
            with hold_daemon(folder_of(profile, server), "failover test", name):
                drill.bring_back(server)
        except OpsError as error:
            failed.append(error.about(name))
            continue
        done.append(f"{name}: {'it runs already' if there else 'running again'}")
    done += drill.remarks
    if failed:
        raise OpsError("; ".join([*failed, *done]), where=profile.name, hint=f"then: {RESTORE}")
    return done


def require_kept(profile: Profile, server: Server) -> None:
    """It runs under a keeper of ours, so that it can be taken away and brought back.

    Raises:
        UsageError: it is no daemon of this machine.
        OpsError: it does not run, or nobody keeps it.
    """
    if server.daemon is None:
        raise UsageError(
            f"{server.name} is no daemon of this machine: it can be neither drained nor killed",
            where=profile.name, hint="--only-load for the balancing alone",
        )  # fmt: skip
    seen = status(profile, server)
    if seen.state is not DaemonState.RUNNING:
        raise OpsError(f"the daemon is {seen.state}", where=server.name,
                       hint=f"opsconsole start {server.name}")  # fmt: skip


def _identity(profile: Profile, server: Server) -> Identity:
    try:
        record = folder_of(profile, server).read_record()
    except (OSError, ValueError) as error:
        raise OpsError(f"its state cannot be read: {error}", where=server.name) from None
    if record.server is None:
        raise OpsError("it does not run", where=server.name)
    return record.server
