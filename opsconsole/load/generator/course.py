"""Phases back to back, and what sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic_ns

from opsconsole.load.generator.closed_loop import ClosedLoop
from opsconsole.load.generator.open_loop import OpenLoop
from opsconsole.load.generator.pool import Flight, Pool
from opsconsole.load.generator.recording import Recorder
from opsconsole.load.generator.timer import make_timer
from opsconsole.load.messages import Begin, Control, Stop
from opsconsole.load.work import Requests

LAST_LOOK = (0.02, 0.2)
"""Least and most seconds of looking for answers that nobody asked for, after the last request."""


@dataclass
class Sending:
    """What all phases share. ``max_in_flight`` is this process's part."""

    loop: asyncio.AbstractEventLoop
    requests: Requests
    flight: Flight
    pools: list[Pool]
    names: tuple[str, ...]
    share: int
    shares: int
    max_in_flight: int
    seed: int
    secrets: tuple[str, ...] = ()
    _turn: int = field(init=False)

    def __post_init__(self) -> None:
        self._turn = self.share - 1

    def next_pool(self) -> Pool:
        """The targets in turn."""
        self._turn += 1
        return self.pools[self._turn % len(self.pools)]


class Course:
    """The phases of one Begin. ``border`` is called when a phase is about to begin, and when the
    last request has ended; ``done`` when nothing more is to be told."""

    def __init__(
        self,
        sending: Sending,
        begin: Begin,
        done: Callable[[], None],
        border: Callable[[], None] = lambda: None,
    ) -> None:
        self.sending = sending
        self.recorders: list[Recorder] = []
        self.spans: list[tuple[int, int]] = []
        self.ends: list[int] = []
        self._older: list[Recorder] = []
        self._since = begin.at
        self._phases = begin.phases
        self._first = begin.first
        self._at = begin.at
        self._border = border
        self._done: Callable[[], None] | None = done
        self._running: ClosedLoop | OpenLoop | None = None
        self._stopping = False
        self._early: list[Control] = []
        self._timer = make_timer(sending.loop, self._next)
        self._timer.at(begin.at)

    def _next(self) -> None:
        """Begin the next phase where the last one ended."""
        number = len(self.spans)
        if self._stopping or number >= len(self._phases):
            self._running = None
            self._settled()
            return
        phase = self._phases[number]
        self._border()
        if self.recorders:
            self._older.append(self.recorders[-1])
        if not any(recorder.open_requests for recorder in self._older):
            self._since = self._at
        recorder = Recorder(
            self._first + number,
            self.sending.names,
            is_open=phase.is_open,
            begin=self._at,
            since=self._since,
            secrets=self.sending.secrets,
        )
        self.recorders.append(recorder)
        kind = OpenLoop if phase.is_open else ClosedLoop
        before, self._running = self._running, kind(self, phase, recorder, self._at)
        self._running.begin(before)
        while self._early:
            self._running.control(self._early.pop(0))

    @property
    def between(self) -> bool:
        """Whether a phase is over, and the next, which is to have its place, has not begun yet."""
        number = len(self.spans)
        begun = number == len(self.recorders) and not self._stopping
        return begun and 0 < number < len(self._phases)

    def settle_strays(self) -> None:
        """What ended of earlier phases' requests belongs to the time of the phase that runs: see
        :mod:`opsconsole.load.rates`. To be called before that time begins or ceases to run, and
        before it is told of."""
        if not self._older or self.between:
            return
        now = self.recorders[-1]
        for recorder in self._older:
            for mine, theirs in zip(now.tallies, recorder.tallies, strict=True):
                came = theirs.strays()
                if now.runs and any(came):
                    mine.take_in(came)
        self._older = [recorder for recorder in self._older if recorder.open_requests]

    def pause(self, recorder: Recorder, now: int) -> None:
        """The running phase's time stands still."""
        self.settle_strays()
        recorder.pause(now)

    def resume(self, recorder: Recorder, now: int) -> None:
        """It goes on."""
        self.settle_strays()
        if not self.sending.flight.busy:
            self._since = recorder.since = now
        recorder.resume(now)

    def over(self, now: int) -> None:
        """The running phase's sending is over."""
        self.settle_strays()
        recorder = self.recorders[-1]
        recorder.resume(now)
        recorder.close()
        self.spans.append((self._at, now - recorder.paused))
        self.ends.append(now)
        self._at = now
        # Not from within: the next phase may begin, and end, in the callback of an answer.
        self.sending.loop.call_soon(self._next)

    def settle(self, recorder: Recorder) -> None:
        """A request of a phase has ended."""
        if recorder.over and not recorder.open_requests:
            self._settled()

    def _settled(self) -> None:
        ended = self._stopping or len(self.spans) >= len(self._phases)
        if ended and self._running is None and self._done is not None:
            if any(recorder.open_requests for recorder in self.recorders):
                return
            done, self._done = self._done, None
            self._timer.close()
            self._border()
            self.sending.loop.call_later(self._last_look(), done)

    @property
    def ended(self) -> bool:
        """Whether the last request has ended."""
        return self._done is None

    def _last_look(self) -> float:
        """Seconds for which connections are still read. Clients who send as soon as they have their
        answer leave a connection idle only at the end: one answer too many is seen there alone."""
        now = monotonic_ns()
        took = sorted(now - idle.sent for pool in self.sending.pools for idle in pool.idle)
        if not took or not self.recorders or self.recorders[-1].is_open:
            return 0.0
        least, most = LAST_LOOK
        return max(least, min(most, 2e-9 * took[len(took) // 2]))

    def control(self, control: Control) -> None:
        """Change the running phase, or the first as soon as it runs."""
        if self._stopping:
            return
        if self._running is not None:
            self._running.control(control)
        elif not self.recorders:
            self._early.append(control)

    def stop(self, stop: Stop, now: int) -> None:
        """Send nothing more; what is in flight may end in time. A second one can shorten it."""
        self.sending.loop.call_later(max(0.0, stop.grace), self._cut, stop.forgive)
        if self._stopping:
            return
        self._stopping = True
        self._timer.cancel()
        if self._running is not None and len(self.spans) < len(self.recorders):
            self._running.stop(now)
        else:
            self.sending.loop.call_soon(self._next)

    def _cut(self, forgive: bool) -> None:
        if self._done is not None:
            self.sending.flight.cut(forgive=forgive)
