"""Which rows the device computes next.

This is the seam for batching across requests: whatever the policy, the device thread takes a
batch of (job, row) items, computes it, and gives each output to its job. The policy now is one job
after the other, each cut into length-sorted batches.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from opsconsole.engine.batching import plan_batches
from opsconsole.engine.job import Job
from opsconsole.engine.tokenizing import Row


class Item(NamedTuple):
    """One row of one job."""

    job: Job
    number: int
    """The row's place among the rows of its job."""
    row: Row


class Schedule:
    """Jobs whose texts are tokenised, in the order they came. Thread-safe.

    Args:
        batch_size: Most rows in a batch.
        batch_tokens: Most positions in a batch of more than one row.
        batch_padding: Most padded positions in a batch.
    """

    def __init__(self, *, batch_size: int, batch_tokens: int, batch_padding: int) -> None:
        self._batch_size = batch_size
        self._batch_tokens = batch_tokens
        self._batch_padding = batch_padding
        self._jobs: deque[Job] = deque()
        self._batches: deque[list[Item]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, job: Job) -> bool:
        """Add a job that has its work; ``False`` after :meth:`close`."""
        with self._changed:
            if self._closed:
                return False
            self._jobs.append(job)
            self._changed.notify()
            return True

    def take(self) -> list[Item] | None:
        """Wait for the next batch; ``None`` once closed. Rows of dead jobs are dropped."""
        with self._changed:
            while not self._closed:
                while self._batches:
                    batch = [item for item in self._batches.popleft() if item.job.is_open]
                    if batch:
                        return batch
                if self._jobs:
                    self._batches.extend(self._cut(self._jobs.popleft()))
                else:
                    self._changed.wait()
            return None

    def close(self) -> list[Job]:
        """End :meth:`take`; returns the jobs that were not computed to their end."""
        with self._changed:
            self._closed = True
            started = {id(item.job): item.job for batch in self._batches for item in batch}
            left = [*started.values(), *self._jobs]
            self._batches.clear()
            self._jobs.clear()
            self._changed.notify_all()
            return left

    def _cut(self, job: Job) -> list[list[Item]]:
        if not job.is_open or job.work is None:
            return []
        rows = job.work.rows
        batches = plan_batches(
            [len(row.ids) for row in rows],
            batch_size=self._batch_size,
            batch_tokens=self._batch_tokens,
            batch_padding=self._batch_padding,
        )
        return [[Item(job, index, rows[index]) for index in batch] for batch in batches]
