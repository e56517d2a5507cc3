"""One request on its way through the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from opsconsole.engine.records import Scores
from opsconsole.engine.tokenizing import Row


class Job:
    """The scores of one query's documents, to come.

    Attributes:
        future: Resolves to :class:`Scores`, or to the error. Cancelling it (also through
            ``asyncio.wrap_future``) cancels the job.
    """

    def __init__(self, query: str, documents: Sequence[str]) -> None:
        self.query = query
        self.documents = list(documents)
        self.future: Future[Scores] = Future()
        self.submitted = time.monotonic()
        self.work: Work | None = None
        """Set once the texts are tokenised."""

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

    def succeed(self, scores: Scores) -> bool:
        """Resolve; ``False`` when it was cancelled before."""
        if not self.is_open or not self.future.set_running_or_notify_cancel():
            return False
        self.future.set_result(scores)
        return True

    def fail(self, error: BaseException) -> bool:
        """Resolve with an error; ``False`` when it was done or cancelled before."""
        if not self.is_open or not self.future.set_running_or_notify_cancel():
            return False
        self.future.set_exception(error)
        return True


class Work:
    """The rows of a job that the model must compute, and what came out so far.

    Args:
        rows: The model's inputs, each different text or pair once.
        finish: Makes the documents' scores of all outputs, in the order of ``rows``. Runs on the
            device thread.
    """

    def __init__(
        self, rows: list[Row], finish: Callable[[list[Any]], list[float]], base: Scores
    ) -> None:
        self.rows = rows
        self.finish = finish
        self.base = base
        self.started: float | None = None
        self.forward_seconds = 0.0
        self.padded_tokens = 0
        self._outputs: list[Any] = [None] * len(rows)
        self._missing = len(rows)

    def put(self, index: int, output: Any) -> None:
        """Keep the output of one row."""
        self._outputs[index] = output
        self._missing -= 1

    @property
    def is_complete(self) -> bool:
        return self._missing == 0

    def scores(self) -> list[float]:
        """The documents' scores; every row must have its output."""
        return self.finish(self._outputs)
