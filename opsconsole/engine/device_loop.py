"""What the device thread does: take a batch, compute it, give each output to who waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from opsconsole.engine.backends.base import Backend, Launched
from opsconsole.engine.batching import padded_tokens
from opsconsole.engine.counters import Counters
from opsconsole.engine.failures import DeviceOutOfMemory
from opsconsole.engine.inflight import Cell, Flights
from opsconsole.engine.job import Job
from opsconsole.engine.schedule import Schedule


class _Launch(NamedTuple):
    """A batch that the device works on, or that could not be launched."""

    cells: list[Cell]
    began: float
    outputs: Launched | BaseException


class DeviceLoop:
    """Computes batches until the schedule is closed. Whatever a batch raises, the loop goes on.

    An error is isolated: inputs that different jobs wait for are tried again apart from each
    other, and only what fails again fails. A batch for which there is not enough memory is halved
    until it fits, or a single input does not.

    Args:
        backend: The model; from now on only this uses it.
        schedule: Gives the batches.
        flights: Knows who waits for an input.
        counters: Counts batches.
        finish: Called with a job that has all its outputs.
        fail: Called with a job that an input failed of, and the error.
    """

    def __init__(
        self,
        backend: Backend,
        schedule: Schedule,
        flights: Flights,
        counters: Counters,
        *,
        finish: Callable[[Job], None],
        fail: Callable[[Job, BaseException], None],
    ) -> None:
        self._backend = backend
        self._schedule = schedule
        self._flights = flights
        self._counters = counters
        self._finish = finish
        self._fail = fail
        self._busy_until = 0.0

    def run(self) -> None:
        """Compute; returns when the schedule is closed."""
        ahead: _Launch | None = None
        while True:
            cells = self._schedule.take(wait=ahead is None)
            launch = self._launch(cells) if cells else None
            if ahead is not None:
                self._settle(ahead)
                ahead = None
            if launch is not None:
                if self._backend.asynchronous:
                    ahead = launch
                else:
                    self._settle(launch)
            if cells is None:
                return
            del cells, launch  # a batch must not live on while this waits for the next one

    def _launch(self, cells: list[Cell]) -> _Launch:
        began = time.monotonic()
        try:
            return _Launch(cells, began, self._backend.launch([cell.row for cell in cells]))
        except BaseException as error:
            return _Launch(cells, began, error)

    def _settle(self, launch: _Launch) -> None:
        """Wait for a batch and deal with how it ended."""
        cells = launch.cells
        error: BaseException
        try:
            if isinstance(launch.outputs, BaseException):
                raise launch.outputs
            outputs = launch.outputs()
            if len(outputs) != len(cells):
                raise RuntimeError(f"{len(outputs)} outputs of {len(cells)} inputs")
            self._deliver(launch, outputs)
            return
        except BaseException as caught:
            error = caught
        if self._is_out_of_memory(error):
            error.__traceback__ = None  # it would keep the failed forward's memory alive
            self._counters.count_out_of_memory()
            if len(cells) > 1:
                middle = len(cells) // 2
                self._again(cells[:middle])
                self._again(cells[middle:])
            else:
                self._give_up(cells, error, fits=False)
            return
        groups = self._by_waiters(cells)
        if len(groups) > 1:
            for group in groups:
                self._again(group)
        else:
            self._give_up(cells, error, fits=True)

    def _again(self, cells: list[Cell]) -> None:
        """Try inputs once more; those that nobody wants any more are let go."""
        wanted = self._flights.drop_unwanted(cells)
        if wanted:
            self._settle(self._launch(wanted))

    def _by_waiters(self, cells: list[Cell]) -> list[list[Cell]]:
        groups: dict[frozenset[Job], list[Cell]] = {}
        for cell in cells:
            groups.setdefault(frozenset(self._flights.wanted(cell)), []).append(cell)
        return list(groups.values())

    def _deliver(self, launch: _Launch, outputs: list[Any]) -> None:
        cells = launch.cells
        now = time.monotonic()
        # Launched ahead, a batch began when the one before it ended.
        began = max(launch.began, self._busy_until)
        self._busy_until = now
        seconds = now - began
        lengths = [cell.length for cell in cells]
        tokens = sum(lengths)
        positions = tokens if self._backend.unpadded else padded_tokens(lengths)
        self._counters.count_batch(
            rows=len(cells), tokens=tokens, positions=positions, seconds=seconds
        )
        longest = max(lengths)
        complete: list[Job] = []
        for cell, output in zip(cells, outputs, strict=True):
            is_first = True
            for job, slot in self._flights.land(cell):
                work = job.work
                if work is not None:
                    work.put(slot, output)
                    work.forward_seconds += seconds / len(cells)
                    if work.started is None:
                        work.started = began
                    if is_first:
                        work.tokens += cell.length
                        work.padded_tokens += cell.length if self._backend.unpadded else longest
                    if work.is_complete:
                        complete.append(job)
                is_first = False
        for job in complete:
            self._finish(job)

    def _give_up(self, cells: list[Cell], error: BaseException, *, fits: bool) -> None:
        self._busy_until = time.monotonic()
        for cell in cells:
            for job, slot in self._flights.land(cell):
                work = job.work
                if fits or work is None:
                    self._fail(job, error)
                    continue
                failure = DeviceOutOfMemory(work.document_of(slot), cell.length)
                failure.__cause__ = error
                self._fail(job, failure)

    def _is_out_of_memory(self, error: BaseException) -> bool:
        if not isinstance(error, Exception):
            return False
        try:
            return self._backend.recover(error) or isinstance(error, MemoryError)
        except Exception:  # the device is beyond recovering; the batch's error says more
            return False
