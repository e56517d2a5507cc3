"""The whole process group and session of a server, and how they are ended.

A leader that obeys TERM while its child lives on, holding the port and the GPU, is the best known
bug of process supervisors (process-compose#520, circus#1044, supervisor#1101): a stop is done when
the group is empty, not when the leader is gone.
"""

from __future__ import annotations

import os
import signal
import time
from typing import NamedTuple

from opsconsole.daemon.identity import (
    LINUX,
    Handle,
    Identity,
    boot_id,
    read_stat,
    signal_exactly,
)

KILL_PATIENCE = 5.0
"""Seconds that KILL gets to work. A process in uninterruptible sleep outlasts any of it."""
_SHORTEST, _LONGEST = 0.02, 0.25


class Member(NamedTuple):
    """A living process of the group."""

    pid: int
    start: float


def _pids() -> list[int]:
    if LINUX:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    import psutil

    return psutil.pids()


def members(leader: Identity) -> list[Member]:
    """The living processes of the leader's group or session, zombies left out."""
    if leader.boot != boot_id():
        return []
    found = []
    for pid in _pids():
        if not _in(pid, leader.pid):
            continue
        stat = read_stat(pid)
        if stat is None or leader.pid not in (stat.session, stat.group):
            continue
        # While one member lives, the kernel gives the group's number to nobody. So a leader of
        # another age means that ours is long gone, and all of this belongs to a stranger.
        if pid == leader.pid and stat.start != leader.start:
            return []
        if not stat.dead and stat.start >= leader.start:
            found.append(Member(pid, stat.start))
    return found


def _in(pid: int, number: int) -> bool:
    """Two calls, far cheaper than a file: most processes are somebody else's."""
    for of in (os.getpgid, os.getsid):
        try:
            if of(pid) == number:
                return True
        except OSError:
            continue
    return False


def environ_of(pid: int) -> dict[bytes, bytes]:
    """The environment that a process was started with; empty where it may not be read."""
    if not LINUX:
        import psutil

        try:
            found = psutil.Process(pid).environ()
        except (psutil.Error, OSError):
            return {}
        return {os.fsencode(key): os.fsencode(value) for key, value in found.items()}
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            words = stream.read().split(b"\0")
    except OSError:
        return {}
    return {key: value for key, mark, value in (word.partition(b"=") for word in words) if mark}


def remnants(leader: Identity, log: str) -> list[Member]:
    """What is left of a group whose leader ended while nobody watched.

    Without the leader, the number alone proves nothing, so each must also carry our log file's
    path in its environment.
    """
    mark = os.fsencode(log)
    return [
        member
        for member in members(leader)
        if environ_of(member.pid).get(b"OPSCONSOLE_LOG_FILE") == mark
    ]


class Ending:
    """The end of a group, in steps that never block: TERM, the grace period, KILL."""

    def __init__(self, leader: Identity, grace: float, now: float) -> None:
        self.leader = leader
        self.survivors: list[int] = []
        self.done = False
        """The group is empty."""
        self.failed = False
        """KILL did not empty it in :data:`KILL_PATIENCE` seconds."""
        self._kill_at = now + grace
        self._pause = _SHORTEST
        self._asked: set[Member] = set()
        self.next_at = now

    def step(self, now: float) -> None:
        """Look who lives, and signal whoever is due; ``now`` is monotonic seconds."""
        if self.done or self.failed:
            return
        living = members(self.leader)
        self.survivors = [member.pid for member in living]
        if not living:
            self.done = True
            return
        killing = now >= self._kill_at
        for member in living:
            if killing:
                signal_exactly(*member, signal.SIGKILL)
            elif member not in self._asked:
                self._asked.add(member)
                signal_exactly(*member, signal.SIGTERM)
                signal_exactly(*member, signal.SIGCONT)  # one that is stopped cannot obey
        if killing and now >= self._kill_at + KILL_PATIENCE:
            self.failed = True
        self._pause = _SHORTEST if killing else min(_LONGEST, self._pause * 1.5)
        self.next_at = now + self._pause if killing else min(now + self._pause, self._kill_at)


def end(leader: Identity, grace: float, handle: Handle | None = None) -> list[int]:
    """End the group and wait for it; returns the pids that could not be ended."""
    ending = Ending(leader, grace, time.monotonic())
    while True:
        ending.step(time.monotonic())
        if ending.done or ending.failed:
            return ending.survivors
        pause = max(0.0, ending.next_at - time.monotonic())
        if handle is None or handle.wait(pause):
            handle = None
            time.sleep(min(pause, _SHORTEST))
