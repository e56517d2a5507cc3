"""The engine: one loaded model, one device thread, a queue of requests."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import msgspec

from opsconsole.engine.architecture import Architecture
from opsconsole.engine.backends.base import Backend, Vector
from opsconsole.engine.cache import ScoreCache
from opsconsole.engine.counters import Counters
from opsconsole.engine.device_loop import DeviceLoop
from opsconsole.engine.device_thread import DeviceThread
from opsconsole.engine.embeddings import EmbeddingCache
from opsconsole.engine.estimate import TokenEstimate
from opsconsole.engine.failures import DeadlineMissed, InputTooLong
from opsconsole.engine.inflight import Flights
from opsconsole.engine.job import Job, Work
from opsconsole.engine.reading import Reading
from opsconsole.engine.records import EngineStats, ModelInfo, Options, Scores
from opsconsole.engine.schedule import Limits, Schedule
from opsconsole.engine.scoring import Scoring
from opsconsole.engine.settings import EngineSettings
from opsconsole.engine.tokenizing import PairTokenizer
from opsconsole.errors import OpsError

_CLOSE_SECONDS = 10.0
_SMALL_CHARACTERS = 1500
"""Texts that are tokenised sooner (0.2 ms) than another thread would begin with them."""

_Steps = Generator[None, None, tuple[Work, Reading]]


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
        tuning = info.tuning
        is_cross = architecture.family == "cross-encoder"
        self._backend: Backend | None = backend
        self._device = device
        self._is_cross = is_cross
        self._tokenizer = tokenizer
        self._estimate = TokenEstimate()
        self._counters = Counters(tuning.tokens_per_second)
        self._cache = ScoreCache(settings.cache_bytes) if settings.cache else None
        self._embeddings = (
            EmbeddingCache(settings.cache_bytes) if settings.cache and not is_cross else None
        )
        self._scoring = Scoring(
            architecture,
            lambda job, keys: Reading(job, keys, architecture, tokenizer, self._estimate),
            self._similarity,
            self._cache,
            self._embeddings,
        )
        self._flights = Flights()
        self._schedule = Schedule(
            Limits(
                rows=tuning.batch_size,
                tokens=tuning.batch_tokens,
                fill=tuning.fill_tokens,
                padding=tuning.batch_padding,
                unpadded=backend.unpadded,
            ),
            self._flights,
            rate=self._counters.rate,
            expire=lambda job: self._fail(job, DeadlineMissed()),
        )
        self._pool = ThreadPoolExecutor(
            _tokenizer_threads(info.device), thread_name_prefix="engine-tokenizer"
        )
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

    def submit(self, query: str, documents: Sequence[str], options: Options | None = None) -> Job:
        """Queue a request; returns at once. What the cache can answer is done on return.

        Raises:
            OpsError: the engine is closed.
            TypeError: ``documents`` is one text instead of several.
        """
        if isinstance(documents, str):
            raise TypeError("documents is a str, expected a sequence of them")
        if self._closed:
            raise _closed()
        job = Job(query, documents, options)
        known = self._scoring.recall(job)
        if known is not None:
            self._count(known)
            job.succeed(known)
            return job
        self._open.add(job)
        job.future.add_done_callback(lambda _: self._release(job))
        steps = self._scoring.prepare(job)
        if len(query) + sum(map(len, job.documents)) <= _SMALL_CHARACTERS:
            self._advance(job, steps, whole=True)
            return job
        try:
            self._pool.submit(self._advance, job, steps)
        except RuntimeError:  # the pool is shut down
            job.fail(_closed())
            raise _closed() from None
        return job

    def score(self, query: str, documents: Sequence[str], options: Options | None = None) -> Scores:
        """Score and wait.

        Raises:
            OpsError: the model failed, the engine is closed, or the options forbid the request.
        """
        return self.submit(query, documents, options).future.result()

    def estimate_tokens(
        self, query: str, documents: Sequence[str], options: Options | None = None
    ) -> int:
        """About how many tokens a request will cost, by the texts seen so far.

        Takes no tokenizer and no lock: for deciding whether to take a request at all.
        """
        lengths = [len(document) for document in documents]
        limit = self._tokenizer.max_length
        options = options or Options()
        if self._is_cross:
            return self._estimate.pairs(len(query), lengths, limit, options)
        return self._estimate.texts(len(query), lengths, limit, options)

    def stats(self) -> EngineStats:
        """Counters since the start; never waits for the device."""
        backend, cache, embeddings = self._backend, self._cache, self._embeddings
        return msgspec.structs.replace(
            self._counters.read(),
            cache_entries=len(cache) if cache is not None else 0,
            cache_bytes=cache.size_bytes if cache is not None else 0,
            embedding_hits=embeddings.hits if embeddings is not None else 0,
            embedding_misses=embeddings.misses if embeddings is not None else 0,
            embedding_entries=len(embeddings) if embeddings is not None else 0,
            embedding_bytes=embeddings.size_bytes if embeddings is not None else 0,
            queued_rows=self._schedule.rows,
            queued_tokens=self._schedule.tokens,
            device_memory=backend.memory() if backend is not None else None,
        )

    def close(self) -> None:
        """Fail what is still waiting, end the device thread and let the model go.

        A batch that is being computed is waited for, up to ten seconds.
        """
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        unread = [job for job in tuple(self._open) if job.work is None]
        for job in [*self._schedule.close(), *unread]:
            job.fail(_closed())
        self._device.end(_CLOSE_SECONDS)
        for job in tuple(self._open):
            job.fail(_closed())

    def _advance(self, job: Job, steps: _Steps, *, whole: bool = False) -> None:
        """Tokenise a slice of a job, and queue for the next: small jobs pass between the slices."""
        if not job.is_open:
            return
        try:
            if job.is_late:
                raise DeadlineMissed
            next(steps)
            while whole:
                next(steps)
            self._pool.submit(self._advance, job, steps)
        except StopIteration as end:
            self._queue(job, *end.value)
        except BaseException as error:  # a panic in the tokenizer is no Exception
            self._fail(job, _closed() if self._closed else error)

    def _queue(self, job: Job, work: Work, reading: Reading) -> None:
        if job.is_late:
            self._fail(job, DeadlineMissed())
            return
        job.work = work  # before anything can come out
        work.cells = cells = self._flights.join(job, reading.inputs)
        if shared := sum(
            cells[part.start].waiters[0][0] is not job for part in reading.parts.values()
        ):
            self._counters.count_shared(shared)
        if not cells:  # all of it came into the caches meanwhile
            self._finish(job)
        elif not self._schedule.put(job, cells):
            job.fail(_closed())

    def _run(self) -> None:
        """The device thread's work."""
        backend = self._backend
        assert backend is not None
        loop = DeviceLoop(
            backend,
            self._schedule,
            self._flights,
            self._counters,
            finish=self._finish,
            fail=self._fail,
        )
        del backend
        loop.run()
        if self._embeddings is not None:
            self._embeddings.clear()
        self._backend = None  # dropped on the thread that made it

    def _similarity(self, query: Vector, documents: Sequence[Vector]) -> list[float]:
        assert self._backend is not None
        return self._backend.similarity(query, documents)

    def _finish(self, job: Job) -> None:
        work = job.work
        if work is None:
            return  # cancelled meanwhile
        try:
            values = work.scores()
        except BaseException as error:
            self._fail(job, error)
            return
        base = work.base
        started = time.monotonic() if work.started is None else work.started
        scores = msgspec.structs.replace(
            base,
            values=values,
            tokens=work.tokens,
            padded_tokens=work.padded_tokens,
            queue_seconds=max(0.0, started - job.submitted - base.tokenize_seconds),
            inference_seconds=work.forward_seconds,
        )
        # Counted first: who has the answer in hand finds it in the statistics.
        if job.is_open:
            self._count(scores)
        job.succeed(scores)

    def _count(self, scores: Scores) -> None:
        pairs, hits = len(scores.values), scores.cache_hits
        misses = pairs - hits if self._cache is not None else 0
        self._counters.count_success(pairs=pairs, hits=hits, misses=misses)

    def _fail(self, job: Job, error: BaseException) -> None:
        if not isinstance(error, OpsError):
            name, text = type(error).__name__, str(error)
            cause, error = error, OpsError(f"the model failed: {name}: {text}", where="engine")
            error.__cause__ = cause
        if job.is_open:
            if isinstance(error, DeadlineMissed):
                self._counters.count_expired()
            elif not isinstance(error, InputTooLong):  # which the client is to blame for
                self._counters.count_failure(error)
        job.fail(error)

    def _release(self, job: Job) -> None:
        """A job has ended, in whatever way: what it held is free at once."""
        self._open.discard(job)
        if job.future.cancelled():
            self._counters.count_cancelled()
        work, job.work, job.documents = job.work, None, []
        if work is not None and not work.is_complete:
            self._schedule.drop(job, work.cells)


def _tokenizer_threads(device: str) -> int:
    """Threads for tokenising.

    On a CPU, the forward wants all the cores, so the tokenizer's own threads stay off; a large
    request does not hold up a small one as it is tokenised in slices, and one slice that is a
    single long text not even while it lasts. Beside an accelerator the cores are free, and one
    large request may have them all.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false" if device == "cpu" else "true")
    return min(4, max(2, (os.cpu_count() or 1) - 1))


def _closed() -> OpsError:
    return OpsError("the engine is closed", where="engine")
