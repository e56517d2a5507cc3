from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import UsageError
from opsconsole.load import judge
from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import Client, PhaseResult, Totals
from opsconsole.profile import Server, ServiceLevel
from opsconsole.profile.threshold import METRICS, parse_threshold

LATENCIES = st.lists(st.integers(1, 10**11), max_size=150)


def totals(good: list[int], failed: int = 0, pairs: int = 0) -> Totals:
    ended = len(good) + failed
    found = Totals(sent=ended, ended=ended, good=len(good), pairs=pairs)
    if failed:
        found.errors["HTTP 503"] = failed
    for histogram in (found.response, found.service, found.first_byte):
        histogram.record(good)
    return found


def passed(text: str, measured: Totals, seconds: float = 10) -> bool:
    result = PhaseResult(
        phase=Phase(name="m"), seconds=seconds, totals={"a": measured}, client=Client()
    )
    [judgement] = judge.judge(result, [parse_threshold(text)])
    return judgement.passed


@given(LATENCIES, st.integers(0, 150), st.sampled_from([50, 75, 90, 95, 99, 99.9, 100]))
def test_a_failure_is_infinitely_slow(good: list[int], failed: int, percent: float) -> None:
    histogram = Histogram()
    histogram.record(good)
    everything = sorted(good) + [math.inf] * failed
    found = judge.percentile(histogram, failed, percent)
    if not everything:
        assert found is None
        return
    rank = max(1, -(-round(percent * 10) * len(everything) // 1000))
    assert found == pytest.approx(everything[rank - 1] / 1e9, rel=0.004)


@given(LATENCIES.filter(bool))
def test_without_failures_it_is_the_percentile_that_a_report_shows(good: list[int]) -> None:
    measured = totals(good)
    for metric, percent in (("p50", 50), ("service.p95", 95), ("first_byte.p99.9", 99.9)):
        assert judge.measure(metric, measured, 1.0) == measured.response.percentile(percent)


@given(LATENCIES, st.integers(0, 20))
def test_percentiles_never_fall_and_end_at_the_maximum(good: list[int], failed: int) -> None:
    measured = totals(good, failed)
    names = ("p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max")
    found = [judge.measure(name, measured, 1.0) for name in names]
    known = [value for value in found if value is not None]
    assert known == sorted(known)
    assert len(known) == (len(names) if good or failed else 0)


def test_every_metric_is_measured() -> None:
    measured = totals([10_000_000] * 90, failed=10, pairs=900)
    found = {metric: judge.measure(metric, measured, 10.0) for metric in METRICS}
    assert found["p90"] == pytest.approx(0.01, rel=0.004)
    assert found["p95"] == found["service.max"] == math.inf
    assert found["first_byte.mean"] == pytest.approx(0.01)
    assert (found["success_rate"], found["error_rate"]) == (0.9, 0.1)
    assert (found["goodput"], found["throughput"], found["pairs"]) == (9.0, 10.0, 90.0)
    assert None not in found.values()
    with pytest.raises(KeyError):
        judge.measure("p42", measured, 1.0)


def test_nothing_measured_is_no_pass() -> None:
    for metric in METRICS:
        assert judge.measure(metric, Totals(), 1.0) is None
    assert judge.measure("goodput", totals([1]), 0.0) is None
    for text in ("p95 < 1s", "success_rate > 1%", "error_rate < 99%", "goodput > 1/s"):
        assert not passed(text, Totals())
    # What was sent and never answered is measured: at a rate of nothing.
    assert judge.measure("goodput", Totals(sent=5), 1.0) == 0.0


def test_a_server_that_refuses_everything_is_not_fast() -> None:
    assert not passed("p50 < 1h", totals([], failed=100))
    assert not passed("p95 < 1s", totals([1_000_000] * 94, failed=6))
    assert passed("p95 < 1s", totals([1_000_000] * 95, failed=5))


@pytest.mark.parametrize(
    ("text", "good", "failed", "expected"),
    [
        ("success_rate > 99%", 990, 10, False),
        ("success_rate >= 99%", 990, 10, True),
        ("success_rate >= 99.93%", 9993, 7, True),
        ("error_rate <= 0.07%", 9993, 7, True),
        ("error_rate < 0.07%", 9993, 7, False),
        ("success_rate >= 100%", 10, 0, True),
        ("error_rate <= 0%", 10, 0, True),
        ("error_rate <= 0%", 999_999, 1, False),
    ],
)
def test_the_limit_itself(text: str, good: int, failed: int, expected: bool) -> None:
    measured = Totals(sent=good + failed, ended=good + failed, good=good)
    assert passed(text, measured) is expected


def test_all_servers_are_judged_together_and_in_the_order_of_the_thresholds() -> None:
    result = PhaseResult(
        phase=Phase(name="m"),
        seconds=2.0,
        totals={"a": totals([1_000_000] * 10), "b": totals([9_000_000] * 10)},
        client=Client(),
    )
    slow, rate = judge.judge(
        result, [parse_threshold("p95 < 5ms"), parse_threshold("throughput >= 10/s")]
    )
    assert (slow.threshold, slow.passed) == ("p95 < 5ms", False)
    assert slow.observed == pytest.approx(0.009, rel=0.004)
    assert (rate.observed, rate.passed, rate.limit) == (10.0, True, 10.0)


def test_every_server_keeps_its_own_promise() -> None:
    def server(name: str, level: ServiceLevel) -> Server:
        return Server(name=name, url="http://127.0.0.1:1", service_level=level)

    one = server("a", ServiceLevel(p95=0.5, success_rate=0.99))
    assert judge.default_thresholds([server("a", ServiceLevel())]) == []
    assert [t.text for t in judge.default_thresholds([one])] == [
        "p95 <= 500ms", "success_rate >= 99%",
    ]  # fmt: skip
    found = judge.default_thresholds([one, server("b", ServiceLevel(p95=0.25))])
    assert [t.text for t in found] == [
        "p95 <= 500ms on a", "success_rate >= 99% on a", "p95 <= 250ms on b",
    ]  # fmt: skip
    assert [parse_threshold(t.text) for t in found] == found
    result = PhaseResult(
        phase=Phase(name="m"),
        seconds=2.0,
        totals={"a": totals([400_000_000] * 10), "b": totals([300_000_000] * 10)},
        client=Client(),
    )
    judged = judge.judge(result, found)
    assert [one.passed for one in judged] == [True, True, False]
    assert judged[2].server == "b"
    assert judged[2].observed == pytest.approx(0.3, rel=0.004)


def test_a_server_of_which_nothing_is_known_is_not_judged_by_the_others() -> None:
    measured = totals([1_000_000] * 10)
    [lone] = judge.judge_totals(measured, 1.0, [parse_threshold("p95 < 1s on a")])
    assert (lone.observed, lone.passed) == (None, False)
    [known] = judge.judge_totals({"a": measured}, 1.0, [parse_threshold("p95 < 1s on a")])
    assert known.passed
    [other] = judge.judge_totals({"b": measured}, 1.0, [parse_threshold("p95 < 1s on a")])
    assert other.observed is None


def test_a_plan_may_only_name_servers_that_it_loads() -> None:
    server = Server(name="one", url="http://127.0.0.1:1")
    plan = Plan(name="p", mode="load", thresholds=("p95 < 1s on oen",))
    with pytest.raises(UsageError, match=r"'oen' is not loaded.*did you mean 'one'"):
        judge.thresholds_of(plan, [server])
    kept = Plan(name="p", mode="load", thresholds=("p95 < 1s over 30s on one",))
    assert [t.window for t in judge.thresholds_of(kept, [server])] == [30.0]


def test_values_have_units() -> None:
    assert judge.show("p95", 0.0812) == "81.2ms"
    assert judge.show("p95", math.inf) == "∞"
    assert judge.show("service.p95", None) == "—"
    assert judge.show("goodput", 240.0) == "240/s"
    assert judge.show("success_rate", 1.0) == "100%"
    assert judge.show("success_rate", 0.99996) == "99.996%"
    assert judge.show("error_rate", 0.0) == "0%"
    assert judge.show("error_rate", 0.041) == "4.1%"
