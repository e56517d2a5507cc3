from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from opsconsole.errors import UsageError
from opsconsole.load import bootstrap
from opsconsole.load.compare import Change, compare, worse_than
from opsconsole.load.judge import measure
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import Client, PhaseResult, Run, ServerFacts, Tick, Totals

WARM = Phase(name="warm-up", measured=False, duration=2.0, rate=100.0)
STEADY = Phase(name="steady", duration=60.0, rate=100.0)


def second(
    rng: random.Random, scale: float, failing: float, number: int, noise: float = 0.05
) -> Totals:
    """A second's requests; its mood moves all of them together."""
    failed = sum(rng.random() < failing for _ in range(number)) if failing else 0
    totals = Totals(sent=number, ended=number, good=number - failed)
    if failed:
        totals.errors["HTTP 503"] = failed
    mood = rng.gauss(0, noise)
    totals.response.record(
        int(20e6 * scale * rng.lognormvariate(mood, 0.4)) for _ in range(totals.good)
    )
    return totals


def run(
    seed: object,
    *,
    seconds: int = 60,
    scale: float | Callable[[float], float] = 1.0,
    failing: float = 0.0,
    number: int = 30,
    phases: tuple[Phase, ...] = (WARM, STEADY),
) -> Run:
    rng = random.Random(str(seed))
    found = Run(
        id=f"run-{seed}", at=0.0, plan=Plan(name="p", mode="rate", phases=phases), profile="x",
        fingerprint="f", servers={"a": ServerFacts(url="http://a")},
    )  # fmt: skip
    at = 0
    for index, phase in enumerate(phases):
        length = seconds if phase.measured else 2
        whole = Totals()
        for i in range(length):
            slow = scale(i / length) if callable(scale) else scale
            # What is not measured is awful, so that a test fails when it is counted.
            totals = second(rng, slow if phase.measured else 50, failing, number)
            whole.add(totals)
            found.ticks.append(
                Tick(at=at, seconds=1.0, phase=index, totals={"a": totals}, client=Client())
            )
            at += 1
        found.phases.append(
            PhaseResult(phase=phase, seconds=length, totals={"a": whole}, client=Client())
        )
    return found


def verdicts(base: Run, new: Run, **kwargs: object) -> dict[str, str]:
    return {change.metric: change.verdict for change in compare(base, new, **kwargs).changes}  # type: ignore[arg-type]


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for a rate of mistakes, and quicker."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 400)


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("seconds", [10, 40])
def test_equal_runs_are_seldom_called_different(seconds: int) -> None:
    pairs = [
        verdicts(run((i, "a"), seconds=seconds), run((i, "b"), seconds=seconds)) for i in range(60)
    ]
    for metric in ("p50", "p95", "throughput", "success_rate"):
        mistakes = sum(pair[metric] != "no difference" for pair in pairs)
        assert mistakes <= 7, metric  # 5 % are 3; 8 or more come once in 100 times


@pytest.mark.usefixtures("few_resamples")
def test_10_percent_are_found() -> None:
    for scale, verdict in ((1.1, "worse"), (1 / 1.1, "better")):
        pairs = [verdicts(run((i, "a")), run((i, "b"), scale=scale)) for i in range(20)]
        assert sum(pair["p50"] == verdict for pair in pairs) >= 19
        assert sum(pair["p95"] == verdict for pair in pairs) >= 16
        assert all(pair["throughput"] == "no difference" for pair in pairs)


def test_a_run_does_not_differ_from_itself() -> None:
    one = run("x", failing=0.02)
    for change in compare(one, one).changes:
        assert (change.change, change.low, change.high) == (0.0, 0.0, 0.0)
        assert change.verdict == "no difference"


