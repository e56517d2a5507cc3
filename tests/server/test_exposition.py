"""The two faces of ``/metrics`` beside each other, and Prometheus' own parsers over one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from opsconsole.engine.counters import POSITION_BOUNDS, ROW_BOUNDS
from opsconsole.engine.records import Agreement, EngineStats, ModelInfo, Scores, Tuning
from opsconsole.server import metrics as views
from opsconsole.server.admission import Admission
from opsconsole.server.counting import Metrics
from opsconsole.server.exposition import Exposition
from opsconsole.server.metrics import MetricsView, Snapshot
from opsconsole.server.usage import Process

SIMPLE = {
    "reranker_cancelled_total": "cancelled_requests",
    "reranker_expired_total": "expired_requests",
    "reranker_pairs_total": "pairs",
    "reranker_truncated_pairs_total": "tokens.truncated_pairs",
    "reranker_inflight": "queue.active",
    "reranker_queue_depth": "queue.waiting",
    "reranker_queued_tokens": "queue.tokens",
    "reranker_max_parallel_requests": "queue.max_parallel",
    "reranker_max_queue_size": "queue.max_queue",
    "reranker_max_queued_tokens": "queue.max_tokens",
    "reranker_draining": "draining",
    "reranker_cache_hits_total": "cache.hits",
    "reranker_cache_misses_total": "cache.misses",
    "reranker_cache_entries": "cache.entries",
    "reranker_cache_bytes": "cache.bytes",
    "reranker_embedding_cache_hits_total": "embedding_cache.hits",
    "reranker_embedding_cache_misses_total": "embedding_cache.misses",
    "reranker_embedding_cache_entries": "embedding_cache.entries",
    "reranker_embedding_cache_bytes": "embedding_cache.bytes",
    "reranker_shared_pairs_total": "engine.shared_pairs",
    "reranker_engine_up": "engine.up",
    "reranker_batches_total": "engine.batches",
    "reranker_device_queue_pairs": "engine.queued_rows",
    "reranker_device_queue_tokens": "engine.queued_tokens",
    "reranker_engine_failures_total": "engine.failures",
    "reranker_engine_consecutive_failures": "engine.consecutive_failures",
    "reranker_engine_cancelled_total": "engine.cancelled",
    "reranker_oom_total": "engine.out_of_memory",
    "reranker_tokens_per_second": "engine.tokens_per_second",
    "reranker_last_forward_age_seconds": "engine.last_forward_age_seconds",
    "reranker_agreement_kendall_tau": "agreement.kendall_tau",
    "reranker_agreement_max_difference": "agreement.max_difference",
    "process_resident_memory_bytes": "process.resident_bytes",
    "process_virtual_memory_bytes": "process.virtual_bytes",
    "process_cpu_seconds_total": "process.cpu_seconds",
    "process_start_time_seconds": "process.start_time",
    "process_threads": "process.threads",
    "process_open_fds": "process.open_fds",
    "process_max_fds": "process.max_fds",
}
HISTOGRAMS = {
    "reranker_request_duration_seconds": "latency",
    "reranker_queue_duration_seconds": "queue_time",
    "reranker_tokenize_duration_seconds": "tokenize_time",
    "reranker_inference_duration_seconds": "inference_time",
    "reranker_batch_size": "engine.batch_size",
    "reranker_batch_tokens": "engine.batch_tokens",
}


def busy() -> Snapshot:
    """A server of which nothing is zero, and no two numbers are alike."""
    metrics = Metrics()
    for i, (endpoint, status, error) in enumerate(
        (("/rerank", 200, None), ("/rerank", 504, "deadline_exceeded"), ("/score", 499, None))
    ):
        for _ in range(i + 1):
            metrics.ended(endpoint, status, 0.01 * (i + 1), error, f"team-{i}")
    metrics.ended(None, 429, 0.1, "rate_limited", "team-9")
    metrics.scored(
        Scores([0.5] * 7, 70, 81, 3, tokenize_seconds=0.02, inference_seconds=0.03), 0.04, "team-0"
    )
    admission = Admission(5, 66, 12345)
    admission.active, admission.tokens = 2, 678
    stats = EngineStats(
        pairs=7, batches=11, tokens_real=130, tokens_padded=142, cache_hits=13, cache_misses=14,
        cache_entries=15, cache_bytes=1600, failures=17, consecutive_failures=18, out_of_memory=19,
        cancelled=20, expired=21, shared_pairs=22, embedding_hits=23, embedding_misses=24,
        embedding_entries=25, embedding_bytes=2600,
        batch_rows=tuple(range(len(ROW_BOUNDS) + 1)),
        batch_positions=tuple(range(1, len(POSITION_BOUNDS) + 2)),
        queued_rows=27, queued_tokens=2800, tokens_per_second=29000.5,
        device_memory=(30, 31, 32), last_forward_age=33.25,
    )  # fmt: skip
    info = ModelInfo(
        name='a "model"\\', path="/m", revision="sha256:0", family="cross-encoder",
        architecture="X", backend="pytorch", device="cuda:0", dtype="bfloat16", max_length=512,
        parameters=1, tuning=Tuning(2048, 256, 16, 0), agreement=Agreement(0.996, 0.01, 100),
    )  # fmt: skip
    return Snapshot(metrics, admission, stats, info, "configured", True, True)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process uses stands still, so that two faces can be compared."""
    used = Process(1, 2.5, 3000, 4000, 5.5, 6, 7, 8)
    monkeypatch.setattr(views, "process_now", lambda: used)
    monkeypatch.setattr("opsconsole.server.exposition.process_now", lambda: used)


