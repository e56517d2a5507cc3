"""Whether this process gets to run when it wants to.

A process that is suspended, throttled or starved of its core notices nothing: it answers late and
blames the server. A beat that is late says so, and the system says how long it waited for a core.
"""

from __future__ import annotations

import asyncio
import os
from time import monotonic_ns, process_time_ns

from opsconsole.load.generator.timer import make_timer
from opsconsole.load.records import BUSY, Client

BEAT_NS = 10_000_000
LEAST_NS = 5_000_000
"""The shortest time of which a share is told: any process is busy for all of some millisecond."""


class Heartbeat:
    """Beats every :data:`BEAT_NS` while phases run."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer = make_timer(loop, self._beat)
        self._next = 0
        self._late: list[int] = []
        self._stalled = 0
        self._core = Core()

    def start(self) -> None:
        """Begin to beat."""
        self._late.clear()
        self._stalled = 0
        self._core.begin()
        self._next = monotonic_ns() + BEAT_NS
        self._timer.at(self._next)

    def border(self) -> Client:
        """What there was since the last call. A phase ends here: however short what is left of it
        may be, none of it is the next one's."""
        found = self._told()
        self._core.end(found)
        return found

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()
        self._next = 0

    def told(self) -> Client:
        """What there was since the last call."""
        found = self._told()
        self._core.tell(found)
        return found

    def _told(self) -> Client:
        if self._next and monotonic_ns() > self._next + BEAT_NS:
            self._beat()  # overdue: the gap and its stall are told together
        found = Client(stalled=self._stalled / 1e9)
        found.beats.record(self._late)
        self._late = []
        self._stalled = 0
        return found

    def _beat(self) -> None:
        now = monotonic_ns()
        late = max(0, now - self._next)
        self._late.append(late)
        if late > BEAT_NS:
            self._stalled += late
            # The beats that were left out would have been late too, each a little less.
            self._late.extend(range(late - BEAT_NS, 0, -BEAT_NS))
        self._next = now + BEAT_NS
        self._timer.at(self._next)


class Core:
    """The time in which this process ran on a core, or waited for one."""

    def __init__(self) -> None:
        try:
            # "time on the core, time waiting for it, slices", in ns: Documentation/scheduler/
            # sched-stats.rst of Linux. The main thread's, which is all that sends.
            self._fd = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1
        self.begin()

    def begin(self) -> None:
        """Forget what was before: a phase begins."""
        self._said = False
        self._read()

    def tell(self, client: Client) -> None:
        """Put down what there was since the last call; nothing while that is too short to say."""
        if monotonic_ns() - self._wall >= LEAST_NS:
            self._put_down(client)

    def end(self, client: Client) -> None:
        """The phase is over: put down what is left of it, or all of it however short it was."""
        if not self._said or monotonic_ns() - self._wall >= LEAST_NS:
            self._put_down(client)
        self.begin()

    def _put_down(self, client: Client) -> None:
        wall = max(1, monotonic_ns() - self._wall)
        ran, waited = process_time_ns() - self._ran, self._waiting() - self._waited
        client.cpu = min(1.0, ran / wall)
        client.busy = wall / 1e9 if client.cpu > BUSY else 0.0
        client.wanted = min(wall, ran + waited) / 1e9
        self._said = True
        self._read()

    def _read(self) -> None:
        self._wall, self._ran, self._waited = monotonic_ns(), process_time_ns(), self._waiting()

    def _waiting(self) -> int:
        if self._fd < 0:
            return 0
        fields = os.pread(self._fd, 100, 0).split()
        return int(fields[1]) if len(fields) > 1 else 0
