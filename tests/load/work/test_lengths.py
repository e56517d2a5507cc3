"""Lengths: as written, and as drawn."""

from __future__ import annotations

import statistics
from random import Random

import pytest

from opsconsole.load.plan import Lengths
from opsconsole.load.work.lengths import draw, lengths_text, parse_lengths, problem_of


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("10", Lengths("fixed", 10)),
        (" 20 .. 200 ", Lengths("uniform", 20, 200)),
        ("~70", Lengths("lognormal", 70, 0.5)),
        ("~70/0.25", Lengths("lognormal", 70, 0.25)),
        ("~ 1.5 / 0", Lengths("lognormal", 1.5, 0)),
        ("lognormal(70, 1)", Lengths("lognormal", 70, 1)),
    ],
)
def test_a_text_is_read_and_written(text: str, lengths: Lengths) -> None:
    assert parse_lengths(text) == lengths
    assert parse_lengths(lengths_text(lengths)) == lengths


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected"),
        ("ten", "expected"),
        ("-3", "expected"),
        ("1e9", "expected"),
        ("٣", "expected"),
        ("0", "at least 1"),
        ("2.5", "whole"),
        ("200..20", "ends before"),
        ("1..2.5", "whole"),
        ("100001", "at most 100000"),
        ("1.." + "9" * 400, "finite"),
        ("~70/4", "between 0 and 3"),
        ("~0.5", "at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_lengths(text)


def test_whole_numbers_are_numbers() -> None:
    assert problem_of(Lengths("fixed", 10)) == ""


def test_draws_have_the_distribution_asked_for() -> None:
    random = Random(1)

    def many(text: str) -> list[int]:
        lengths = parse_lengths(text)
        return [draw(lengths, random) for _ in range(20_000)]

    assert set(many("7")) == {7}
    uniform = many("4..16")
    assert (min(uniform), max(uniform)) == (4, 16)
    assert statistics.mean(uniform) == pytest.approx(10, rel=0.02)
    lognormal = many("~70/0.5")
    assert statistics.median(lognormal) == pytest.approx(70, rel=0.03)
    assert sorted(lognormal)[int(0.8413 * len(lognormal))] == pytest.approx(115.4, rel=0.04)
    assert min(many("~1/3")) == 1
    assert max(many("~90000/3")) == 100_000