def at(view: Any, path: str) -> Any:
    for part in path.split("."):
        view = view[part]
    return view


def in_json(view: dict[str, Any], sample: Sample) -> Any:
    """What the JSON says to a sample of the Prometheus text."""
    name, labels = sample.name, sample.labels
    for histogram, path in HISTOGRAMS.items():
        if name == f"{histogram}_bucket":
            for bound, count in at(view, path)["buckets"]:
                if float(bound) == float(labels["le"]):
                    return count
        if name == f"{histogram}_count":
            return at(view, path)["count"]
        if name == f"{histogram}_sum":
            return at(view, path)["sum_seconds" if "seconds" in name else "sum"]
    match name:
        case "reranker_requests_total":
            return view["requests_by_endpoint"][labels["endpoint"]][labels["status"]]
        case "reranker_client_requests_total":
            return view["clients"][labels["client"]]["requests_by_status"][labels["status"]]
        case "reranker_client_pairs_total":
            return view["clients"][labels["client"]]["pairs"]
        case "reranker_rejected_total":
            return view["rejected_by_reason"][labels["reason"]]
        case "reranker_tokens_total":
            return view["tokens"][labels["kind"]]
        case "reranker_device_memory_bytes":
            return view["engine"]["device_memory"][labels["kind"]]
        case "reranker_build_info":
            assert labels == view["build"]
            return 1
    return at(view, SIMPLE[name])


@pytest.mark.parametrize("format", ["prometheus", "openmetrics"])
def test_each_sample_has_its_counterpart_in_json(process: None, format: str) -> None:
    snapshot = busy()
    view = msgspec.to_builtins(MetricsView.of(snapshot))
    body, kind = Exposition(snapshot).text(format)  # type: ignore[arg-type]
    text = body.decode()
    if format == "openmetrics":
        assert kind.startswith(b"application/openmetrics-text; version=1.0.0")
        families = list(openmetrics.text_string_to_metric_families(text))
    else:
        families = list(text_string_to_metric_families(text))
    samples = [sample for family in families for sample in family.samples]
    for sample in samples:
        assert sample.value == pytest.approx(float(in_json(view, sample))), sample
    assert {s.name for s in samples} >= SIMPLE.keys()
    assert all(family.documentation.endswith(".") for family in families)
    if format == "openmetrics":
        for family in families:
            for unit in ("seconds", "bytes"):
                assert family.unit == (unit if family.name.endswith(unit) else family.unit)
            assert family.unit or not family.name.endswith(("_seconds", "_bytes"))


def test_what_is_not_known_is_left_out_not_zero(process: None) -> None:
    snapshot = Snapshot(Metrics(), Admission(4, 64), EngineStats(), None, "m", False, False)
    view = msgspec.to_builtins(MetricsView.of(snapshot))
    text = Exposition(snapshot).text("openmetrics")[0].decode()
    absent = ("last_forward_age", "tokens_per_second", "device_memory", "agreement")
    families = list(openmetrics.text_string_to_metric_families(text))
    assert not [f.name for f in families if any(word in f.name for word in absent)]
    assert view["engine"]["last_forward_age_seconds"] is None
    assert view["engine"]["device_memory"] is None
    assert view["agreement"] is None
    assert "reranker_engine_up 0.0" in text
    assert all(
        sample.value == pytest.approx(float(in_json(view, sample)))
        for family in families
        for sample in family.samples
    )
