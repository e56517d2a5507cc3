"""The Prometheus face of :mod:`metrics`, and which face a client wants to see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from opsconsole.server.metrics import BOUNDS, Histogram, Metrics

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

    from opsconsole.engine.records import EngineStats
    from opsconsole.server.admission import Admission
    from opsconsole.server.health import ModelHealth

Format = Literal["json", "prometheus", "openmetrics"]
FORMATS: dict[str, Format] = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "text/plain": "prometheus",
    "text/*": "prometheus",
    "application/openmetrics-text": "openmetrics",
}
CONTENT_TYPES: dict[Format, bytes] = {
    "json": b"application/json",
    "prometheus": b"text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": b"application/openmetrics-text; version=1.0.0; charset=utf-8",
}


def wanted(accept: str) -> Format:
    """The format that an Accept header prefers: by ``q``, then by order; JSON for want of one.

    ``text/html`` is not asked of us, so a browser sees JSON.
    """
    best: tuple[float, Format] = (0.0, "json")
    for item in accept.split(","):
        kind, *parameters = item.split(";")
        name = FORMATS.get(kind.strip().lower())
        if name is None:
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if quality > best[0]:
            best = (quality, name)
    return best[1]


class Snapshot:
    """A Prometheus collector over one server's numbers."""

    def __init__(
        self,
        metrics: Metrics,
        admission: Admission,
        stats: EngineStats,
        model: ModelHealth,
        version: str,
        *,
        up: bool,
    ) -> None:
        self._metrics = metrics
        self._admission = admission
        self._stats = stats
        self._model = model
        self._version = version
        self._up = up

    def collect(self) -> Iterator[Metric]:
        """Every family; durations in seconds, sizes in bytes."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            InfoMetricFamily,
        )

        from opsconsole.server.metrics import process_now

        def counter(name: str, text: str, value: float) -> Metric:
            return CounterMetricFamily(name, text, value=value)

        def gauge(name: str, text: str, value: float) -> Metric:
            return GaugeMetricFamily(name, text, value=value)

        metrics, stats, model = self._metrics, self._stats, self._model
        requests = CounterMetricFamily(
            "reranker_requests", "Requests by route and HTTP status.", labels=["endpoint", "status"]
        )
        for (endpoint, status), count in sorted(metrics.requests.items()):
            requests.add_metric([endpoint, str(status)], count)
        yield requests
        rejected = CounterMetricFamily(
            "reranker_rejected", "Requests refused with 503, by reason.", labels=["reason"]
        )
        for reason, count in sorted(metrics.rejected.items()):
            rejected.add_metric([reason], count)
        yield rejected
        yield counter(
            "reranker_cancelled", "Requests whose client went away.", metrics.count(499, 500)
        )
        yield counter("reranker_pairs", "Pairs scored by successful requests.", metrics.pairs)
        tokens = CounterMetricFamily(
            "reranker_tokens", "Tokens computed, and positions with padding.", labels=["kind"]
        )
        tokens.add_metric(["real"], metrics.tokens_real)
        tokens.add_metric(["padded"], metrics.tokens_padded)
        yield tokens
        yield counter(
            "reranker_truncated_pairs", "Pairs that were cut to fit.", metrics.truncated_pairs
        )
        for name, text, histogram in (
            ("request", "Successful requests, whole.", metrics.latency),
            ("queue", "Waiting before the engine worked on a request.", metrics.queue_time),
            ("tokenize", "Tokenising of a request.", metrics.tokenize_time),
            ("inference", "Model time of a request.", metrics.inference_time),
        ):
            yield _histogram(f"reranker_{name}_duration_seconds", text, histogram)
        yield counter("reranker_batches", "Batches the model computed.", stats.batches)
        yield gauge("reranker_inflight", "Requests in the engine.", self._admission.active)
        yield gauge("reranker_queue_depth", "Requests waiting.", self._admission.waiting)
        yield gauge(
            "reranker_max_parallel_requests", "Most in the engine.", self._admission.max_parallel
        )
        yield gauge("reranker_max_queue_size", "Most waiting.", self._admission.max_queue)
        yield counter("reranker_cache_hits", "Pairs answered from the cache.", stats.cache_hits)
        yield counter("reranker_cache_misses", "Pairs not in the cache.", stats.cache_misses)
        yield gauge("reranker_cache_entries", "Pairs in the cache.", stats.cache_entries)
        yield gauge("reranker_cache_bytes", "Size of the cache.", stats.cache_bytes)
        yield counter("reranker_engine_failures", "Requests the engine failed.", stats.failures)
        yield counter(
            "reranker_oom", "Batches that did not fit the device's memory.", stats.out_of_memory
        )
        yield gauge("reranker_engine_up", "1 when the model is loaded.", float(self._up))
        if stats.last_forward_age is not None:
            yield gauge(
                "reranker_last_forward_age_seconds",
                "Time since the model last computed a batch.",
                stats.last_forward_age,
            )
        build = {
            "version": self._version,
            "model": model.name,
            "backend": model.backend or "",
            "device": model.device or "",
            "dtype": model.dtype or "",
            "revision": model.revision or "",
        }
        yield InfoMetricFamily("reranker_build", "What runs here.", value=build)
        process = process_now()
        yield gauge("process_resident_memory_bytes", "Resident memory.", process.resident_bytes)
        yield counter("process_cpu_seconds", "User and system time.", process.cpu_seconds)
        yield gauge("process_start_time_seconds", "Start, Unix time.", process.start_time)

    def registry(self) -> CollectorRegistry:
        """A registry of its own, so that nothing global leaks into a scrape."""
        from prometheus_client.registry import CollectorRegistry

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def text(self, format: Format) -> tuple[bytes, bytes]:
        """(body, content type) in Prometheus' or OpenMetrics' text format."""
        from prometheus_client import exposition
        from prometheus_client.openmetrics import exposition as openmetrics

        registry = self.registry()
        if format == "openmetrics":
            body: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        else:
            body = exposition.generate_latest(registry)
        return body, CONTENT_TYPES[format]


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    from prometheus_client.core import HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    bounds = [*map(floatToGoString, BOUNDS), "+Inf"]
    return HistogramMetricFamily(
        name,
        text,
        buckets=list(zip(bounds, histogram.cumulative(), strict=True)),
        sum_value=histogram.total,
    )
