"""The lines that a log view holds: a ring bounded in lines and bytes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from opsconsole.logs.line import LogLine


class LogBuffer:
    """A ring of raw lines with absolute numbers.

    A line keeps its number for life, so that a viewport, a mark or a search result stays on it
    while others come and go; lines from further back in the file get numbers below the first.
    Adding a batch costs no Python per line.

    Args:
        max_lines: Most lines held.
        max_bytes: Most bytes held, line ends not counted; the last line is held in any case.
    """

    def __init__(self, max_lines: int = 100_000, max_bytes: int = 64 << 20) -> None:
        if max_lines < 1 or max_bytes < 1:
            raise ValueError("a log buffer holds at least one line")
        self.max_lines = max_lines
        self.max_bytes = max_bytes
        self._ring: list[bytes] = [b""] * max_lines
        self._ring_source = array("H", bytes(2 * max_lines))
        self._sources: list[str] = []
        self._source_ids: dict[str, int] = {}
        self.first = 0
        """Number of the oldest line held."""
        self.end = 0
        """Number that the next line gets."""
        self.bytes = 0
        self.dropped = 0
        """Lines that had to go to make room, since the start or the last :meth:`clear`."""

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def sources(self) -> Sequence[str]:
        """Names in the order in which their first line came."""
        return tuple(self._sources)

    def extend(self, source: str, lines: Sequence[bytes]) -> None:
        """Add lines after the last; the oldest go when there are too many."""
        lines = self._newest_that_fit(lines)
        count = len(lines)
        if not count:
            return
        excess = len(self) + count - self.max_lines
        if excess > 0:
            self._evict(excess)
        self._put(self.end, source, lines)
        self.end += count
        self.bytes += sum(map(len, lines))
        excess, over = 0, self.bytes - self.max_bytes
        while over > 0 and excess < len(self) - 1:
            over -= len(self._ring[(self.first + excess) % self.max_lines])
            excess += 1
        self._evict(excess)

    def prepend(self, source: str, lines: Sequence[bytes]) -> int:
        """Add lines before the first, as many of the last of ``lines`` as there is room for.

        Returns:
            How many were taken.
        """
        count = min(len(lines), self.max_lines - len(self))
        lines = lines[len(lines) - count :]
        size = sum(map(len, lines))
        skip = 0
        while size + self.bytes > self.max_bytes and skip < count:
            size -= len(lines[skip])
            skip += 1
        lines = lines[skip:]
        self._put(self.first - len(lines), source, lines)
        self.first -= len(lines)
        self.bytes += size
        return len(lines)

    def clear(self) -> None:
        """Forget all lines; numbers go on."""
        self._ring = [b""] * self.max_lines
        self.first = self.end
        self.bytes = self.dropped = 0

    def raw(self, number: int) -> bytes:
        """The bytes of a line.

        Raises:
            IndexError: the line has gone or has not come.
        """
        self._check(number)
        return self._ring[number % self.max_lines]

    def source(self, number: int) -> str:
        """Where a line came from.

        Raises:
            IndexError: the line has gone or has not come.
        """
        self._check(number)
        return self._sources[self._ring_source[number % self.max_lines]]

    def line(self, number: int) -> LogLine:
        """A line with its source.

        Raises:
            IndexError: the line has gone or has not come.
        """
        return LogLine(self.source(number), self.raw(number))

    def slots(self, start: int, stop: int) -> Iterator[tuple[int, str, bytes]]:
        """(number, source, raw) from ``start`` to before ``stop``, of those that are held."""
        size, ring, ids, names = self.max_lines, self._ring, self._ring_source, self._sources
        for number in range(max(start, self.first), min(stop, self.end)):
            slot = number % size
            yield number, names[ids[slot]], ring[slot]

    def _check(self, number: int) -> None:
        if not self.first <= number < self.end:
            raise IndexError(f"line {number} is not held ({self.first} to {self.end - 1} are)")

    def _newest_that_fit(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """``lines`` without those that the rest of the same batch would push out."""
        drop = max(0, len(lines) - self.max_lines)
        size = sum(map(len, lines)) if not drop else sum(map(len, lines[drop:]))
        while size > self.max_bytes and drop < len(lines) - 1:
            size -= len(lines[drop])
            drop += 1
        if drop:
            self.dropped += drop
            self._evict(len(self))
            self.first = self.end = self.end + drop
            return lines[drop:]
        return lines

    def _evict(self, count: int) -> None:
        start, size = self.first % self.max_lines, self.max_lines
        for low, high in ((start, min(start + count, size)), (0, max(0, start + count - size))):
            self.bytes -= sum(map(len, self._ring[low:high]))
            self._ring[low:high] = [b""] * (high - low)
        self.first += count
        self.dropped += count

    def _put(self, number: int, source: str, lines: Sequence[bytes]) -> None:
        source_id = self._source_ids.get(source)
        if source_id is None:
            source_id = self._source_ids[source] = len(self._sources)
            self._sources.append(source)
        start, count = number % self.max_lines, len(lines)
        room = min(count, self.max_lines - start)
        self._ring[start : start + room] = lines[:room]
        self._ring[: count - room] = lines[room:]
        ids = array("H", [source_id]) * count
        self._ring_source[start : start + room] = ids[:room]
        self._ring_source[: count - room] = ids[room:]
