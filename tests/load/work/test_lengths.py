"""Lengths: which make sense, and what is drawn from them."""

from __future__ import annotations

import statistics
from random import Random

import pytest

from opsconsole.load.plan import Lengths
from opsconsole.load.work.lengths import draw, problem_of


@pytest.mark.parametrize(
    ("lengths", "problem"),
    [
        (Lengths("fixed", 0), "at least 1"),
        (Lengths("fixed", 2.5), "whole"),
        (Lengths("uniform", 200, 20), "ends before"),
        (Lengths("uniform", 1, 2.5), "whole"),
        (Lengths("fixed", 100_001), "at most 100000"),
        (Lengths("uniform", 1, float("inf")), "finite"),
        (Lengths("lognormal", 70, 4), "between 0 and 3"),
        (Lengths("lognormal", 0.5, 1), "at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(lengths: Lengths, problem: str) -> None:
    assert problem in problem_of(lengths)


@pytest.mark.parametrize("lengths", [Lengths("fixed", 10), Lengths("lognormal", 1.5, 0)])
def test_what_makes_sense(lengths: Lengths) -> None:
    assert problem_of(lengths) == ""


def test_draws_have_the_distribution_asked_for() -> None:
    random = Random(1)

    def many(lengths: Lengths) -> list[int]:
        return [draw(lengths, random) for _ in range(20_000)]

    assert set(many(Lengths("fixed", 7))) == {7}
    uniform = many(Lengths("uniform", 4, 16))
    assert (min(uniform), max(uniform)) == (4, 16)
    assert statistics.mean(uniform) == pytest.approx(10, rel=0.02)
    lognormal = many(Lengths("lognormal", 70, 0.5))
    assert statistics.median(lognormal) == pytest.approx(70, rel=0.03)
    assert sorted(lognormal)[int(0.8413 * len(lognormal))] == pytest.approx(115.4, rel=0.04)
    assert min(many(Lengths("lognormal", 1, 3))) == 1
    assert max(many(Lengths("lognormal", 90_000, 3))) == 100_000
