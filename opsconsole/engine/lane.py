"""The inputs of one job in the schedule, by length."""

from __future__ import annotations

from bisect import bisect_left

from opsconsole.engine.batching import Room
from opsconsole.engine.inflight import Cell
from opsconsole.engine.job import Job
from opsconsole.engine.share import Share

_LEAST_WEIGHT = 1e-3


def weight_of(job: Job) -> float:
    """The weight that a job is given."""
    return max(_LEAST_WEIGHT, job.options.weight)


class Lane:
    """What a job still has to be computed, and when it is its turn.

    Virtual times are tokens that each job of weight 1 has been served. A lane is served in parcels
    of at most ``quantum`` tokens: what is smaller goes through in one piece, what is larger
    takes turns. Not thread-safe: the schedule's lock guards it.

    Attributes:
        tag: Virtual time at which its present parcel would end if all jobs were served at once;
            the lane with the smallest goes first, of equal ones that which arrived first.
        weight: Beside the other lanes of its share, or beside all if it has none.
        share: Its client's.
        tokens: Left to compute; an upper bound where another job took a shared input along.
        size: Tokens at its arrival.
        entry: The tag by which it stands in an order, if it does.
        is_gone: It has left the schedule.
    """

    def __init__(
        self,
        job: Job,
        cells: list[Cell],
        arrival: int,
        start: float,
        quantum: int,
        share: Share | None = None,
    ) -> None:
        self.job = job
        self.arrival = arrival
        self.weight = weight_of(job)
        self.share = share
        self.tag = start
        self.entry: float | None = None
        self.is_gone = False
        self.tokens = self.size = sum(cell.length for cell in cells)
        self._cells = sorted(cells, key=lambda cell: -cell.length)
        self._keys = [-cell.length for cell in self._cells]  # ascending, for bisect
        # The next input at or behind each that is not known to be taken: found in nearly constant
        # time however often inputs are taken out of the middle.
        self._next = list(range(len(self._cells) + 1))
        self._quantum = quantum
        self._parcel = 0
        self.charge(0)

    @property
    def is_empty(self) -> bool:
        """Whether all its inputs are in batches."""
        return self._find(0) == len(self._cells)

    def fill(self, room: Room, batch: list[Cell]) -> int:
        """Move inputs into a batch, longest first, as long as they fit; returns their tokens."""
        served = index = 0
        count = len(self._cells)
        while longest := room.longest:
            index = self._find(bisect_left(self._keys, -longest, index))
            if index == count or not room.admits(self._cells[index].length):
                break
            cell = self._cells[index]
            cell.stage = "taken"
            self._next[index] = index + 1
            room.add(cell.length)
            batch.append(cell)
            served += cell.length
        return served

    def clear(self) -> None:
        """Let go of the inputs: all are in batches."""
        self._cells, self._keys, self._next = [], [], [0]

    def charge(self, tokens: int) -> None:
        """Account for tokens that were served."""
        self.tokens -= tokens
        self._parcel -= tokens
        if self._parcel > 0:
            return
        step = min(max(1, self.tokens), self._quantum)
        self._parcel += step  # what was served beyond the last parcel counts for this one
        self.tag += step * (1.0 if self.share is None else self.share.total) / self.weight

    def _find(self, index: int) -> int:
        """The first input at or behind ``index`` that waits."""
        following, cells = self._next, self._cells
        root = index
        while True:
            while following[root] != root:
                root = following[root]
            if root == len(cells) or cells[root].stage == "waiting":
                break
            following[root] = root + 1
        while following[index] != root and index != root:
            following[index], index = root, following[index]
        return root
