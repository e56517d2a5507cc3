"""How a daemon is, from its files and /proc alone: about a millisecond, and no heavy import."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from opsconsole.daemon import ports
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.group import remnants
from opsconsole.daemon.holding import holder, tuning_lock
from opsconsole.daemon.identity import Identity, Presence, boot_id, presence
from opsconsole.daemon.leftovers import leftover
from opsconsole.daemon.states import ALIVE, ENDED, DaemonState
from opsconsole.text import clean_line

if TYPE_CHECKING:
    from opsconsole.daemon.folder import Folder
    from opsconsole.daemon.record import Record
    from opsconsole.profile import Profile, Server

_DETAIL_LIMIT = 500
_WRITING_SECONDS = 0.25


class DaemonStatus(Struct, frozen=True, kw_only=True):
    """One daemon at one moment. Times are Unix seconds; texts are clean."""

    profile: str
    name: str
    state: DaemonState
    pid: int | None = None
    keeper_pid: int | None = None
    port: int | None = None
    since: float | None = None
    """When it came into this state."""
    started_at: float | None = None
    restarts: int = 0
    """How often its keeper had to start it again."""
    ready: bool = False
    backoff_until: float | None = None
    last_exit: str | None = None
    detail: str = ""
    """Why, on one line."""
    log: str = ""
    survivors: list[int] = []
    """Processes of its group that are still to end, or that could not be ended."""
    left_behind: str = ""
    """What somebody who was killed left undone, such as a tuning."""
    remedy: str = ""
    """The command that mends that."""
    at_work: str = ""
    """Who restarts it again and again now, as in "a tuning is at work: process 1"."""

    @property
    def remarks(self) -> str:
        """What was left behind, who is at work on it, and why it is as it is; on one line, empty
        when all is said."""
        left = f"{self.left_behind}: {self.remedy}" if self.left_behind else ""
        return "; ".join(part for part in (left, self.at_work, self.detail) if part)


class Sighting(NamedTuple):
    """What can be seen of a daemon, before it is put into one word."""

    record: Record | None
    problem: str
    """Why the record cannot be read."""
    kept: bool
    """A keeper lives."""
    keeper: Identity | None
    keeper_presence: Presence
    server: Presence
    left: list[int]
    """Processes of a group whose leader ended unseen."""


def status(profile: Profile, server: Server) -> DaemonStatus:
    """The state of the daemon of ``server``. Changes nothing, waits for nothing.

    Raises:
        UsageError: a name that is not fit for a folder.
    """
    folder = folder_of(profile, server)
    return inspect(folder, profile.name, server.name, server.host, server.port)


def look(folder: Folder) -> Sighting:
    """Read the files, then ask the kernel."""
    deadline = time.monotonic() + _WRITING_SECONDS
    while True:
        seen = _glance(folder)
        # A keeper may have begun, changed something or left between two reads: look again.
        settled = seen.kept == folder.keeper()[0] and _consistent(seen)
        if settled or time.monotonic() >= deadline:
            break
        time.sleep(0.005)
    record = seen.record
    if not seen.kept and record and record.server and seen.server is not Presence.SAME:
        left = [member.pid for member in remnants(record.server, folder.log)]
        return seen._replace(left=left)
    return seen


def _glance(folder: Folder) -> Sighting:
    kept, keeper = folder.keeper()
    record, problem = _read(folder)
    keeper_presence = presence(keeper) if keeper else Presence.UNKNOWN
    server = presence(record.server) if record and record.server else Presence.GONE
    return Sighting(record, problem, kept, keeper, keeper_presence, server, [])


def _consistent(seen: Sighting) -> bool:
    """Whether the files and the kernel tell the same story."""
    if not seen.kept:
        return True
    if seen.keeper is None or seen.record is None or seen.record.state in ENDED:
        return False  # it is about to begin, or to leave
    return seen.record.state not in ALIVE or seen.server is Presence.SAME


def _read(folder: Folder) -> tuple[Record | None, str]:
    try:
        return folder.read_record(), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"state.json cannot be read: {error.strerror}"
    except (ValueError, TypeError, RecursionError) as error:
        return None, f"state.json is damaged: {error}"


def inspect(folder: Folder, profile: str, name: str, host: str, port: int) -> DaemonStatus:
    """As :func:`status`, of a folder."""
    seen = look(folder)
    state, detail = judge(seen)
    record = seen.record
    if state in (DaemonState.STOPPED, DaemonState.EXITED) and ports.accepts(host, port):
        owner = ports.owner(port)
        state = DaemonState.FOREIGN
        detail = f"port {port} is held by {owner or 'a process that is not visible here'}"
    there = seen.server is Presence.SAME
    stopping = state is DaemonState.STOPPING
    current = record is not None and record.boot == boot_id()
    running = record is not None and current and (seen.kept or there)
    shown = record if current else None
    left = leftover(folder, name)
    theirs = holder(tuning_lock(folder))
    return DaemonStatus(
        profile=profile,
        name=name,
        state=state,
        pid=record.server.pid if record and record.server and there else None,
        keeper_pid=seen.keeper.pid if seen.kept and seen.keeper else None,
        port=record.port if record and running and record.port else port,
        since=shown.since if shown and state is shown.state else None,
        started_at=shown.started_at if shown and there else None,
        restarts=shown.restarts if shown else 0,
        ready=bool(shown and seen.kept and there and shown.ready),
        backoff_until=shown.backoff_until if shown and state is DaemonState.BACKOFF else None,
        last_exit=record.last_exit if record else None,
        detail=clean_line(detail, _DETAIL_LIMIT),
        log=folder.log,
        survivors=seen.left or (shown.survivors if shown and stopping else []),
        left_behind=left.what if left else "",
        remedy=left.remedy if left else "",
        at_work=f"a {theirs}" if theirs else "",
    )


def judge(seen: Sighting) -> tuple[DaemonState, str]:
    """The one word for a sighting, and why."""
    record = seen.record
    if seen.kept and seen.keeper_presence is not Presence.SAME:
        return DaemonState.UNKNOWN, (
            "its keeper lives, but not where it can be seen: another container or machine that "
            "shares this folder"
            if seen.keeper
            else "its keeper has not yet said who it is"
        )
    if record is None:
        if seen.problem:
            return DaemonState.UNKNOWN, seen.problem
        return (DaemonState.STARTING, "starting") if seen.kept else (DaemonState.STOPPED, "")
    if seen.kept:
        return _kept(record, seen)
    if record.boot != boot_id():
        if record.state in ENDED:
            return record.state, record.detail
        return DaemonState.STOPPED, "the machine was restarted since"
    if seen.server is Presence.SAME:
        if record.state is DaemonState.STOPPING:
            return DaemonState.STOPPING, record.detail
        return DaemonState.ORPHANED, "its keeper died: nobody would restart it; start adopts it"
    return _unkept(record, seen)


def _kept(record: Record, seen: Sighting) -> tuple[DaemonState, str]:
    if record.server and record.state in ALIVE and seen.server is not Presence.SAME:
        return DaemonState.UNKNOWN, (
            "state.json is behind: it names a server that is gone (is the disk full?)"
        )
    return record.state, record.detail


def _unkept(record: Record, seen: Sighting) -> tuple[DaemonState, str]:
    pid = record.server.pid if record.server else 0
    if seen.left:
        pids = ", ".join(map(str, seen.left))
        return DaemonState.STOPPING, f"its leader is gone, but not process {pids}: stop ends them"
    if seen.server is Presence.UNKNOWN:
        return DaemonState.UNKNOWN, (
            f"process {pid} cannot be proved to be the server, so it is left alone"
        )
    if seen.server is Presence.STRANGER:
        return DaemonState.STOPPED, f"it is gone; its pid {pid} belongs to another process now"
    if record.state in ENDED:
        return record.state, record.detail
    if record.desired == "stopped":
        return DaemonState.STOPPED, "stopped; its keeper died while it stopped"
    return DaemonState.EXITED, "it and its keeper are gone; nobody saw how it ended"
