from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.fleet import Histogram, delta, merge, quantile

INF = math.inf


def test_the_published_vector() -> None:
    # clickhouse.com, quantilePrometheusHistogram
    assert quantile(Histogram((0.0, 0.5, 1.0, INF), (6, 11, 14, 19)), 0.5) == pytest.approx(0.35)


def test_no_observation_has_no_quantile() -> None:
    assert quantile(Histogram((1.0, INF), (0, 0)), 0.5) is None


def test_in_the_last_bucket_the_highest_bound_is_told() -> None:
    assert quantile(Histogram((0.1, 1.0, INF), (0, 1, 100)), 0.99) == 1.0


def test_delta_after_a_reset_is_all_of_the_new() -> None:
    old, new = Histogram((1.0, INF), (5, 10), 7.0), Histogram((1.0, INF), (1, 2), 1.0)
    assert delta(new, old) == new


counts = st.lists(st.integers(0, 50), min_size=4, max_size=4)


@given(counts, counts)
def test_merging_is_the_same_as_observing_together(a: list[int], b: list[int]) -> None:
    bounds = (0.1, 0.5, 1.0, INF)

    def cumulative(steps: list[int]) -> Histogram:
        return Histogram(bounds, tuple(float(sum(steps[: i + 1])) for i in range(4)))

    together = cumulative([x + y for x, y in zip(a, b, strict=True)])
    merged = merge([cumulative(a), cumulative(b)])
    assert merged is not None
    assert merged.counts == together.counts
    for q in (0.5, 0.95, 0.99):
        assert quantile(merged, q) == quantile(together, q)


def test_merging_other_buckets_uses_those_that_all_have() -> None:
    merged = merge([Histogram((0.1, 1.0, INF), (1, 2, 3)), Histogram((1.0, 2.0, INF), (4, 5, 6))])
    assert merged == Histogram((1.0, INF), (6, 9), 0.0)
