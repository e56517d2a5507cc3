"""Ctrl-C, an end that is asked for, a terminal that is gone: none of them loses what was measured.

From its begin until it is stored, a run answers these signals in its own way, and what comes while
nothing can answer is kept for later.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Answer = Callable[[int], None]


class Interrupts:
    """A context in which these signals end nothing by themselves. For the main thread.

    Attributes:
        kept: The numbers of those that nothing has answered yet.
    """

    def __init__(self) -> None:
        self.kept: list[int] = []
        self._answer: Answer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        for number in _NUMBERS:
            # Under nohup a terminal that is gone is to be borne.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    @contextmanager
    def answered(self, answer: Answer) -> Iterator[None]:
        """While it lasts, ``answer`` is called with a signal's number, in the running event loop;
        with those too that came before."""
        self._loop, self._answer = asyncio.get_running_loop(), answer
        kept, self.kept = self.kept, []
        for number in kept:
            self._loop.call_soon(answer, number)
        try:
            yield
        finally:
            self._answer = None

    def _take(self, number: int, _: FrameType | None) -> None:
        if self._answer is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._answer, number)
        else:
            self.kept.append(number)
