"""What ``/metrics`` says to Prometheus, and which format a client wants to see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from opsconsole.server.histogram import BOUNDS
from opsconsole.server.metrics import Build, Snapshot, engine_view
from opsconsole.server.usage import process_now

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

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


class Exposition:
    """A Prometheus collector over one moment's numbers."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Every family; durations in seconds, sizes in bytes."""
        yield from self._requests()
        yield from self._durations()
        yield from self._admission()
        yield from self._caches()
        yield from self._engine()
        yield from self._build()
        yield from _process()

    def _requests(self) -> Iterator[Metric]:
        metrics = self._snapshot.metrics
        yield _counters(
            "reranker_requests",
            "Requests by route and HTTP status.",
            ("endpoint", "status"),
            {(path, str(status)): n for (path, status), n in metrics.requests.items()},
        )
        yield _counters(
            "reranker_client_requests",
            "Requests by the name of their key and HTTP status.",
            ("client", "status"),
            {
                (name, str(status)): n
                for name, counts in metrics.clients.items()
                for status, n in counts.requests.items()
            },
        )
        yield _counters(
            "reranker_client_pairs",
            "Pairs scored by successful requests, by the name of their key.",
            ("client",),
            {(name,): counts.pairs for name, counts in metrics.clients.items()},
        )
        yield _counters(
            "reranker_rejected",
            "Requests refused by a limit of this server, by the type of error.",
            ("reason",),
            {(reason,): n for reason, n in metrics.rejected.items()},
        )
        yield _counter(
            "reranker_cancelled", "Requests whose client went away.", metrics.count(499, 500)
        )
        yield _counter(
            "reranker_expired",
            "Requests whose deadline came before their scores.",
            metrics.rejected["deadline_exceeded"],
        )
        yield _counter("reranker_pairs", "Pairs scored by successful requests.", metrics.pairs)
        yield _counters(
            "reranker_tokens",
            "Tokens computed for successful requests, and positions with padding.",
            ("kind",),
            {("real",): metrics.tokens_real, ("padded",): metrics.tokens_padded},
        )
        yield _counter(
            "reranker_truncated_pairs", "Pairs that were cut to fit.", metrics.truncated_pairs
        )

    def _durations(self) -> Iterator[Metric]:
        metrics = self._snapshot.metrics
        for name, text, histogram in (
            (
                "request",
                "Successful requests, from their headers to their answer.",
                metrics.latency,
            ),
            ("queue", "Waiting before the model worked on a request.", metrics.queue_time),
            ("tokenize", "Tokenising of a request.", metrics.tokenize_time),
            ("inference", "Model time of a request.", metrics.inference_time),
        ):
            yield _histogram(
                f"reranker_{name}_duration_seconds",
                text,
                (*BOUNDS, "+Inf"),
                histogram.cumulative(),
                histogram.total,
                "seconds",
            )

    def _admission(self) -> Iterator[Metric]:
        admission = self._snapshot.admission
        yield _gauge("reranker_inflight", "Requests in the engine.", admission.active)
        yield _gauge("reranker_queue_depth", "Requests waiting.", admission.waiting)
        yield _gauge(
            "reranker_queued_tokens",
            "Tokens, by estimate, of requests that run or wait.",
            admission.tokens,
        )
        yield _gauge(
            "reranker_max_parallel_requests", "Most requests in the engine.", admission.max_parallel
        )
        yield _gauge("reranker_max_queue_size", "Most requests waiting.", admission.max_queue)
        yield _gauge(
            "reranker_max_queued_tokens", "Most tokens that run or wait.", admission.max_tokens
        )
        yield _gauge("reranker_draining", "1 while the server stops.", self._snapshot.draining)

    def _caches(self) -> Iterator[Metric]:
        stats = self._snapshot.stats
        yield _counter("reranker_cache_hits", "Pairs answered from the cache.", stats.cache_hits)
        yield _counter("reranker_cache_misses", "Pairs not in the cache.", stats.cache_misses)
        yield _gauge("reranker_cache_entries", "Pairs in the cache.", stats.cache_entries)
        yield _gauge("reranker_cache_bytes", "Size of the cache.", stats.cache_bytes, "bytes")
        yield _counter(
            "reranker_embedding_cache_hits",
            "Texts whose vector was in the cache.",
            stats.embedding_hits,
        )
        yield _counter(
            "reranker_embedding_cache_misses",
            "Texts whose vector was not in the cache.",
            stats.embedding_misses,
        )
        yield _gauge(
            "reranker_embedding_cache_entries", "Vectors in the cache.", stats.embedding_entries
        )
        yield _gauge(
            "reranker_embedding_cache_bytes",
            "Size of the cache of vectors.",
            stats.embedding_bytes,
            "bytes",
        )
        yield _counter(
            "reranker_shared_pairs",
            "Pairs computed once for several requests.",
            stats.shared_pairs,
        )

    def _engine(self) -> Iterator[Metric]:
        stats = self._snapshot.stats
        yield _gauge(
            "reranker_engine_up", "1 when the model is loaded.", self._snapshot.info is not None
        )
        yield _counter("reranker_batches", "Batches the model computed.", stats.batches)
        engine = engine_view(stats, up=True)
        for name, text, sizes in (
            ("reranker_batch_size", "Pairs in a batch.", engine.batch_size),
            ("reranker_batch_tokens", "Positions in a batch, with padding.", engine.batch_tokens),
        ):
            bounds = [bound for bound, _ in sizes.buckets]
            yield _histogram(name, text, bounds, [n for _, n in sizes.buckets], sizes.sum)
        yield _gauge(
            "reranker_device_queue_pairs", "Pairs waiting for the device.", stats.queued_rows
        )
        yield _gauge(
            "reranker_device_queue_tokens", "Tokens waiting for the device.", stats.queued_tokens
        )
        yield _counter("reranker_engine_failures", "Requests the engine failed.", stats.failures)
        yield _gauge(
            "reranker_engine_consecutive_failures",
            "Requests failed since the last that succeeded.",
            stats.consecutive_failures,
        )
        yield _counter(
            "reranker_engine_cancelled", "Requests taken back from the engine.", stats.cancelled
        )
        yield _counter(
            "reranker_oom", "Batches that did not fit the device's memory.", stats.out_of_memory
        )
        if stats.tokens_per_second is not None:
            yield _gauge(
                "reranker_tokens_per_second",
                "Tokens the device computes in a second of work.",
                stats.tokens_per_second,
            )
        if stats.last_forward_age is not None:
            yield _gauge(
                "reranker_last_forward_age_seconds",
                "Time since the model last computed a batch.",
                stats.last_forward_age,
                "seconds",
            )
        if engine.device_memory is not None:
            yield _gauges(
                "reranker_device_memory_bytes",
                "Memory of the device, by kind.",
                "kind",
                msgspec.structs.asdict(engine.device_memory),
                "bytes",
            )

    def _build(self) -> Iterator[Metric]:
        from prometheus_client.core import InfoMetricFamily

        info = self._snapshot.info
        if info is not None and info.agreement is not None:
            yield _gauge(
                "reranker_agreement_kendall_tau",
                "Rank correlation of this precision's scores with float32.",
                info.agreement.kendall_tau,
            )
            yield _gauge(
                "reranker_agreement_max_difference",
                "Largest difference of this precision's scores from float32.",
                info.agreement.max_difference,
            )
        build = msgspec.structs.asdict(Build.of(self._snapshot.model, info))
        yield InfoMetricFamily("reranker_build", "What runs here.", value=build)

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


