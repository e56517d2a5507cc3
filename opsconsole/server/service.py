"""One engine behind admission, and what the server says about itself."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from opsconsole import __version__
from opsconsole.engine.records import EngineStats, Scores
from opsconsole.errors import OpsError
from opsconsole.server.admission import Admission, QueueFull
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
from opsconsole.server.metrics import Metrics, MetricsView
from opsconsole.server.wire import Ranking, RankRequest, best_first

if TYPE_CHECKING:
    from opsconsole.engine import Engine
    from opsconsole.server.exchange import Exchange
    from opsconsole.server.settings import ServerSettings

MOST_RETRY_AFTER = 60


class Service:
    """What the routes share. For one event loop; only the engine works elsewhere."""

    def __init__(self, settings: ServerSettings, log: JsonLog) -> None:
        self.settings = settings
        self.log = log
        self.metrics = Metrics()
        self.admission = Admission(settings.max_parallel, settings.max_queue)
        self.draining = False
        self.engine: Engine | None = None
        self._model = ModelHealth(name=_configured_name(settings))
        self._started_at = time.time()
        self._running: dict[Exchange, float] = {}

    def ready(self, engine: Engine) -> None:
        """Serve with this engine from now on."""
        self.engine = engine
        self._model = ModelHealth.of(engine.info)

    def check_open(self) -> None:
        """Refuse a request that cannot be served now, before its body is read.

        Raises:
            RequestError: 503 while loading, or with the queue full.
        """
        if self.engine is None:
            raise RequestError(503, "loading", "the model is still being loaded", retry_after=2)
        if self.admission.full:
            raise self._queue_full()

    async def rank(self, request: RankRequest, exchange: Exchange) -> Ranking:
        """Score and sort; waits for a place first.

        Raises:
            RequestError: 503 loading, draining or queue full, 500 the engine failed.
        """
        self.check_open()
        engine = self.engine
        assert engine is not None
        exchange.documents = len(request.documents)
        scores = Scores(values=[])
        if request.documents:
            try:
                async with self.admission.place() as waited:
                    self._running[exchange] = time.monotonic()
                    try:
                        scores = await self._score(engine, request, exchange)
                    finally:
                        del self._running[exchange]
            except QueueFull:
                raise self._queue_full() from None
            exchange.queue_seconds = waited + scores.queue_seconds
            exchange.tokens = scores.tokens
            self.metrics.scored(scores, exchange.queue_seconds)
        return Ranking(
            exchange.request_id,
            engine.info.name,
            request,
            best_first(scores.values, request.top_n),
            scores.values,
            scores.tokens,
            scores.truncated,
        )

    async def _score(self, engine: Engine, request: RankRequest, exchange: Exchange) -> Scores:
        """The engine's scores; cancelling this frees the engine's work too."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not arrived.done():
                arrived.set_result(None)

        def done(_: concurrent.futures.Future[Scores]) -> None:
            # In the device thread. A loop that has closed has nobody to wake.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(wake)

        try:
            job = engine.submit(request.query, request.documents)
            job.future.add_done_callback(done)
            try:
                await arrived
            except asyncio.CancelledError:
                job.cancel()
                raise
            return job.future.result()
        except concurrent.futures.CancelledError:
            raise RequestError(503, "draining", "the server is stopping", retry_after=2) from None
        except OpsError as error:
            self.log.error(
                "the engine failed on a request", request_id=exchange.request_id, error=str(error)
            )
            raise RequestError(500, "engine_error", error.what) from None
        except Exception as error:
            self.log.error(
                "the engine failed on a request",
                request_id=exchange.request_id,
                error=f"{type(error).__name__}: {error}",
                exception=trace_of(error),
            )
            raise RequestError(
                500, "engine_error", "the engine failed on this request; its log says why"
            ) from None

    def _queue_full(self) -> RequestError:
        latency = self.metrics.latency
        mean = latency.total / latency.count if latency.count else 1.0
        drain = mean * (self.admission.waiting + 1) / self.admission.max_parallel
        return RequestError(
            503,
            "queue_full",
            f"{self.admission.active} requests run and {self.admission.waiting} wait, "
            "which is all that this server takes",
            retry_after=min(MOST_RETRY_AFTER, max(1, math.ceil(drain))),
        )

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
            controller=ControllerHealth(
                self.admission.max_parallel,
                self.admission.max_queue,
                self.admission.active,
                self.admission.waiting,
                self.settings.engine.batch_size,
                self.settings.engine.cache,
            ),
            engine=EngineHealth(
                stats.last_forward_age, stats.consecutive_failures, stats.last_error
            ),
        )

    def _status(self, stats: EngineStats) -> tuple[Status, str | None]:
        if self.draining:
            left = self.admission.active + self.admission.waiting
            return "draining", f"stopping; requests still to be answered: {left}"
        if self.engine is None:
            return "loading", f"loading the model {self._model.name}"
        oldest = next(iter(self._running.values()), None)
        running = 0.0 if oldest is None else time.monotonic() - oldest
        reason = ailment(stats, self.admission, running)
        return ("degraded", reason) if reason else ("healthy", None)

    def metrics_view(self) -> MetricsView:
        """The numbers for JSON."""
        return self.metrics.view(self._stats(), self.admission, cache=self.settings.engine.cache)

    def metrics_text(self, *, openmetrics: bool) -> tuple[bytes, bytes]:
        """The same numbers as (text, content type) for Prometheus."""
        from opsconsole.server.exposition import Snapshot

        snapshot = Snapshot(
            self.metrics,
            self.admission,
            self._stats(),
            self._model,
            __version__,
            up=self.engine is not None,
        )
        return snapshot.text("openmetrics" if openmetrics else "prometheus")

    def _stats(self) -> EngineStats:
        return self.engine.stats() if self.engine is not None else EngineStats()


def _configured_name(settings: ServerSettings) -> str:
    """The model's name before it is loaded: as configured, a folder by its last part."""
    engine = settings.engine
    if engine.local_path:
        return Path(engine.local_path).name or engine.local_path
    return engine.model
