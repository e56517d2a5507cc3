from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.load.histogram import Histogram, index_of, lower_of, middle_of

NANOSECONDS = st.integers(0, 10**13)
VALUES = st.lists(NANOSECONDS, max_size=200)
PERCENTS = (0.1, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100)


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record(values)
    return histogram


def exact(values: list[int], percent: float) -> float:
    """Nearest rank, in seconds, by sorting; the rank in whole numbers."""
    rank = max(1, -(-round(percent * 100) * len(values) // 10_000))
    return sorted(values)[rank - 1] / 1e9


@given(NANOSECONDS)
def test_a_value_is_in_its_bucket(value: int) -> None:
    index = index_of(value)
    assert lower_of(index) <= value < lower_of(index + 1)
    assert middle_of(index) == pytest.approx(value, rel=0.004)


def test_buckets_follow_one_another_without_gaps() -> None:
    bounds = [lower_of(index) for index in range(8000)]
    assert bounds == sorted(set(bounds))
    assert [index_of(bound) for bound in bounds] == list(range(8000))
    assert [index_of(bound - 1) for bound in bounds[1:]] == list(range(7999))


@given(VALUES.filter(bool))
def test_percentiles_are_within_half_a_percent_of_sorting(values: list[int]) -> None:
    found = of(values).percentiles(PERCENTS)
    for percent, value in zip(PERCENTS, found, strict=True):
        assert value == pytest.approx(exact(values, percent), rel=0.004)


@pytest.mark.parametrize("law", ["lognormal", "exponential", "two humps"])
def test_percentiles_of_many_latencies_are_within_1_percent(law: str) -> None:
    rng = random.Random(law)
    draw = {
        "lognormal": lambda: rng.lognormvariate(-4, 0.7),
        "exponential": lambda: rng.expovariate(100),
        "two humps": lambda: rng.gauss(0.005, 0.0001) if rng.random() < 0.98 else rng.gauss(0.3, 1),
    }[law]
    values = [max(0, int(draw() * 1e9)) for _ in range(50_000)]
    histogram = of(values)
    for percent in PERCENTS:
        assert histogram.percentile(percent) == pytest.approx(exact(values, percent), rel=0.01)
    assert histogram.mean == pytest.approx(math.fsum(values) / len(values) / 1e9, rel=1e-12)
    assert len(histogram.counts) < 3000


@given(st.lists(VALUES, max_size=6))
def test_merging_is_exact(parts: list[list[int]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.add(of(part))
    assert merged == of([value for part in parts for value in part])


@given(VALUES, VALUES)
def test_what_was_merged_in_is_left_alone(first: list[int], second: list[int]) -> None:
    one, other = of(first), of(second)
    one.add(other)
    one.record([1])
    assert other == of(second)


def test_ranks_are_not_off_by_rounding() -> None:
    # 99.9 / 100 * 1000 is 999.0000000000001 in floating point.
    values = list(range(1, 1001))
    histogram = of(values)
    for percent in PERCENTS:
        assert histogram.percentile(percent) == pytest.approx(exact(values, percent), rel=0.004)
    assert of([1, 100]).percentile(50) == 1e-9


def test_the_ends() -> None:
    empty = Histogram()
    assert empty.percentiles([50, 99]) == [None, None]
    assert (empty.mean, empty.maximum) == (None, None)
    odd = of([-5, 3, 1_000_001])
    assert (odd.least, odd.largest, odd.total, odd.sum) == (0, 1_000_001, 3, 1_000_004)
    assert odd.percentile(100) == odd.maximum == 0.001000001
    assert odd.percentiles([99, 1, 50]) == [odd.percentile(p) for p in (99, 1, 50)]