def _process() -> Iterator[Metric]:
    """The names that Prometheus' own client libraries have for these."""
    process = process_now()
    yield _gauge(
        "process_resident_memory_bytes", "Resident memory.", process.resident_bytes, "bytes"
    )
    yield _gauge("process_virtual_memory_bytes", "Virtual memory.", process.virtual_bytes, "bytes")
    yield _counter("process_cpu_seconds", "User and system time.", process.cpu_seconds, "seconds")
    yield _gauge("process_start_time_seconds", "Start, Unix time.", process.start_time, "seconds")
    yield _gauge("process_threads", "Threads.", process.threads)
    if process.open_fds is not None and process.max_fds is not None:
        yield _gauge("process_open_fds", "Open file descriptors.", process.open_fds)
        yield _gauge("process_max_fds", "Most open file descriptors.", process.max_fds)


def _counter(name: str, text: str, value: float, unit: str = "") -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(name, text, value=value, unit=unit)


def _counters(
    name: str, text: str, labels: tuple[str, ...], values: dict[tuple[str, ...], int]
) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def _gauge(name: str, text: str, value: float, unit: str = "") -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, text, value=float(value), unit=unit)


def _gauges(name: str, text: str, label: str, values: dict[str, int], unit: str) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, text, labels=(label,), unit=unit)
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _histogram(
    name: str,
    text: str,
    bounds: Sequence[float | str],
    cumulative: Sequence[int],
    total: float | None,
    unit: str = "",
) -> Metric:
    from prometheus_client.core import HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    names = [
        bound if isinstance(bound, str) else floatToGoString(bound)  # type: ignore[no-untyped-call]
        for bound in bounds
    ]
    return HistogramMetricFamily(
        name,
        text,
        buckets=list(zip(names, cumulative, strict=True)),
        sum_value=total,
        unit=unit,
    )
