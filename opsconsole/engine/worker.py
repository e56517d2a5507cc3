"""The embedded engine's process: ``python -m opsconsole.engine.worker``, driven over its pipes.

It reads requests from standard input until the end of the stream, which also comes when the
console dies, however it dies: then the process ends at once.
"""

from __future__ import annotations

import os
import sys
import threading
from queue import SimpleQueue
from typing import BinaryIO

from opsconsole.engine.job import Job
from opsconsole.engine.wire import (
    Answer,
    Cancel,
    Failed,
    Load,
    Loaded,
    Score,
    Scored,
    pack,
    read_request,
)
from opsconsole.errors import OpsError


def main() -> int:
    """Serve one console; returns only through the end of the process."""
    # Native libraries print to standard output; from here on that is the log, not the stream.
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    status = 0
    try:
        Worker(answers).serve(requests)
    except Exception as error:  # a stream that is not ours: say so and end
        print(f"embedded engine: {error}", file=sys.stderr, flush=True)
        status = 1
    # Nothing is left to clean up, and ending an interpreter with a forward under way can crash.
    os._exit(status)


class Worker:
    """One engine behind a stream of requests.

    Args:
        answers: Where answers go, unbuffered.
    """

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._outbox: SimpleQueue[Answer] = SimpleQueue()
        self._jobs: dict[int, Job] = {}

    def serve(self, requests: BinaryIO) -> None:
        """Answer requests until the end of their stream.

        Raises:
            OpsError: the stream is not ours.
            msgspec.MsgspecError: a message is none of ours.
        """
        threading.Thread(target=self._write, name="worker-answers", daemon=True).start()
        first = read_request(requests)
        if first is None:
            return
        if not isinstance(first, Load):
            raise OpsError("the first message must say which model to load")
        ready = threading.Event()
        # On a thread, so that the end of the stream is noticed while the model is still loading.
        threading.Thread(
            target=self._load, args=(first, ready), name="worker-load", daemon=True
        ).start()
        while (request := read_request(requests)) is not None:
            ready.wait()
            if isinstance(request, Score):
                self._score(request)
            elif isinstance(request, Cancel):
                job = self._jobs.get(request.number)
                if job is not None:
                    job.cancel()

    def _load(self, request: Load, ready: threading.Event) -> None:
        try:
            from opsconsole.engine.loading import load

            self._engine = load(request.settings)
        except BaseException as error:
            self._outbox.put(Failed.of(None, error))
            return
        self._outbox.put(Loaded(self._engine.info))
        ready.set()

    def _score(self, request: Score) -> None:
        try:
            job = self._engine.submit(request.query, request.documents, request.options)
        except OpsError as error:
            self._outbox.put(Failed.of(request.number, error))
            return
        self._jobs[request.number] = job
        job.future.add_done_callback(lambda _: self._answer(request.number, job))

    def _answer(self, number: int, job: Job) -> None:
        self._jobs.pop(number, None)
        if job.future.cancelled():
            return
        error = job.future.exception()
        if error is not None:
            self._outbox.put(Failed.of(number, error))
        else:
            self._outbox.put(Scored(number, job.future.result()))

    def _write(self) -> None:
        """A thread of its own: a console that reads slowly must not hold up the device."""
        while True:
            data = memoryview(pack(self._outbox.get()))
            try:
                while data:
                    data = data[self._answers.write(data) :]
            except OSError:
                return  # the console is gone; the end of its requests ends the process


if __name__ == "__main__":
    sys.exit(main())