def test_the_numbers_are_those_of_the_measured_phases() -> None:
    base, new = run("a", failing=0.005), run("b", failing=0.005, scale=1.2)
    metrics = ("p50", "p95", "p99", "mean", "throughput", "goodput", "success_rate", "error_rate")
    found = compare(base, new, metrics=metrics)
    assert (found.base, found.new, found.level) == ("run-a", "run-b", 0.95)
    assert found.test == "block bootstrap over 60 and 60 ticks, 2,000 resamples"
    for change in found.changes:
        for value, side in ((change.base, base), (change.new, new)):
            whole = side.measured()
            assert whole is not None
            assert value == pytest.approx(
                measure(change.metric, whole.all(), whole.seconds), rel=0.01
            )
        assert change.base is not None
        assert change.new is not None
        assert change.change == pytest.approx(change.new / change.base - 1)
        assert change.low is not None
        assert change.high is not None
        assert change.low <= change.change <= change.high


def test_the_interval_agrees_with_merging_every_resample() -> None:
    # The columns and the bisection are a short way to what merged histograms would say.
    side = bootstrap.Side(run("a", failing=0.01, seconds=20), [1])
    side.cut([5])
    metric = bootstrap.Percentile("p90", side)
    rng = random.Random(1)
    for _ in range(50):
        places = [rng.random() for _ in range(5)]
        merged = Totals()
        for place in places:
            for i in range(4):
                merged.add(side.totals[(int(place * 20) + i) % 20])
        expected = measure("p90", merged, 1.0)
        assert metric.of(side.draw(iter(places))) == pytest.approx(expected, rel=0.008)


def test_the_same_runs_give_the_same_numbers() -> None:
    base, new = run("a"), run("b")
    assert compare(base, new) == compare(base, new)


def test_failures_make_a_run_worse_and_never_faster() -> None:
    found = verdicts(run("a"), run("b", failing=0.1))
    assert found["success_rate"] == found["p95"] == found["p99"] == "worse"
    assert verdicts(run("b", failing=0.1), run("a"))["success_rate"] == "better"
    refused = compare(run("a"), run("b", failing=1.0))
    assert [c.verdict for c in refused.changes if c.metric != "throughput"] == ["worse"] * 4
    assert refused.changes[0].new == refused.changes[0].change == math.inf


def test_a_single_burst_of_failures_is_not_a_trend() -> None:
    new = run("b")
    [burst] = [new.ticks[30].totals["a"]]
    burst.good -= 5
    burst.errors["HTTP 503"] = 5
    assert verdicts(run("a"), new)["success_rate"] == "no difference"


def test_a_ramp_does_not_hide_a_difference() -> None:
    def ramp(at: float) -> float:
        return 1 + 4 * at

    assert verdicts(run("a", scale=ramp), run("b", scale=ramp))["p50"] == "no difference"
    slower = run("c", scale=lambda at: 1.15 * ramp(at))
    assert verdicts(run("a", scale=ramp), slower)["p50"] == "worse"


def test_what_no_decision_hangs_on_is_no_difference() -> None:
    def constant(seed: str, latency: int) -> Run:
        found = run(seed)
        for tick in found.ticks:
            totals = Totals(sent=30, ended=30, good=30)
            totals.response.record([latency] * 30)
            tick.totals = {"a": totals}
        return found

    # One bucket apart, in every tick.
    assert verdicts(constant("a", 5_013_503), constant("b", 5_013_504))["p95"] == "no difference"
    assert verdicts(constant("a", 5_000_000), constant("b", 5_200_000))["p95"] == "worse"


