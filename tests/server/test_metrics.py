from __future__ import annotations

import random
import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.engine.records import EngineStats, Scores
from opsconsole.server.admission import Admission
from opsconsole.server.exposition import wanted
from opsconsole.server.metrics import BOUNDS, Durations, Histogram, Metrics


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


def test_bounds_rise_in_small_steps() -> None:
    assert all(1 < high / low <= 2 for low, high in pairwise(BOUNDS))
    assert BOUNDS[0] < 0.001
    assert BOUNDS[-1] >= 60


def test_the_success_rate_leaves_out_what_is_not_the_servers() -> None:
    metrics, admission = Metrics(), Admission(4, 64)
    view = metrics.view(EngineStats(), admission, cache=False)
    assert view.success_rate is None
    assert view.cache.hit_rate is None
    for status, refusal in (
        *[(200, None)] * 9, (503, "queue_full"), (503, "loading"), (500, None),
        (422, None), (413, None), (499, None),
    ):  # fmt: skip
        metrics.ended("/rerank", status, 0.01, refusal)
    metrics.scored(Scores([0.1, 0.2], tokens=10, padded_tokens=12, truncated=1), 0.5)
    view = metrics.view(EngineStats(cache_hits=1, cache_misses=3), admission, cache=True)
    assert view.total_requests == 15
    assert view.successful_requests == 9
    assert view.failed_requests == 1
    assert view.rejected_requests == 2
    assert view.cancelled_requests == 1
    assert view.invalid_requests == 2
    assert view.success_rate == 9 / 12
    assert view.requests_by_status == {
        "200": 9, "413": 1, "422": 1, "499": 1, "500": 1, "503": 2,
    }  # fmt: skip
    assert view.rejected_by_reason == {"loading": 1, "draining": 0, "queue_full": 1}
    assert view.latency.count == 9
    assert (view.pairs, view.tokens.real, view.tokens.padded) == (2, 10, 12)
    assert view.tokens.truncated_pairs == 1
    assert view.queue_time.sum_seconds == 0.5
    assert view.cache.hit_rate == 0.25


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
