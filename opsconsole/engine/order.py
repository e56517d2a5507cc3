"""Lanes by whose turn it is."""

from __future__ import annotations

import heapq

from opsconsole.engine.lane import Lane


class Order:
    """A heap of lanes: the smallest tag first, of equal ones that which arrived first.

    A lane that is gone, or was pushed again with another tag, is passed over when it comes up.
    Not thread-safe: the schedule's lock guards it.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, int, Lane]] = []
        self._count = 0

    def push(self, lane: Lane) -> None:
        """Put a lane in its place; one that stands there already stays."""
        if lane.entry != lane.tag:
            lane.entry = lane.tag
            self._count += 1  # so that lanes are never compared
            heapq.heappush(self._entries, (lane.tag, lane.arrival, self._count, lane))

    def first(self) -> Lane | None:
        """The lane whose turn it is; it stays."""
        entries = self._entries
        while entries:
            lane = entries[0][-1]
            if not lane.is_gone and lane.entry == entries[0][0]:
                return lane
            heapq.heappop(entries)
        return None

    def pop(self) -> Lane:
        """Take the lane out that :meth:`first` has just named."""
        lane = heapq.heappop(self._entries)[-1]
        lane.entry = None
        return lane

    def clear(self) -> None:
        """Forget all lanes."""
        self._entries.clear()
