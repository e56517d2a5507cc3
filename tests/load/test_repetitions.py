"""Runs repeated on both sides, and the exact test over them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import UsageError
from opsconsole.load.compare import compare, compare_repeated, worse_than
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import Client, PhaseResult, Run, ServerFacts, Totals
from opsconsole.load.repetitions import least_p, rank_sum
from tests.load.test_compare import run as ticked_run

STEADY = Phase(name="steady", duration=20.0, rate=10.0)


def moody(
    seed: object,
    *,
    seconds: int = 20,
    scale: float = 1.0,
    failing: float = 0.0,
    phase: Phase = STEADY,
) -> Run:
    """A run on a server whose moods last some seconds and move all requests by 20 % or so."""
    rng = random.Random(str(seed))
    totals = Totals()
    mood = rng.gauss(0, 0.2)
    for _ in range(seconds):
        mood = 0.85 * mood + rng.gauss(0, 0.2 * math.sqrt(1 - 0.85**2))
        good = sum(rng.random() >= failing for _ in range(10))
        totals.ended += 10
        totals.sent += 10
        totals.good += good
        totals.response.record(
            int(20e6 * scale * rng.lognormvariate(mood, 0.4)) for _ in range(good)
        )
    result = PhaseResult(phase=phase, seconds=float(seconds), totals={"a": totals}, client=Client())
    return Run(
        id=f"run-{seed}", at=0.0, plan=Plan(name="p", mode="rate", phases=(phase,)), profile="x",
        fingerprint="f", servers={"a": ServerFacts(url="http://a")}, phases=[result],
    )  # fmt: skip


def side(name: str, count: int = 5, **more: float) -> list[Run]:
    return [moody((name, number), **more) for number in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "nominal"), [(4, 2 / 70), (5, 8 / 252), (6, 38 / 924)])
def test_false_alarms_are_as_rare_as_the_level_says(count: int, nominal: float) -> None:
    """The moods last longer than a run can average out, and yet the rate is the exact one."""
    trials = 250
    alarms = 0
    for trial in range(trials):
        found = compare_repeated(
            side(f"{trial} a", count), side(f"{trial} b", count), metrics=("p50",)
        )
        alarms += found.changes[0].verdict != "no difference"
    spread = math.sqrt(trials * nominal * (1 - nominal))
    assert abs(alarms - trials * nominal) < 3 * spread


def test_a_difference_between_runs_is_found_and_measured() -> None:
    found = {
        change.metric: change
        for change in compare_repeated(side("a", 8), side("b", 8, scale=1.5)).changes
    }
    assert found["p50"].verdict == "worse"
    assert found["p50"].change == pytest.approx(0.5, abs=0.25)
    assert found["p50"].p is not None
    assert found["p50"].p < 0.01
    assert found["p50"].low is not None
    assert 0 < found["p50"].low < found["p50"].change < (found["p50"].high or 0)
    assert found["throughput"].verdict == "no difference"
    assert found["success_rate"].p == 1.0


def test_the_gate_works_with_repetitions() -> None:
    found = compare_repeated(side("a"), side("b", scale=2.0))
    assert {change.metric for change in worse_than(found, 0.05)} == {"p50", "p95", "p99"}
    assert worse_than(found, 5.0) == []
    failing = compare_repeated(side("a"), side("b", failing=0.2))
    assert "success_rate" in {change.metric for change in worse_than(failing, 0.05)}


def test_the_test_is_named_and_too_few_runs_are_said() -> None:
    found = compare_repeated(side("a", 3), side("b", 3, scale=3.0))
    assert found.test.startswith("exact Wilcoxon rank-sum test over 3 and 3 runs")
    assert {change.verdict for change in found.changes} == {"no difference"}
    assert "too few runs: 3 and 3 that differ in every pair come by chance in 10%" in (
        found.changes[0].note
    )
    assert found.bases == ("run-('a', 0)", "run-('a', 1)", "run-('a', 2)")
    assert found.base == "run-('a', 0) and 2 more"


def test_one_run_a_side_is_resampled() -> None:
    one, other = ticked_run("a"), ticked_run("b")
    assert compare_repeated([one], [other]) == compare(one, other)


def test_what_must_not_be_compared_is_refused() -> None:
    runs = side("a")
    with pytest.raises(UsageError, match="is on both sides"):
        compare_repeated(runs, [*side("b"), runs[2]])
    with pytest.raises(UsageError, match="no run on one side"):
        compare_repeated(runs, [])
    other = side("b")
    other[3].invalid = ["sends were late"]
    with pytest.raises(UsageError, match="is INVALID"):
        compare_repeated(runs, other)
    strange = side("c")
    strange[4].phases[0].phase = Phase(name="else", duration=20.0, rate=10.0)
    with pytest.raises(UsageError, match="no measured phase in common"):
        compare_repeated(runs, strange)


def test_a_run_that_measured_nothing_is_left_out() -> None:
    silent = side("b")
    for one in silent:
        one.phases[0].totals = {"a": Totals(sent=1)}
    change = compare_repeated(side("a"), silent).changes[0]
    assert (change.new, change.note) == (None, "nothing was measured")


VALUES = st.lists(st.integers(0, 6).map(float) | st.just(math.inf), min_size=1, max_size=5)


@given(VALUES, VALUES)
def test_the_p_is_that_of_all_ways_to_divide_the_runs(
    first: Sequence[float], second: Sequence[float]
) -> None:
    pooled = [*first, *second]
    ranks = [
        sum(other < value for other in pooled) + (sum(other == value for other in pooled) + 1) / 2
        for value in pooled
    ]
    sums = [
        sum(ranks[i] for i in chosen)
        for chosen in itertools.combinations(range(len(pooled)), len(first))
    ]
    mine = sum(ranks[: len(first)])
    below = sum(total <= mine for total in sums) / len(sums)
    above = sum(total >= mine for total in sums) / len(sums)
    assert rank_sum(first, second) == pytest.approx(min(1.0, 2 * min(below, above)))


def test_the_p_of_published_tables() -> None:
    # Hollander and Wolfe, table A.6: P(W >= 40) = 0.004 for 5 and 5.
    assert rank_sum([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
    assert least_p(4, 4) == pytest.approx(2 / 70)
    assert rank_sum([1.0], [1.0]) == 1.0
