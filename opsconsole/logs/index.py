"""Which lines of a buffer match, kept up to date in slices of time."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from time import perf_counter

from opsconsole.logs.buffer import LogBuffer
from opsconsole.logs.query import LineTest


class LineIndex:
    """Numbers of the lines that a test accepts, in order.

    The filter, the search and the jumps to errors each are one. Each line is tested once; a scan
    stops when its time is up and goes on where it stopped, so that a key never waits for it.

    Args:
        buffer: The lines.
        make_test: Gives a fresh test for lines in order.
        base: Only lines of this index are looked at, such as those a filter shows.
    """

    def __init__(
        self, buffer: LogBuffer, make_test: Callable[[], LineTest], base: LineIndex | None = None
    ) -> None:
        self._buffer = buffer
        self._make_test = make_test
        self._test = make_test()
        self._base = base
        self.numbers = array("q")
        self.scanned = buffer.first
        """Lines before this number have been looked at."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def current(self) -> bool:
        """Whether every line of the buffer has been looked at."""
        return self.scanned >= self._buffer.end

    def advance(self, seconds: float) -> bool:
        """Look at lines for at most about ``seconds``.

        Returns:
            True when there is nothing left to look at.
        """
        self.evict()
        deadline = perf_counter() + seconds
        found, test, base = self.numbers, self._test, self._base
        stop = self._buffer.end if base is None else base.scanned
        lines: Iterable[tuple[int, str, bytes]]
        if base is None:
            lines = self._buffer.slots(self.scanned, stop)
        else:
            at = bisect_left(base.numbers, self.scanned)
            lines = (
                (number, self._buffer.source(number), self._buffer.raw(number))
                for number in base.numbers[at:]
            )
        for count, (number, source, raw) in enumerate(lines, 1):
            if test(source, raw):
                found.append(number)
            if (count % 8 == 0 or len(raw) > 4096) and perf_counter() > deadline:
                self.scanned = number + 1
                return self.current
        self.scanned = max(self.scanned, stop)
        return self.current

    def evict(self) -> None:
        """Forget lines that the buffer has dropped."""
        first = self._buffer.first
        if self.numbers and self.numbers[0] < first:
            del self.numbers[: bisect_left(self.numbers, first)]
        self.scanned = max(self.scanned, first)

    def extend_front(self, stop: int) -> None:
        """Look at lines that were put before number ``stop``, the first line until now."""
        test = self._make_test()
        base = None if self._base is None else set(self._base.numbers)
        front = [
            number
            for number, source, raw in self._buffer.slots(self._buffer.first, stop)
            if (base is None or number in base) and test(source, raw)
        ]
        self.numbers[:0] = array("q", front)

    def after(self, number: int) -> int | None:
        """The first match after line ``number``; None when none is known (yet)."""
        at = bisect_right(self.numbers, number)
        return self.numbers[at] if at < len(self.numbers) else None

    def before(self, number: int) -> int | None:
        """The last match before line ``number``; None when none is known."""
        at = bisect_left(self.numbers, number)
        return self.numbers[at - 1] if at else None

    def position(self, number: int) -> int:
        """How many matches stand before line ``number``."""
        return bisect_left(self.numbers, number)
