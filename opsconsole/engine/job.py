"""One request on its way through the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any

import msgspec

from opsconsole.engine.records import MOST_CHUNKS, Options, Scores

if TYPE_CHECKING:
    from opsconsole.engine.inflight import Cell


class Job:
    """The scores of one query's documents, to come.

    Attributes:
        future: Resolves to :class:`Scores`, or to the error. Cancelling it (also through
            ``asyncio.wrap_future``) cancels the job.
        work: Set while its inputs are on their way to the device and back.
    """

    def __init__(
        self, query: str, documents: Sequence[str], options: Options | None = None
    ) -> None:
        self.query = query
        self.documents = list(documents)
        options = options or Options()
        if options.max_chunks_per_doc > MOST_CHUNKS:
            options = msgspec.structs.replace(options, max_chunks_per_doc=MOST_CHUNKS)
        self.options = options
        self.future: Future[Scores] = Future()
        self.submitted = time.monotonic()
        self.work: Work | None = None

    def cancel(self) -> bool:
        """Drop the job: what it has not computed yet is skipped from the next batch on.

        Returns:
            Whether it was still open; a finished job stays finished.
        """
        return self.future.cancel()

    @property
    def is_open(self) -> bool:
        """Whether anybody still waits for it."""
        return not self.future.done()

    @property
    def is_late(self) -> bool:
        """Whether its deadline has passed."""
        deadline = self.options.deadline
        return deadline is not None and time.monotonic() >= deadline

    def succeed(self, scores: Scores) -> bool:
        """Resolve; ``False`` when it was done or cancelled before."""
        try:
            self.future.set_result(scores)
        except InvalidStateError:
            return False
        return True

    def fail(self, error: BaseException) -> bool:
        """Resolve with an error; ``False`` when it was done or cancelled before."""
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            return False
        return True


class Work:
    """What a job waits for, and what came out so far.

    Args:
        slots: How many outputs.
        finish: Makes the documents' scores of all outputs. Runs on the device thread.
        document_of: The document that an output belongs to; ``None``: the query.
        base: The costs that are known when the texts are tokenised.
    """

    def __init__(
        self,
        slots: int,
        finish: Callable[[list[Any]], list[float]],
        document_of: Callable[[int], int | None],
        base: Scores,
    ) -> None:
        self.document_of = document_of
        self.base = base
        self.cells: list[Cell] = []
        self.started: float | None = None
        self.forward_seconds = 0.0
        self.tokens = 0
        self.padded_tokens = 0
        self._finish = finish
        self._outputs: list[Any] = [None] * slots
        self._missing = slots

    def put(self, slot: int, output: Any) -> None:
        """Keep one output; each comes once, on the device thread."""
        self._outputs[slot] = output
        self._missing -= 1

    @property
    def is_complete(self) -> bool:
        return self._missing == 0

    def scores(self) -> list[float]:
        """The documents' scores; every output must be there."""
        return self._finish(self._outputs)
