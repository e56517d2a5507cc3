from __future__ import annotations

import random
import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.engine.records import EngineStats, Scores
from opsconsole.server.admission import Admission
from opsconsole.server.counting import REFUSALS, SHED, Metrics
from opsconsole.server.errors import ERROR_TYPES
from opsconsole.server.exposition import wanted
from opsconsole.server.histogram import BOUNDS, Histogram
from opsconsole.server.metrics import Durations, MetricsView, Sizes, Snapshot


def test_an_empty_histogram_knows_nothing() -> None:
    view = Durations.of(Histogram())
    assert view.count == 0
    assert view.mean_ms is view.p50_ms is view.p99_ms is view.max_ms is None
    assert view.buckets[-1] == ("+Inf", 0)


def test_buckets_are_cumulative_and_inclusive() -> None:
    histogram = Histogram()
    for seconds in (0.001, 0.0011, 0.4, 1000.0):
        histogram.observe(seconds)
    buckets = dict(Durations.of(histogram).buckets)
    assert buckets[0.0005] == 0
    assert buckets[0.001] == 1  # a bound belongs to its bucket, as with Prometheus
    assert buckets[0.0015] == 2
    assert buckets[0.5] == 3
    assert buckets[120.0] == 3
    assert buckets["+Inf"] == 4


def test_one_value_is_its_own_quantiles() -> None:
    histogram = Histogram()
    histogram.observe(0.0431)
    view = Durations.of(histogram)
    for value in (view.mean_ms, view.p50_ms, view.p95_ms, view.p99_ms, view.max_ms):
        assert value == pytest.approx(43.1)


@given(st.lists(st.floats(0, 500), min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_stays_within_what_was_observed(values: list[float], q: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    quantile = histogram.quantile(q)
    assert quantile is not None
    assert min(values) <= quantile <= max(values)


def test_quantiles_are_as_near_as_the_buckets_allow() -> None:
    generator = random.Random(7)
    values = [generator.lognormvariate(-3, 0.8) for _ in range(5000)]
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    exact = statistics.quantiles(values, n=100)
    for q in (50, 95, 99):
        assert histogram.quantile(q / 100) == pytest.approx(exact[q - 1], rel=0.12)


def test_bounds_rise_in_small_steps_from_100_microseconds_to_minutes() -> None:
    assert all(1 < high / low <= 2 for low, high in pairwise(BOUNDS))
    assert BOUNDS[0] == 0.0001
    assert BOUNDS[-1] >= 300


def view(metrics: Metrics, stats: EngineStats | None = None, *, cache: bool = False) -> MetricsView:
    return MetricsView.of(
        Snapshot(metrics, Admission(4, 64), stats or EngineStats(), None, "m", cache, False)
    )


def test_the_success_rate_leaves_out_what_is_not_the_servers() -> None:
    metrics = Metrics()
    before = view(metrics)
    assert before.success_rate is None
    assert before.cache.hit_rate is None
    for status, error in (
        *[(200, None)] * 9, (503, "queue_full"), (503, "loading"), (504, "deadline_exceeded"),
        (500, "engine_error"), (503, "out_of_memory"), (422, "invalid_request"),
        (413, "body_too_large"), (499, None),
    ):  # fmt: skip
        metrics.ended("/rerank", status, 0.01, error)
    metrics.scored(Scores([0.1, 0.2], tokens=10, padded_tokens=12, truncated=1), 0.5)
    after = view(metrics, EngineStats(cache_hits=1, cache_misses=3), cache=True)
    assert after.total_requests == 17
    assert after.successful_requests == 9
    assert after.failed_requests == 2
    assert after.rejected_requests == 3
    assert after.cancelled_requests == 1
    assert after.expired_requests == 1
    assert after.invalid_requests == 2
    assert after.success_rate == 9 / 14
    assert after.requests_by_status == {
        "200": 9, "413": 1, "422": 1, "499": 1, "500": 1, "503": 3, "504": 1,
    }  # fmt: skip
    assert after.requests_by_endpoint == {"/rerank": after.requests_by_status}
    assert {reason for reason, n in after.rejected_by_reason.items() if n} == {
        "loading", "queue_full", "deadline_exceeded", "body_too_large",
    }  # fmt: skip
    assert after.latency.count == 9
    assert (after.pairs, after.tokens.real, after.tokens.padded) == (2, 10, 12)
    assert after.tokens.truncated_pairs == 1
    assert after.queue_time.sum_seconds == 0.5
    assert after.cache.hit_rate == 0.25


def test_clients_are_told_apart_by_the_names_of_their_keys() -> None:
    metrics = Metrics()
    metrics.ended("/rerank", 200, 0.01, None, "a")
    metrics.ended("/v2/rerank", 200, 0.01, None, "a")
    metrics.ended(None, 429, 0.01, "rate_limited", "b")  # it got to no route
    metrics.ended(None, 401, 0.01, "unauthorized")
    metrics.ended(None, 200, 0.01, None, "b")  # it read /metrics
    metrics.ended(None, 404, 0.01, "not_found", "b")
    metrics.scored(Scores([0.1] * 3), 0.0, "a")
    after = view(metrics)
    assert {name: (c.requests_by_status, c.pairs) for name, c in after.clients.items()} == {
        "a": ({"200": 2}, 3),
        "b": ({"429": 1}, 0),
    }
    assert after.total_requests == 2
    assert after.rejected_by_reason["rate_limited"] == 1
    assert after.rejected_by_reason["unauthorized"] == 1
    assert after.rejected_requests == 0
    assert after.success_rate == 1


def test_every_refusal_is_a_documented_error_and_what_is_shed_is_5xx() -> None:
    assert ERROR_TYPES.keys() >= REFUSALS
    assert all(ERROR_TYPES[reason][0] in (503, 504) for reason in SHED)


def test_sizes_are_cumulative_and_start_at_zero() -> None:
    assert Sizes.of((1, 2), (), 0).buckets == [(1, 0), (2, 0), ("+Inf", 0)]
    sizes = Sizes.of((1, 2), (3, 0, 4), None)
    assert sizes.buckets == [(1, 3), (2, 3), ("+Inf", 7)]
    assert sizes.count == 7


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        ("text/plain", "prometheus"),
        ("text/plain;version=0.0.4;q=0.5, */*;q=0.1", "prometheus"),
        ("application/json, text/plain", "json"),
        ("text/plain, application/json", "prometheus"),
        ("text/plain;q=0.3, application/json;q=0.9", "json"),
        ("text/plain;q=0", "json"),
        ("text/plain;q=nonsense", "json"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.6,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "openmetrics",
        ),
        (",;,;=", "json"),
    ],
)
def test_the_format_follows_the_accept_header(accept: str, format: str) -> None:
    assert wanted(accept) == format
