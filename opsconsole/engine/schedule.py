"""Which inputs the device computes next: a share for every job, nobody behind a large one.

Weighted fair queueing at the granularity of batches. Each batch is led by one job: the one whose
parcel of work would end first if all were served at once, or one whose deadline would else be
missed. The jobs of one client have one share between them. Where the leader's own rows leave the
device room to be had for nothing, those of others ride along.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from opsconsole.engine.batching import PaddedRoom, Room, UnpaddedRoom
from opsconsole.engine.inflight import Cell, Flights
from opsconsole.engine.job import Job
from opsconsole.engine.lane import Lane, weight_of
from opsconsole.engine.order import Order
from opsconsole.engine.share import Share

_PARCEL_BATCHES = 4
_LEAST_PARCEL = 8192
_MISSES = 8  # jobs without a row that fits, after which a batch is left as it is
_CHECK_SECONDS = 1.0
_GUEST_SECONDS = 1.0  # after a small job, in which the next one is expected
_MOST_AHEAD = 256  # lanes of a client; who has more rides along with others, which is free
_MOST_ENTRIES = 16 * _MOST_AHEAD
_HOPELESS = 1.5  # needs so many times what is left until its deadline


class Limits(NamedTuple):
    """What a batch may be."""

    rows: int
    """Most rows."""
    tokens: int
    """Most positions in a batch of more than one row."""
    fill: int
    """Positions up to which rows of other jobs than the leader join."""
    padding: int
    """Most padded positions."""
    unpadded: bool = False
    """Rows are not padded: ``padding`` is of no account, and positions are tokens."""


class Schedule:
    """Inputs that wait for the device. Thread-safe.

    Args:
        limits: What a batch may be.
        flights: The table of the inputs under way.
        rate: Tokens a second that the device computes, as far as known; 0 if not.
        expire: Called, without a lock held, with each job whose deadline has passed.
    """

    def __init__(
        self,
        limits: Limits,
        flights: Flights,
        *,
        rate: Callable[[], float] = lambda: 0.0,
        expire: Callable[[Job], None],
    ) -> None:
        self._limits = limits
        self._flights = flights
        self._rate = rate
        self._expire = expire
        self._quantum = max(_LEAST_PARCEL, _PARCEL_BATCHES * limits.tokens)
        self._lanes: dict[Job, Lane] = {}
        self._shares: dict[str, Share] = {}
        self._ahead: list[tuple[float, int, Lane]] = []
        """A heap of lanes by their tags: served, but ahead of their share of the device."""
        self._small, self._large = Order(), Order()
        self._arrivals = 0
        self._was_large = False
        self._weight = 0.0
        self._virtual = 0.0
        self._alarm = math.inf
        """No deadline need be looked at before this time."""
        self._was_urgent = False
        self._guest = -math.inf
        """When the last small job came."""
        self._changed = threading.Condition()
        self._closed = False
        self.rows = 0
        """Inputs that wait."""
        self.tokens = 0

    def put(self, job: Job, cells: list[Cell]) -> bool:
        """Queue a job's inputs; ``False`` after :meth:`close`, or when nobody waits for it."""
        with self._changed:
            if self._closed or not job.is_open:
                self._withdraw(cells)
                return False
            waiting = []
            for cell in cells:
                if cell.stage == "new":
                    cell.stage = "waiting"
                    self.rows += 1
                    self.tokens += cell.length
                if cell.stage == "waiting":
                    waiting.append(cell)
            if waiting:
                lane = self._lane(job, waiting)
                if self._is_small(lane):
                    self._guest = time.monotonic()
                self._push(lane)
                if job.options.deadline is not None:
                    self._alarm = -math.inf
                self._changed.notify()
            return True

    def take(self, *, wait: bool = True) -> list[Cell] | None:
        """The next batch; ``None`` once closed.

        Args:
            wait: For there to be one; else an empty batch says that there is none.
        """
        while True:
            with self._changed:
                while wait and not self._lanes and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return None
                late, urgent = self._look_at_deadlines()
                batch = [] if late else self._form(urgent)
            for job in late:
                self._expire(job)
            if batch or not (wait or late):
                return batch

    def drop(self, job: Job, cells: list[Cell]) -> None:
        """Forget a job that has ended; what others want as well stays."""
        with self._changed:
            self._withdraw(cells)
            lane = self._lanes.get(job)
            if lane is not None:
                self._remove(lane)

    def close(self) -> list[Job]:
        """End :meth:`take`; returns the jobs that will not be computed to their end."""
        with self._changed:
            self._closed = True
            left = [job for job, lane in self._lanes.items() if not lane.is_empty]
            self._lanes.clear()
            self._shares.clear()
            self._ahead.clear()
            self._small.clear()
            self._large.clear()
            self.rows = self.tokens = 0
            self._changed.notify_all()
            return left

    def _lane(self, job: Job, cells: list[Cell]) -> Lane:
        self._arrivals += 1
        client = job.options.client
        share = None
        if client is None:
            self._weight += weight_of(job)
        else:
            share = self._shares.get(client)
            if share is None:
                share = self._shares[client] = Share(client)
                self._weight += 1.0
            self._push_again(share.add(weight_of(job), self._virtual))
        lane = Lane(job, cells, self._arrivals, self._virtual, self._quantum, share)
        if share is not None:
            share.lanes.add(lane)
        self._lanes[job] = lane
        return lane

    def _withdraw(self, cells: list[Cell]) -> None:
        for cell in self._flights.forget(cells):
            if cell.stage == "waiting":
                cell.stage = "new"
                self.rows -= 1
                self.tokens -= cell.length

    def _form(self, urgent: Lane | None) -> list[Cell]:
        leader = urgent
        while leader is None or leader.is_empty or not leader.job.is_open:
            if leader is not None:
                self._remove(leader)  # others took its inputs along, or it was just cancelled
            leader = self._pop()
            if leader is None:
                return []
        self._was_large = not self._is_small(leader)
        room = self._room(leader)
        batch: list[Cell] = []
        served = [(leader, leader.fill(room, batch))]
        fill = self._limits.fill
        room.narrow(fill)
        served += self._ride(self._small, leader, room, batch)
        # A large job has time: what a small one would wait for it is the less excused.
        room.narrow(fill // 2 if self._is_small(leader) else fill)
        served += self._ride(self._large, leader, room, batch)
        self._account(batch, served)
        return batch

    def _ride(
        self, order: Order, leader: Lane, room: Room, batch: list[Cell]
    ) -> list[tuple[Lane, int]]:
        """Let others fill a batch up; returns who was asked, and their tokens."""
        asked: list[tuple[Lane, int]] = []
        misses = 0
        while misses < _MISSES and room.longest and order.first():
            rider = order.pop()
            own = rider.fill(room, batch) if rider is not leader else 0
            asked.append((rider, own))
            misses += not own
        return asked

    def _room(self, leader: Lane) -> Room:
        """What the leader may take.

        Where small jobs come and go, large ones get batches that are hardly slower for each row
        but soon over: a small job waits for one.
        """
        limits = self._limits
        tokens = limits.tokens
        if not self._is_small(leader) and time.monotonic() - self._guest < _GUEST_SECONDS:
            tokens = min(tokens, max(1, limits.fill))
        if limits.unpadded:
            return UnpaddedRoom(limits.rows, tokens)
        return PaddedRoom(limits.rows, tokens, limits.padding)

    def _account(self, batch: list[Cell], served: list[tuple[Lane, int]]) -> None:
        tokens = sum(cell.length for cell in batch)
        self.rows -= len(batch)
        self.tokens -= tokens
        self._virtual += tokens / self._weight
        for lane, own in served:
            lane.charge(own)
            if lane.is_empty:
                self._remove(lane, served=True)
            else:
                self._push(lane)
        while self._ahead and self._ahead[0][0] <= self._virtual:
            tag, _, lane = heapq.heappop(self._ahead)
            if lane.tag == tag:  # else it stands there a second time
                self._leave(lane)

    def _is_small(self, lane: Lane) -> bool:
        """Whether all of it fits into one batch."""
        return lane.size <= self._limits.tokens

    def _push(self, lane: Lane) -> None:
        (self._small if self._is_small(lane) else self._large).push(lane)

    def _push_again(self, lanes: list[Lane]) -> None:
        """Put lanes whose tags have changed in their places, but none that was taken out."""
        for lane in lanes:
            if lane.is_gone:
                if len(self._ahead) > _MOST_ENTRIES:
                    kept = {other for tag, _, other in self._ahead if other.tag == tag}
                    self._ahead = sorted((other.tag, other.arrival, other) for other in kept)
                heapq.heappush(self._ahead, (lane.tag, lane.arrival, lane))
            elif lane.entry is not None:
                self._push(lane)

    def _pop(self) -> Lane | None:
        """Take out the lane that leads: the one with the smallest tag.

        But behind a batch that a large job led, a small one goes first if there is one. By the
        tags alone, a large job that gave way to small ones would catch up in one go.
        """
        small, large = self._small.first(), self._large.first()
        if small is None or large is None:
            order = self._large if small is None else self._small
            return order.pop() if small or large else None
        first = (small.tag, small.arrival) <= (large.tag, large.arrival)
        return (self._small if first or self._was_large else self._large).pop()

    def _remove(self, lane: Lane, *, served: bool = False) -> None:
        if self._lanes.pop(lane.job, None) is None:
            return
        lane.is_gone = True
        if not self._lanes:
            self._shares.clear()
            self._ahead.clear()
            self._weight = 0.0
        elif lane.share is None:
            self._weight -= lane.weight
        elif served and lane.tag > self._virtual and len(lane.share.lanes) < _MOST_AHEAD:
            lane.clear()
            self._push_again([lane])
        else:
            self._leave(lane)

    def _leave(self, lane: Lane) -> None:
        """Count a lane for its client no longer."""
        share = lane.share
        if share is None or lane not in share.lanes:
            return
        self._push_again(share.remove(lane, self._virtual))
        if not share.lanes:
            del self._shares[share.client]
            self._weight -= 1.0

    def _look_at_deadlines(self) -> tuple[list[Job], Lane | None]:
        """Jobs that are late, and the lane that must go now to be in time.

        Such a lane leads every other batch at most: a client that sets tight deadlines must not
        have the device for itself. One that cannot be in time any more waits for its turn.
        """
        now = time.monotonic()
        if now < self._alarm:
            return [], None
        self._alarm = now + _CHECK_SECONDS
        rate = self._rate()
        soon = 2 * self._limits.tokens / rate if rate else 0.0
        late: list[Job] = []
        urgent: Lane | None = None
        least = math.inf
        for job, lane in self._lanes.items():
            deadline = job.options.deadline
            if deadline is None:
                continue
            if now >= deadline:
                late.append(job)
                continue
            need = lane.tokens / rate if rate else 0.0
            if need > _HOPELESS * (deadline - now):
                self._alarm = min(self._alarm, deadline)
                continue
            start = deadline - need - soon
            self._alarm = min(self._alarm, start)
            if start <= now and start < least:
                urgent, least = lane, start
        if late:
            self._alarm = -math.inf
        if self._was_urgent:
            urgent = None
        self._was_urgent = urgent is not None
        return late, urgent