def test_runs_of_unequal_length_and_few_requests() -> None:
    found = compare(run("a", seconds=8, number=3), run("b", seconds=11, number=3))
    by_metric = {change.metric: change for change in found.changes}
    assert by_metric["p50"].low is not None
    assert by_metric["p99"].verdict == "no difference"
    assert by_metric["p99"].note == "too few requests: only 0 lie beyond it"
    silent = run("c")
    for tick in silent.ticks:
        tick.totals = {"a": Totals(sent=1)}
    nothing = compare(run("a"), silent).changes[0]
    assert (nothing.new, nothing.note) == (None, "nothing was measured")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=8, max_size=20),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=8, max_size=20),
)
def test_any_two_runs_can_be_compared(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    def of(name: str, seconds: list[tuple[int, int]]) -> Run:
        found = run(name, seconds=len(seconds), number=1, phases=(STEADY,))
        for tick, (good, failed) in zip(found.ticks, seconds, strict=True):
            totals = Totals(sent=good + failed, ended=good + failed, good=good)
            totals.response.record([10**7] * good)
            tick.totals = {"a": totals}
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 100)
        there = compare(of("a", first), of("b", second))
        back = compare(of("b", second), of("a", first))
    opposite = {"better": "worse", "worse": "better", "no difference": "no difference"}
    for change, reverse in zip(there.changes, back.changes, strict=True):
        assert None in (change.low, change.high) or change.low <= change.high  # type: ignore[operator]
        assert (change.base, change.new) == (reverse.new, reverse.base)
        assert reverse.verdict in (opposite[change.verdict], "no difference") or (
            change.verdict == "no difference"
        )


def test_a_stress_test_is_compared_in_the_steps_that_both_ran() -> None:
    steps = [Phase(name=f"{n} clients", duration=20.0, concurrency=n) for n in (1, 2, 4)]
    plan = Plan(name="s", mode="stress")
    long, short = (
        run("long", seconds=20, phases=tuple(steps)),
        run("short", seconds=20, phases=tuple(steps[:2])),
    )
    long.plan = short.plan = plan
    found = compare(long, short)
    assert found.test.startswith("block bootstrap over 40 and 40 ticks")
    assert found.notes == ("run-long has 1 more measured phases, which are left out",)
    short.phases = [structs.replace(result, phase=WARM) for result in short.phases]
    with pytest.raises(UsageError, match="no measured phase in common"):
        compare(long, short)


def test_what_must_not_be_compared_is_refused() -> None:
    base, new = run("a"), run("b")
    new.plan = structs.replace(base.plan, timeout=5.0, max_in_flight=3)
    with pytest.raises(
        UsageError, match=r"different plans \(timeout: 30 against 5; max_in_flight: 1000 against 3"
    ):
        compare(base, new)
    new.plan = structs.replace(base.plan, name="q", thresholds=("p95 < 1s",))
    compare(base, new)
    new.invalid = ["sends were late"]
    with pytest.raises(UsageError, match=r"run-b is INVALID .*\(sends were late\)"):
        compare(base, new)
    with pytest.raises(UsageError, match="run-c is too short to compare: 7 measured"):
        compare(base, run("c", seconds=7))
    for metric, what in (("p96", "unknown metric"), ("service.max", "cannot be compared")):
        with pytest.raises(UsageError, match=what):
            compare(base, base, metrics=(metric,))
    with pytest.raises(UsageError, match="level"):
        compare(base, base, level=95)
    base.interventions = ["3s: paused"]
    with pytest.raises(UsageError, match=r"run-a was changed by hand .*\(3s: paused\)"):
        compare(base, run("d"))


def test_what_else_differs_is_told() -> None:
    base, new = run("a"), run("b")
    new.servers = {"a": ServerFacts(url="http://a", version="2.0")}
    new.machine, new.stopped = "laptop", "interrupted"
    assert compare(base, new).notes == (
        "run-b was stopped: interrupted",
        "machine: unknown → laptop",
        "a's version: unknown → 2.0",
    )


def test_the_gate_takes_what_is_worse_by_more_than_its_share() -> None:
    found = compare(run("a"), run("b", scale=1.2, failing=0.03))
    failing = {change.metric for change in worse_than(found, 0.05)}
    assert {"p50", "p95"} <= failing
    assert "success_rate" not in failing
    assert "success_rate" in {change.metric for change in worse_than(found, 0.01)}
    assert worse_than(compare(run("b", scale=1.2, failing=0.03), run("a")), 0.0) == []
    grown = Change(
        metric="error_rate", base=0.001, new=0.01, change=9.0, low=5.0, high=12.0, verdict="worse"
    )
    assert worse_than(structs.replace(found, changes=(grown,)), 0.05) == []
