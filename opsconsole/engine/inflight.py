"""Inputs under way: each different one is computed once, for every job that wants its output."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from opsconsole.engine.tokenizing import Row

if TYPE_CHECKING:
    from opsconsole.engine.job import Job

Stage = Literal["new", "waiting", "taken"]


class Cell:
    """One input of the model and who waits for its output.

    Attributes:
        key: What the output depends on.
        stage: ``waiting`` once it is in the schedule, ``taken`` once it is in a batch. Guarded by
            the schedule's lock.
        waiters: Jobs, each with the place among its outputs; the first one brought the input.
            Guarded by the lock of :class:`Flights`.
    """

    __slots__ = ("key", "length", "row", "stage", "waiters")

    def __init__(self, key: bytes, row: Row, job: Job, slot: int) -> None:
        self.key = key
        self.row = row
        self.length = len(row.ids)
        self.stage: Stage = "new"
        self.waiters: list[tuple[Job, int]] = [(job, slot)]


class Flights:
    """The table of cells whose outputs are not there yet. Thread-safe.

    A cell has no owner: it lies in the queue of each of its jobs, and whichever comes first to the
    device takes it along for all. So a job that is cancelled, or has little weight, holds up
    nobody who wants the same.
    """

    def __init__(self) -> None:
        self._cells: dict[bytes, Cell] = {}
        self._lock = threading.Lock()

    def join(self, job: Job, rows: Sequence[tuple[bytes, Row]]) -> list[Cell]:
        """The cells of a job's inputs: those under way, and new ones for the others.

        Args:
            job: Who gets the outputs, from now on; any thread may bring them.
            rows: Each input with its key, in the order of the outputs.
        """
        cells = []
        with self._lock:
            for slot, (key, row) in enumerate(rows):
                cell = self._cells.get(key)
                if cell is None:
                    cell = self._cells[key] = Cell(key, row, job, slot)
                else:
                    cell.waiters.append((job, slot))
                cells.append(cell)
        return cells

    def land(self, cell: Cell) -> list[tuple[Job, int]]:
        """Who gets the cell's output; who asks for the same from now on has it computed anew."""
        with self._lock:
            if self._cells.get(cell.key) is cell:
                del self._cells[cell.key]
            return cell.waiters

    def wanted(self, cell: Cell) -> list[Job]:
        """The jobs that wait for it now."""
        with self._lock:
            return [job for job, _ in cell.waiters if job.is_open]

    def drop_unwanted(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those cells that an open job waits for; the others are gone, for who asks later too."""
        wanted = []
        with self._lock:
            for cell in cells:
                if any(job.is_open for job, _ in cell.waiters):
                    wanted.append(cell)
                elif self._cells.get(cell.key) is cell:
                    del self._cells[cell.key]
        return wanted

    def forget(self, cells: Iterable[Cell]) -> list[Cell]:
        """Drop those cells of a job that ended which no open job waits for; returns them."""
        dropped = []
        with self._lock:
            for cell in cells:
                if len(cell.waiters) == 1 or not any(job.is_open for job, _ in cell.waiters):
                    dropped.append(cell)
                    if self._cells.get(cell.key) is cell:
                        del self._cells[cell.key]
        return dropped

    def __len__(self) -> int:
        return len(self._cells)
