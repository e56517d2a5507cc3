"""Who may use the engine now, who waits, and who is refused."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from opsconsole.server.fairness import FairQueue, Waiter

RECENT_SECONDS = 60.0
"""Clients that come in turns within it have to leave room for each other."""
ANONYMOUS = ""
"""All requests without a key are one client's."""


class Refused(Exception):
    """There is no room for the request, or its time is over."""


class QueueFull(Refused):
    """No place to run and none to wait."""


class Overloaded(Refused):
    """More tokens than may run and wait at a time."""


class DeadlinePassed(Refused):
    """The deadline came while the request waited."""


class Place(Waiter):
    """A place among the running, held with ``async with``, which yields the seconds waited."""

    __slots__ = ("_admission", "began", "deadline", "turn")

    def __init__(
        self,
        admission: Admission,
        client: str,
        tokens: int,
        weight: float,
        deadline: float | None,
    ) -> None:
        super().__init__(client, tokens, weight)
        self._admission = admission
        self.deadline = deadline
        self.turn: asyncio.Future[bool] | None = None
        """The end of the waiting: ``True`` with a place, ``False`` at the deadline."""
        self.began = 0.0
        """``time.monotonic()`` of its start; 0 before."""

    async def __aenter__(self) -> float:
        self._admission.enter(self)
        if self.turn is None:
            return 0.0
        try:
            return await self._wait(self.turn)
        except BaseException:
            self._admission.leave(self)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._admission.leave(self)

    async def _wait(self, turn: asyncio.Future[bool]) -> float:
        start = time.perf_counter()
        alarm: asyncio.TimerHandle | None = None
        if self.deadline is not None:
            left = max(0.0, self.deadline - time.monotonic())
            alarm = asyncio.get_running_loop().call_later(left, _expire, turn)
        try:
            if not await turn:
                raise DeadlinePassed
        finally:
            if alarm is not None:
                alarm.cancel()
        return time.perf_counter() - start


def _expire(turn: asyncio.Future[bool]) -> None:
    if not turn.done():
        turn.set_result(False)


class _Share:
    """What one client has here now."""

    __slots__ = ("requests", "running", "tokens")

    def __init__(self) -> None:
        self.requests = 0
        self.running = 0
        self.tokens = 0


_NOTHING = _Share()


