"""Who may use the engine now, who waits, and who is refused."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator


class QueueFull(Exception):
    """No place to run and none to wait."""


class Admission:
    """``max_parallel`` requests run, ``max_queue`` wait first in first out, one more is refused.

    For one event loop; nothing here takes a lock.
    """

    def __init__(self, max_parallel: int, max_queue: int) -> None:
        self.max_parallel = max_parallel
        self.max_queue = max_queue
        self.active = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiters)

    @property
    def full(self) -> bool:
        """Whether a request that comes now would be refused."""
        return self.active >= self.max_parallel and len(self._waiters) >= self.max_queue

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[float]:
        """Hold a place among the running; yields the seconds waited for it.

        Raises:
            QueueFull: at once, when the queue has no place either.
        """
        waited = 0.0
        if self.active < self.max_parallel:
            self.active += 1
        elif len(self._waiters) < self.max_queue:
            waited = await self._wait()
        else:
            raise QueueFull
        try:
            yield waited
        finally:
            self._pass_on()

    async def _wait(self) -> float:
        start = time.perf_counter()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # the place came in the very moment we gave up
            else:
                with contextlib.suppress(ValueError):  # it may have been passed over already
                    self._waiters.remove(turn)
            raise
        return time.perf_counter() - start

    def _pass_on(self) -> None:
        """Give the place to the first who waits; it stays counted as active."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.active -= 1
