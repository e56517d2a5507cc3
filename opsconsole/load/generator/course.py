"""Phases back to back, and what sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from opsconsole.load.generator.closed_loop import ClosedLoop
from opsconsole.load.generator.open_loop import OpenLoop
from opsconsole.load.generator.pool import Flight, Pool
from opsconsole.load.generator.recording import Recorder
from opsconsole.load.generator.timer import make_timer
from opsconsole.load.messages import Begin, Control, Stop
from opsconsole.load.work import Requests


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
    """The phases of one Begin. ``done`` is called when the last request has ended, ``begun`` when
    the first is about to be sent."""

    def __init__(
        self,
        sending: Sending,
        begin: Begin,
        done: Callable[[], None],
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self.sending = sending
        self.recorders: list[Recorder] = []
        self.spans: list[tuple[int, int]] = []
        self.ends: list[int] = []
        self._phases = begin.phases
        self._first = begin.first
        self._at = begin.at
        self._begun = begun
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
        if not number:
            self._begun()
        recorder = Recorder(
            self._first + number,
            self.sending.names,
            is_open=phase.is_open,
            begin=self._at,
            secrets=self.sending.secrets,
        )
        self.recorders.append(recorder)
        kind = OpenLoop if phase.is_open else ClosedLoop
        before, self._running = self._running, kind(self, phase, recorder, self._at)
        self._running.begin(before)
        while self._early:
            self._running.control(self._early.pop(0))

    def over(self, now: int) -> None:
        """The running phase's sending is over."""
        recorder = self.recorders[-1]
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
            done()

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