class Admission:
    """``max_parallel`` requests run, ``max_queue`` wait, ``max_tokens`` bounds both together.

    While there are several clients, none of them gets all places to run, or more than half of the
    queue or of the tokens. For one event loop; nothing here takes a lock.

    Attributes:
        clients: How many clients there are by configuration; without it, those count that come.
        active: Requests that run.
        tokens: Tokens, by estimate, of all that run or wait.
    """

    def __init__(self, max_parallel: int, max_queue: int, max_tokens: int = 1 << 62) -> None:
        self.max_parallel = max_parallel
        self.max_queue = max_queue
        self.max_tokens = max_tokens
        self.clients = 0
        self.active = 0
        self.tokens = 0
        self._running: dict[Place, None] = {}
        self._queue = FairQueue[Place]()
        self._shares: dict[str, _Share] = {}
        self._last_client: str | None = None
        self._alternated: float | None = None
        """When a request last came from another client than the one before it."""

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def place(
        self,
        client: str | None = None,
        *,
        tokens: int = 0,
        weight: float = 1.0,
        deadline: float | None = None,
    ) -> Place:
        """A place to wait for, and then to hold.

        Args:
            client: Whose request it is.
            tokens: What it costs, by estimate.
            weight: How urgent it is beside others.
            deadline: ``time.monotonic()`` after which it need not run.

        Raises:
            QueueFull, Overloaded: on entering, at once.
            DeadlinePassed: on entering, when the deadline comes while it waits.
        """
        return Place(self, client or ANONYMOUS, tokens, weight, deadline)

    def refusal(self, client: str | None, tokens: int = 0) -> Refused | None:
        """Why a request that comes now would be refused; ``None`` when it would not."""
        name = client or ANONYMOUS
        share = self._shares.get(name, _NOTHING)
        several = self._has_several()
        if self.tokens and self.tokens + tokens > self.max_tokens:
            return Overloaded()
        if several and share.tokens and share.tokens + tokens > self.max_tokens // 2:
            return Overloaded()
        if self.may_run(name):
            return None
        most = max(1, self.max_queue // 2) if several else self.max_queue
        if self.waiting >= self.max_queue or self._queue.count(name) >= most:
            return QueueFull()
        return None

    def may_run(self, client: str | None) -> bool:
        """Whether the client's next request would run at once."""
        name = client or ANONYMOUS
        return not self._queue.count(name) and self._has_room(name)

    def ahead(self, client: str | None, tokens: int, weight: float, rate: float) -> float:
        """Tokens computed before a request that came now were done; its own come on top.

        By estimate, and rather too few: who runs beside it takes only a share of the device.

        Args:
            client: Whose request it is.
            tokens: What it costs.
            weight: How urgent it is.
            rate: Tokens that the device computes in a second.
        """
        now = time.monotonic()
        left = [
            (max(0.0, each.tokens - rate * (now - each.began) / self.active), each.weight)
            for each in self._running
        ]
        first, waiting = 0.0, 0
        if not self.may_run(client):
            first = min((rest for rest, _ in left), default=0.0)
            waiting = self._queue.ahead(client or ANONYMOUS, tokens, weight)
        return waiting + sum(min(rest, first + tokens * other / weight) for rest, other in left)

    def longest_running(self) -> float:
        """Seconds for which the oldest of the running has had its place."""
        oldest = next(iter(self._running), None)
        return 0.0 if oldest is None else time.monotonic() - oldest.began

    def enter(self, place: Place) -> None:
        """Start it, or make it wait with a ``turn``; for :class:`Place`.

        Raises:
            QueueFull, Overloaded: there is no room.
        """
        client = place.client
        if client != self._last_client:
            if self._last_client is not None:
                self._alternated = time.monotonic()
            self._last_client = client
        refused = self.refusal(client, place.tokens)
        if refused is not None:
            raise refused
        share = self._shares.get(client)
        if share is None:
            share = self._shares[client] = _Share()
        share.requests += 1
        share.tokens += place.tokens
        self.tokens += place.tokens
        if self.may_run(client):
            self._start(place)
            return
        place.turn = asyncio.get_running_loop().create_future()
        self._queue.put(place)
        self._pass_on()  # a client that was alone again for a while may have got more room

    def leave(self, place: Place) -> None:
        """Give back what it had, whether it ran or waited; for :class:`Place`."""
        share = self._shares[place.client]
        if place.began:
            self.active -= 1
            share.running -= 1
            del self._running[place]
        elif place.number:
            self._queue.remove(place)
        share.requests -= 1
        share.tokens -= place.tokens
        self.tokens -= place.tokens
        if not share.requests:
            del self._shares[place.client]
        self._pass_on()

    def _has_several(self) -> bool:
        if self.clients > 1:
            return True
        last = self._alternated
        return last is not None and time.monotonic() - last < RECENT_SECONDS

    def _has_room(self, client: str) -> bool:
        if self.active >= self.max_parallel:
            return False
        running = self._shares.get(client, _NOTHING).running
        return running < max(1, self.max_parallel - 1) or not self._has_several()

    def _start(self, place: Place) -> None:
        self.active += 1
        self._shares[place.client].running += 1
        self._queue.charge(place)
        self._running[place] = None
        place.began = time.monotonic()

    def _pass_on(self) -> None:
        """Give free places to those who wait."""
        while self._queue and self.active < self.max_parallel:
            place = self._queue.take(self._has_room)
            if place is None:
                return
            turn = place.turn
            if turn is not None and not turn.done():  # else it has given up in this moment
                self._start(place)
                turn.set_result(True)
