"""One engine behind admission, and what the server says about itself."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from opsconsole import __version__
from opsconsole.engine.failures import DeadlineMissed, DeviceOutOfMemory, InputTooLong
from opsconsole.engine.records import EngineStats, Scores
from opsconsole.errors import OpsError
from opsconsole.server.admission import Admission, DeadlinePassed, Refused
from opsconsole.server.counting import Metrics
from opsconsole.server.errors import RequestError
from opsconsole.server.health import (
    ControllerHealth,
    EngineHealth,
    Health,
    ModelHealth,
    Status,
    ailment,
)
from opsconsole.server.logs import JsonLog, trace_of
from opsconsole.server.metrics import MetricsView, Snapshot
from opsconsole.server.refusals import Refusals
from opsconsole.server.repeats import Repeats
from opsconsole.server.wire import Ranking, RankRequest, best_first

if TYPE_CHECKING:
    from opsconsole.engine import Engine
    from opsconsole.engine.job import Job
    from opsconsole.server.exchange import Exchange
    from opsconsole.server.settings import ServerSettings


class Service:
    """What the routes share. For one event loop; only the engine works elsewhere."""

    def __init__(self, settings: ServerSettings, log: JsonLog) -> None:
        self.settings = settings
        self.log = log
        self.repeats = Repeats(log)
        self.metrics = Metrics()
        self.admission = Admission(
            settings.max_parallel, settings.max_queue, settings.max_queue_tokens
        )
        self._refusals = Refusals(self.admission, self.metrics)
        self.draining = False
        self.engine: Engine | None = None
        self.compute_type = b"cpu"
        """What computes, in TEI's words: ``cpu``, ``cpu+optimized`` or ``gpu``."""
        self._model = ModelHealth(name=_configured_name(settings))
        self._started_at = time.time()

    def ready(self, engine: Engine) -> None:
        """Serve with this engine from now on."""
        self.engine = self._refusals.engine = engine
        self._model = ModelHealth.of(engine.info)
        if not engine.info.device.startswith("cpu"):
            self.compute_type = b"gpu"
        elif engine.info.dtype != "float32":
            self.compute_type = b"cpu+optimized"

    def check_open(self, client: str | None = None) -> None:
        """Refuse a request that cannot be served now, before its body is read.

        Raises:
            RequestError: 503 while loading, or without room for one more of this client.
        """
        self._loaded()
        refused = self.admission.refusal(client)
        if refused is not None:
            raise self._refusals.of(refused)

    async def rank(self, request: RankRequest, exchange: Exchange) -> Ranking:
        """Score and sort; waits for a place first.

        A request may rank several times; what it costs adds up.

        Raises:
            RequestError: 422 a text is too long, 500 the engine failed, 503 loading, draining, or
                no room, time or memory for it, 504 its deadline passed.
        """
        engine = self._loaded()
        documents = request.documents
        exchange.documents = (exchange.documents or 0) + len(documents)
        exchange.characters += len(request.query) + sum(map(len, documents))
        scores, waited = Scores(values=[]), 0.0
        if documents:
            scores, waited = await self._scored(engine, request, exchange)
            self.metrics.scored(scores, waited, exchange.client)
        exchange.tokens = (exchange.tokens or 0) + scores.tokens
        exchange.queue_seconds = (exchange.queue_seconds or 0.0) + waited
        exchange.tokenize_seconds += scores.tokenize_seconds
        exchange.inference_seconds += scores.inference_seconds
        return Ranking(
            exchange.request_id,
            engine.info.name,
            request,
            best_first(scores.values, request.top_n),
            scores.values,
            scores.tokens,
            scores.truncated,
        )

    async def _scored(
        self, engine: Engine, request: RankRequest, exchange: Exchange
    ) -> tuple[Scores, float]:
        """(scores, seconds waited before the model worked); cancelling frees the engine's work."""
        client = exchange.client
        options = msgspec.structs.replace(request.options, client=client)
        job: Job | None = None
        try:
            if self.settings.engine.cache and self.admission.may_run(client):
                # What the cache knows takes no time and no place, whatever it would have cost.
                job = engine.submit(request.query, request.documents, options)
                if job.future.done():
                    return job.future.result(), 0.0
            tokens = engine.estimate_tokens(request.query, request.documents, options)
            unmeetable = self._refusals.unmeetable(client, tokens, options)
            if unmeetable is not None:
                raise unmeetable
            place = self.admission.place(
                client, tokens=tokens, weight=options.weight, deadline=options.deadline
            )
            async with place as waited:
                if job is None:
                    job = engine.submit(request.query, request.documents, options)
                if not job.future.done():
                    await _done(job.future, options.deadline)
                scores = job.future.result()
            return scores, waited + scores.queue_seconds
        except RequestError:
            raise
        except concurrent.futures.CancelledError:
            raise RequestError(503, "draining", "the server is stopping", retry_after=2) from None
        except Refused as refused:
            raise self._refusals.of(refused) from None
        except DeadlineMissed:
            raise self._refusals.of(DeadlinePassed()) from None
        except InputTooLong as error:
            raise RequestError(
                422, "input_too_long", error.what, field=_field(error.document)
            ) from None
        except Exception as error:
            raise self._failure(error, exchange) from None
        finally:
            if job is not None:
                job.cancel()  # nobody waits for it any more; a finished one stays finished

    def _failure(self, error: Exception, exchange: Exchange) -> RequestError:
        """Log what happened to a request in the engine; the answer says less."""
        cause = error.__cause__ if isinstance(error, OpsError) else error
        self.log.error(
            "the engine failed on a request",
            request_id=exchange.request_id,
            error=str(error) if isinstance(error, OpsError) else f"{type(error).__name__}: {error}",
            exception=None if cause is None else trace_of(cause),
        )
        if isinstance(error, DeviceOutOfMemory):
            return RequestError(503, "out_of_memory", error.what, field=_field(error.document))
        if isinstance(error, OpsError) and cause is None:
            return RequestError(500, "engine_error", error.what)
        # What was not expected speaks in the words of torch.
        return RequestError(
            500, "engine_error", "the engine failed on this request; its log says why"
        )

    def _loaded(self) -> Engine:
        if self.engine is None:
            raise RequestError(503, "loading", "the model is still being loaded", retry_after=2)
        return self.engine

    def health(self) -> Health:
        """The present state; takes no lock that the device could hold."""
        stats = self._stats()
        status, reason = self._status(stats)
        return Health(
            status=status,
            reason=reason,
            name=self.settings.name,
            version=__version__,
            pid=os.getpid(),
            started_at=self._started_at,
            uptime_seconds=self.metrics.uptime,
            model=self._model,
            controller=self._controller(stats),
            engine=EngineHealth.of(stats),
        )

    def _controller(self, stats: EngineStats) -> ControllerHealth:
        admission, settings = self.admission, self.settings.engine
        tuning = self.engine.info.tuning if self.engine is not None else None
        return ControllerHealth(
            max_parallel=admission.max_parallel,
            max_queue=admission.max_queue,
            max_queue_tokens=admission.max_tokens,
            active=admission.active,
            waiting=admission.waiting,
            queued_tokens=admission.tokens,
            batch_size=settings.batch_size if tuning is None else tuning.batch_size,
            batch_tokens=settings.batch_tokens if tuning is None else tuning.batch_tokens,
            threads=settings.threads if tuning is None else tuning.threads,
            dtype=self._model.dtype,
            cache_enabled=settings.cache,
            cache_limit_bytes=settings.cache_bytes,
            cache_bytes=stats.cache_bytes + stats.embedding_bytes,
        )

    def _status(self, stats: EngineStats) -> tuple[Status, str | None]:
        if self.draining:
            left = self.admission.active + self.admission.waiting
            return "draining", f"stopping; requests still to be answered: {left}"
        if self.engine is None:
            return "loading", f"loading the model {self._model.name}"
        reason = ailment(stats, self.admission.active, self.admission.longest_running())
        return ("degraded", reason) if reason else ("healthy", None)

    def metrics_view(self) -> MetricsView:
        """The numbers for JSON."""
        return MetricsView.of(self._snapshot())

    def metrics_text(self, *, openmetrics: bool) -> tuple[bytes, bytes]:
        """The same numbers as (text, content type) for Prometheus."""
        from opsconsole.server.exposition import Exposition

        return Exposition(self._snapshot()).text("openmetrics" if openmetrics else "prometheus")

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            self.metrics,
            self.admission,
            self._stats(),
            self.engine.info if self.engine is not None else None,
            self._model.name,
            self.settings.engine.cache,
            self.draining,
        )

    def _stats(self) -> EngineStats:
        return self.engine.stats() if self.engine is not None else EngineStats()


def _configured_name(settings: ServerSettings) -> str:
    """The model's name before it is loaded: as configured, a folder by its last part."""
    engine = settings.engine
    if engine.local_path:
        return Path(engine.local_path).name or engine.local_path
    return engine.model


async def _done(future: concurrent.futures.Future[Scores], deadline: float | None) -> None:
    """Wait for the engine, but not beyond the deadline.

    Raises:
        DeadlinePassed: the engine may still be in the batch that it began before.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not arrived.done():
            arrived.set_result(None)

    def done(_: concurrent.futures.Future[Scores]) -> None:
        # In the device thread. A loop that has closed has nobody to wake.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(done)
    alarm: asyncio.TimerHandle | None = None
    if deadline is not None:
        alarm = loop.call_later(max(0.0, deadline - time.monotonic()), wake)
    try:
        await arrived
    finally:
        if alarm is not None:
            alarm.cancel()
    if not future.done():
        raise DeadlinePassed


def _field(document: int | None) -> str:
    return "query" if document is None else f"documents[{document}]"
