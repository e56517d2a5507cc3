"""The engine: one loaded model, one device thread, a queue of requests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import msgspec

from opsconsole.engine.architecture import Architecture
from opsconsole.engine.backends.base import Backend, Vector
from opsconsole.engine.batching import padded_tokens
from opsconsole.engine.cache import ScoreCache
from opsconsole.engine.counters import Counters
from opsconsole.engine.device_thread import DeviceThread
from opsconsole.engine.job import Job
from opsconsole.engine.records import EngineStats, ModelInfo, Scores
from opsconsole.engine.schedule import Item, Schedule
from opsconsole.engine.scoring import Preparation
from opsconsole.engine.settings import EngineSettings
from opsconsole.engine.tokenizing import PairTokenizer, Row
from opsconsole.errors import OpsError

_TOKENIZER_THREADS = 2
_CLOSE_SECONDS = 10.0


class Engine:
    """Scores documents against queries with one model. Thread-safe; made by ``load``.

    Texts are tokenised in a small thread pool while the device thread computes; an error fails
    the request it happened in and no other.
    """

    def __init__(
        self,
        settings: EngineSettings,
        info: ModelInfo,
        architecture: Architecture,
        tokenizer: PairTokenizer,
        backend: Backend,
        device: DeviceThread,
    ) -> None:
        self.info = info
        self._family = architecture.family
        self._backend: Backend | None = backend
        self._device = device
        self._counters = Counters()
        self._cache = ScoreCache(settings.cache_bytes) if settings.cache else None
        self._preparation = Preparation(architecture, tokenizer, self._similarity, self._cache)
        self._schedule = Schedule(
            batch_size=settings.batch_size,
            batch_tokens=settings.batch_tokens,
            batch_padding=backend.batch_overhead,
        )
        self._pool = ThreadPoolExecutor(_TOKENIZER_THREADS, thread_name_prefix="engine-tokenizer")
        self._open: set[Job] = set()
        self._closed = False
        device.call(self._run)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def submit(self, query: str, documents: Sequence[str]) -> Job:
        """Queue a request; returns at once.

        Raises:
            OpsError: the engine is closed.
            TypeError: ``documents`` is one text instead of several.
        """
        if isinstance(documents, str):
            raise TypeError("documents is a str, expected a sequence of them")
        job = Job(query, documents)
        self._open.add(job)
        job.future.add_done_callback(lambda _: self._open.discard(job))
        try:
            self._pool.submit(self._prepare, job)
        except RuntimeError:  # the pool is shut down
            self._open.discard(job)
            raise _closed() from None
        return job

    def score(self, query: str, documents: Sequence[str]) -> Scores:
        """Score and wait.

        Raises:
            OpsError: the model failed, or the engine is closed.
        """
        return self.submit(query, documents).future.result()

    def stats(self) -> EngineStats:
        """Counters since the start; never waits for the device."""
        stats, backend = self._counters.read(), self._backend
        return msgspec.structs.replace(
            stats,
            cache_entries=len(self._cache) if self._cache is not None else 0,
            cache_bytes=self._cache.size_bytes if self._cache is not None else 0,
            out_of_memory=backend.out_of_memory if backend is not None else 0,
        )

    def close(self) -> None:
        """Fail what is still waiting, end the device thread and let the model go.

        A batch that is being computed is waited for, up to ten seconds.
        """
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for job in self._schedule.close():
            job.fail(_closed())
        self._device.end(_CLOSE_SECONDS)
        for job in tuple(self._open):
            job.fail(_closed())

    def _prepare(self, job: Job) -> None:
        if not job.is_open:
            return
        try:
            job.work = self._preparation.prepare(job)
            if job.work.is_complete:
                self._finish(job)
            elif not self._schedule.put(job):
                job.fail(_closed())
        except Exception as error:
            self._fail(job, error)

    def _run(self) -> None:
        """The device thread's loop."""
        while (batch := self._schedule.take()) is not None:
            self._compute(batch)
        self._backend = None  # dropped on the thread that made it

    def _compute(self, batch: list[Item]) -> None:
        jobs = list(dict.fromkeys(item.job for item in batch))
        rows = [item.row for item in batch]
        lengths = [len(row.ids) for row in rows]
        began = time.monotonic()
        try:
            outputs = self._forward(rows)
        except Exception as error:
            for job in jobs:
                self._fail(job, error)
            return
        seconds = time.monotonic() - began
        self._counters.count_batch(tokens=sum(lengths), padded=padded_tokens(lengths))
        for item, output in zip(batch, outputs, strict=True):
            work = item.job.work
            assert work is not None
            if work.started is None:
                work.started = began
            work.put(item.number, output)
            work.padded_tokens += max(lengths)
            work.forward_seconds += seconds / len(batch)
        for job in jobs:
            if job.work is not None and job.work.is_complete:
                self._finish(job)

    def _forward(self, rows: list[Row]) -> list[Any]:
        assert self._backend is not None
        if self._family == "cross-encoder":
            return self._backend.classify(rows)
        return self._backend.embed(rows)

    def _similarity(self, query: Vector, documents: Sequence[Vector]) -> list[float]:
        assert self._backend is not None
        return self._backend.similarity(query, documents)

    def _finish(self, job: Job) -> None:
        work = job.work
        assert work is not None
        try:
            values = work.scores()
        except Exception as error:
            self._fail(job, error)
            return
        base = work.base
        started = time.monotonic() if work.started is None else work.started
        scores = msgspec.structs.replace(
            base,
            values=values,
            padded_tokens=work.padded_tokens,
            queue_seconds=max(0.0, started - job.submitted - base.tokenize_seconds),
            inference_seconds=work.forward_seconds,
        )
        hits = base.cache_hits
        misses = len(values) - hits if self._cache is not None else 0
        # Counted first: who has the answer in hand finds it in the statistics.
        if job.is_open:
            self._counters.count_success(pairs=len(values), hits=hits, misses=misses)
        job.succeed(scores)

    def _fail(self, job: Job, error: Exception) -> None:
        if not isinstance(error, OpsError):
            name, text = type(error).__name__, str(error)
            cause, error = error, OpsError(f"the model failed: {name}: {text}", where="engine")
            error.__cause__ = cause
        if job.is_open:
            self._counters.count_failure(error)
        job.fail(error)


def _closed() -> OpsError:
    return OpsError("the engine is closed", where="engine")
