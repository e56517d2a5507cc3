"""A comparison in words, as the command line and the screen show it."""

from __future__ import annotations

import math

import pytest
from msgspec import structs

from opsconsole.load.compare import Change, Comparison, compare, compare_repeated
from opsconsole.load.comparison_text import change_text, comparison_text
from tests.load.test_compare import run
from tests.load.test_repetitions import side


def test_two_runs_say_what_became_of_each_metric() -> None:
    text = comparison_text(compare(run("a"), run("b", scale=1.3)))
    assert text.startswith("run-a → run-b\n")
    [p95] = [line for line in text.splitlines() if " p95 " in line]
    assert p95.startswith("×")
    assert p95.endswith("worse")
    assert "95% interval" in text
    assert text.endswith("block bootstrap over 60 and 60 ticks, 2,000 resamples")
    assert " p " not in text.splitlines()[2]


def test_repetitions_have_their_p_where_there_is_room() -> None:
    found = compare_repeated(side("a"), side("b", scale=2.0))
    assert "0.008" in comparison_text(found, width=100)
    assert "exact Wilcoxon rank-sum test over 5 and 5 runs" in comparison_text(found, width=100)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_asked(width: int, unicode: bool) -> None:
    found = structs.replace(compare(run("a"), run("b")), notes=("n" * 30 + " \x1b[31m" * 20,))
    text = comparison_text(found, width=width, unicode=unicode)
    assert all(len(line) <= width for line in text.splitlines())
    assert "\x1b" not in text
    assert unicode or text.isascii()
    assert "no difference" in text


def test_what_cannot_be_said_is_a_dash_with_its_reason() -> None:
    change = Change(metric="p99", base=None, new=0.1, change=None, low=None, high=None,
                    verdict="no difference", note="nothing was measured")  # fmt: skip
    found = Comparison(base="a", new="b", level=0.95, test="t", changes=(change,))
    text = comparison_text(found)
    assert "p99: nothing was measured" in text
    assert "no difference" not in text
    assert change_text(math.inf) == "+∞"
    assert change_text(None) == "—"
