"""Requests by a schedule, whatever the server does."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic_ns
from typing import TYPE_CHECKING

from opsconsole.errors import UsageError
from opsconsole.load.generator.closed_loop import part_of
from opsconsole.load.generator.recording import Recorder
from opsconsole.load.generator.schedule import Slope, moments
from opsconsole.load.generator.timer import make_timer
from opsconsole.load.messages import Control
from opsconsole.load.plan import Phase
from opsconsole.load.work import Prepared

if TYPE_CHECKING:
    from opsconsole.load.generator.course import Course

BURST = 16
"""Requests sent before answers are read again, when the schedule is behind."""
CATCH_UP = 100_000_000
"""Nanoseconds after the end in which what was due before it is still sent."""
_NEVER = 1 << 62


class OpenLoop:
    """A phase of ``rate`` requests a second, or of recorded moments."""

    opening = False
    """A request is due whether or not there is a connection for it."""

    def __init__(self, course: Course, phase: Phase, recorder: Recorder, begin: int) -> None:
        sending = course.sending
        self.recorder = recorder
        self._sending = sending
        self._course = course
        self._phase = phase
        self._left = _NEVER
        if phase.requests is not None:
            self._left = part_of(phase.requests, sending.share, sending.shares)
        self._origin = begin
        self._end = begin + int(phase.duration * 1e9) if phase.duration is not None else _NEVER
        self._counts = phase.requests is not None or phase.duration is None
        self._handled = 0
        self._slope: Slope | None = None
        self._moments: Iterator[float] = iter(())
        if phase.arrivals != "recorded":
            first = phase.rate or 0.0
            last = first if phase.rate_end is None else phase.rate_end
            self._follow(Slope(first, last, phase.duration or 0.0))
        self._pool = sending.pools[0]
        self._prepared: Prepared | None = None
        self._next = _NEVER
        self._sent_all = False
        self._over = False
        self._paused_at = 0
        self._timer = make_timer(sending.loop, self._due)

    def _follow(self, slope: Slope) -> None:
        sending = self._sending
        self._slope = slope
        self._handled = 0
        self._moments = moments(
            slope,
            self._phase.arrivals,
            share=sending.share,
            shares=sending.shares,
            seed=f"{sending.seed}/{sending.share}/{self.recorder.number}",
        )

    def begin(self, before: object) -> None:
        """Send; what is in flight from before goes on beside it."""
        if self._slope is None:
            self._sending.requests.rewind()
        self._advance()
        self._set()

    def _advance(self) -> None:
        """Make the next request ready before its moment."""
        requests = self._sending.requests
        if self._left <= 0:
            self._next = _NEVER
            return
        if self._prepared is None:
            if self._slope is None and requests.end:
                self._next = _NEVER
                return
            self._pool = self._sending.next_pool()
            self._prepared = requests.next(self._pool.number)
        if self._slope is not None:
            offset = next(self._moments)
        elif self._prepared.at is not None:
            offset = self._prepared.at
        else:
            raise UsageError("the replay has no moments", hint="give each line an at, in seconds")
        when = self._origin + offset * 1e9
        self._next = int(when) if when < self._end else _NEVER

    def _set(self) -> None:
        """Wait for what comes next: a moment, the end, or the last answer."""
        if self._paused_at or self._over:
            return
        self._sent_all = self._next == _NEVER
        if not self._sent_all:
            self._timer.at(self._next)
            return
        if self._counts and not self.recorder.open_requests:
            self.stop(monotonic_ns())
        elif self._end < _NEVER:
            self._timer.at(self._end)

    def _due(self) -> None:
        if self._sent_all:
            self.stop(self._end)
            return
        sending = self._sending
        recorder = self.recorder
        for _ in range(BURST):
            now = monotonic_ns()
            intended = self._next
            if intended > now:
                break
            if now > self._end + CATCH_UP:
                recorder.due += self._missed()
                self._next = _NEVER
                break
            recorder.due += 1
            self._handled += 1
            self._left -= 1
            if len(sending.flight.busy) >= sending.max_in_flight:
                recorder.dropped += 1
                if self._slope is None:
                    self._prepared = None  # recorded requests belong to their moments
            else:
                prepared, self._prepared = self._prepared, None
                assert prepared is not None
                self._pool.start(prepared, intended, now, self)
            self._advance()
        self._set()

    def _missed(self) -> int:
        """How many were due before the end and are not sent."""
        if self._slope is None:
            return 1
        due = self._slope.number((self._end - self._origin) / 1e9) / self._sending.shares
        return max(1, min(self._left, round(due) - self._handled))

    def freed(self, *, wait: bool) -> None:
        if self._sent_all and self._counts and not self._over and not self.recorder.open_requests:
            self.stop(monotonic_ns())
        self._course.settle(self.recorder)

    def stop(self, now: int) -> None:
        """Send nothing more."""
        if not self._over:
            self._over = True
            self._timer.close()
            self._course.over(now)

    def control(self, control: Control) -> None:
        """Change while it runs."""
        now = monotonic_ns()
        if control.paused and not self._paused_at:
            self._paused_at = now
            self._course.pause(self.recorder, now)
            self._timer.cancel()
        elif control.paused is False and self._paused_at:
            shift = now - self._paused_at
            self._origin += shift
            if self._end < _NEVER:
                self._end += shift
            if self._next < _NEVER:
                self._next += shift
            self._paused_at = 0
            self._course.resume(self.recorder, now)
        if control.rate is not None and self._slope is not None:
            self._origin = self._paused_at or now
            self._follow(Slope(control.rate, control.rate, 0.0))
            self._advance()
        self._set()
