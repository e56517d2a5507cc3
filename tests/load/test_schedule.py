"""When requests are due."""

from __future__ import annotations

import math
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.load.generator.schedule import Slope, moments

rates = st.floats(0.01, 1e5)


@given(rates, rates, st.floats(0.1, 1e4), st.floats(0, 1))
def test_moment_undoes_number(first: float, last: float, seconds: float, part: float) -> None:
    slope = Slope(first, last, seconds)
    moment = seconds * part
    assert slope.moment(slope.number(moment)) == pytest.approx(moment, rel=1e-6, abs=1e-9)


def test_a_rate_that_falls_to_nothing_ends() -> None:
    slope = Slope(100, 0, 10)
    assert slope.number(10) == 500
    assert slope.moment(500) == pytest.approx(10)
    assert slope.moment(501) == math.inf
    assert Slope(0, 0, 10).moment(0) == math.inf


@pytest.mark.parametrize("shares", [1, 3])
def test_processes_share_a_constant_rate(shares: int) -> None:
    slope = Slope(50, 50, 2)
    parts = [
        list(
            takewhile(
                lambda moment: moment < 2,
                moments(slope, "constant", share=share, shares=shares, seed=""),
            )
        )
        for share in range(shares)
    ]
    assert sorted(moment for part in parts for moment in part) == [i / 50 for i in range(100)]


def test_a_ramp_sends_what_lies_under_it() -> None:
    found = list(
        takewhile(
            lambda moment: moment < 10,
            moments(Slope(0, 100, 10), "constant", share=0, shares=1, seed=""),
        )
    )
    assert len(found) == 500
    assert found == sorted(found)
    # A quarter of the requests lies in the first half of the time.
    assert sum(moment < 5 for moment in found) == 125


def test_poisson_has_its_rate_and_its_spread() -> None:
    slope = Slope(100, 100, 0)
    found = list(islice(moments(slope, "poisson", share=1, shares=2, seed="7"), 10_000))
    gaps = [b - a for a, b in pairwise(found)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert mean == pytest.approx(2 / 100, rel=0.05)
    assert spread == pytest.approx(mean, rel=0.05)
    again = islice(moments(slope, "poisson", share=1, shares=2, seed="7"), 10_000)
    assert list(again) == found
