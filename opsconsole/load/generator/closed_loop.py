"""Clients who wait: each sends after its last answer and a time to think."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING

from opsconsole.load.generator.recording import Recorder
from opsconsole.load.generator.timer import make_timer
from opsconsole.load.messages import Control
from opsconsole.load.plan import Phase

if TYPE_CHECKING:
    from opsconsole.load.generator.course import Course

UNREACHED_WAIT = 0.02
"""Seconds a client waits after a connection that could not be made, lest it count a million
refusals by a server that restarts."""
AT_ONCE = 8
"""Clients that begin before answers are read again."""
_UNCOUNTED = 1 << 62


def part_of(whole: int, share: int, shares: int) -> int:
    """One share of a number."""
    return whole // shares + (share < whole % shares)


class ClosedLoop:
    """A phase of ``concurrency`` clients.

    Attributes:
        opening: Clients begin: each opens its connection before it sends its first request.
    """

    def __init__(self, course: Course, phase: Phase, recorder: Recorder, begin: int) -> None:
        sending = course.sending
        self.recorder = recorder
        self._sending = sending
        self._course = course
        self._think = phase.think
        self._wanted = part_of(phase.concurrency or 0, sending.share, sending.shares)
        self._left = _UNCOUNTED
        if phase.requests is not None:
            # A process without clients has no requests either.
            able = min(sending.shares, max(1, phase.concurrency or 0))
            self._left = part_of(phase.requests, sending.share, able) if sending.share < able else 0
        self._active = 0
        self.opening = False
        self._missing = 0
        self._before = self._left
        self._coming: asyncio.Handle | None = None
        self._over = False
        self._paused_at = 0
        self._heir: ClosedLoop | None = None
        self._end = begin + int(phase.duration * 1e9) if phase.duration is not None else 0
        self._timer = make_timer(sending.loop, self._time_is_up)

    def begin(self, before: object) -> None:
        """Send; clients of the closed loop ``before`` who wait for an answer go on in this one."""
        if isinstance(before, ClosedLoop):
            before._heir = self
            self._active, before._active = before._active, 0
        if self._end:
            self._timer.at(self._end)
        self._spawn()
        self._end_if_used_up()

    def _spawn(self) -> None:
        """Begin as many clients as are missing."""
        self._missing = min(max(0, self._wanted - self._active), self._left)
        self._before = self._left
        if self._coming is None:
            self._begin_some()

    def _begin_some(self) -> None:
        """Begin some clients, and the others after a look at what has come: to connect takes this
        process a while, in which an answer would lie unread and the server be blamed for it."""
        self._coming = None
        # More where answers keep it busy, lest a thousand clients take a minute to begin.
        some = max(AT_ONCE, (self._before - self._left) // 16)
        self._before = self._left
        self.opening = True
        while some and self._missing and not self._over and not self._paused_at:
            some -= 1
            self._missing -= 1
            self._active += 1
            self._send()
        self.opening = False
        if self._missing and not self._over and not self._paused_at:
            self._coming = self._sending.loop.call_soon(self._begin_some)

    def _send(self) -> None:
        """A client's next request, or its end."""
        if self._heir is not None:
            self._heir._send()
            return
        # Those who are still to begin have a request each.
        used_up = self._left <= self._missing
        if self._over or used_up or self._active > self._wanted or self._paused_at:
            self._active -= 1
            self._end_if_used_up()
            return
        self._left -= 1
        pool = self._sending.next_pool()
        prepared = self._sending.requests.next(pool.number)
        now = monotonic_ns()
        pool.start(prepared, now, now, self)

    def freed(self, *, wait: bool) -> None:
        self._course.settle(self.recorder)
        think = self._think if self._heir is None else self._heir._think
        if wait or think > 0:
            think = max(think, UNREACHED_WAIT) if wait else think
            self._sending.loop.call_later(think, self._send)
        else:
            self._send()

    def _end_if_used_up(self) -> None:
        if not self._over and not self._left and not self._active:
            self.stop(monotonic_ns())

    def _time_is_up(self) -> None:
        self.stop(self._end)

    def stop(self, now: int) -> None:
        """Send nothing more."""
        if not self._over:
            self._over = True
            self._timer.close()
            self._course.over(now)

    def control(self, control: Control) -> None:
        """Change while it runs."""
        now = monotonic_ns()
        sending = self._sending
        if control.concurrency is not None:
            self._wanted = part_of(control.concurrency, sending.share, sending.shares)
        if control.paused and not self._paused_at:
            self._paused_at = now
            self._course.pause(self.recorder, now)
            self._timer.cancel()
        elif control.paused is False and self._paused_at:
            if self._end:
                self._end += now - self._paused_at
                self._timer.at(self._end)
            self._paused_at = 0
            self._course.resume(self.recorder, now)
        if not self._paused_at:
            self._spawn()
