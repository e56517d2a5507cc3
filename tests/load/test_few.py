"""A percentile of fewer requests than it takes is their maximum, and is called so."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from opsconsole.load import exports, report
from opsconsole.load.judge import judge_totals, maximum_of, measure
from opsconsole.load.levels import Levels
from opsconsole.load.records import Client, PhaseResult, Tick, Totals
from opsconsole.profile.threshold import parse_threshold
from tests.load.sample_runs import STEADY, sample_run
from tests.tui.widgets.load_sessions import session
from tests.tui.widgets.test_load_view import drawn


def totals(good: int, failed: int = 0) -> Totals:
    found = Totals(sent=good + failed, ended=good + failed, good=good)
    if failed:
        found.errors["HTTP 503"] = failed
    for histogram in (found.response, found.service, found.first_byte):
        histogram.record(1_000_000 * (i + 1) for i in range(good))
    return found


@pytest.mark.parametrize(
    ("metric", "good", "failed", "expected"),
    [("p99.99", 20, 0, 20), ("p99.99", 9_999, 0, 9_999), ("p99.99", 10_000, 0, 0),
     ("p99.9", 999, 0, 999), ("p99.9", 1000, 0, 0), ("service.p95", 19, 0, 19), ("p95", 20, 0, 0),
     ("p95", 10, 9, 19), ("p95", 10, 10, 0), ("p50", 1, 0, 1), ("p50", 2, 0, 0), ("max", 5, 0, 0),
     ("mean", 5, 0, 0), ("goodput", 5, 0, 0), ("success_rate", 5, 0, 0), ("p99", 0, 0, 0)],
)  # fmt: skip
def test_when_less_than_one_request_lies_beyond(
    metric: str, good: int, failed: int, expected: int
) -> None:
    assert maximum_of(metric, totals(good, failed)) == expected


@given(st.integers(1, 300), st.sampled_from(["p50", "p75", "p90", "p95", "p99"]))
def test_it_is_the_maximum_when_it_is_said(good: int, metric: str) -> None:
    measured = totals(good)
    if maximum_of(metric, measured):
        found, largest = measure(metric, measured, 1.0), measure("max", measured, 1.0)
        assert found == pytest.approx(largest, rel=0.004)  # a bucket's width


def test_of_a_window_its_own_requests_count() -> None:
    levels = Levels([parse_threshold("p99 < 500ms over 2s"), parse_threshold("p95 < 500ms")])
    whole = PhaseResult(phase=STEADY, seconds=9.0, totals={"a": Totals()}, client=Client())
    for second in range(9):
        some = totals(30)
        whole.totals["a"].add(some)
        levels.take(Tick(at=second, seconds=1.0, phase=0, totals={"a": some}, client=Client()))
    window, over_all = levels.judge(whole)
    assert window.maximum_of == 60
    assert over_all.maximum_of == 0


def test_every_report_says_it_beside_the_threshold() -> None:
    run = sample_run(seconds=4)
    limits = [parse_threshold("p99.99 < 5s"), parse_threshold("p95 < 5s")]
    run.judgements = judge_totals(totals(20), 4.0, limits)
    assert [judged.passed for judged in run.judgements] == [True, True]
    words = "of 20 requests: their maximum"
    texts = {format_: exports.export(run, format_) for format_ in ("html", "markdown", "junit")}
    texts["text"] = report.text(run)
    for text in texts.values():
        assert text.count(words) == 1
    told = json.loads(exports.export(run, "json"))["thresholds"]
    assert [one["maximum_of"] for one in told] == [20, 0]
    run.judgements = judge_totals(totals(0, 1), 4.0, limits[:1])
    assert run.judgements[0].observed == math.inf
    assert "∞, of 1 request" in report.text(run)


async def test_the_screen_says_it_too() -> None:
    run = sample_run(seconds=4, servers=("one",), errors=False)
    run.plan = replace(run.plan, thresholds=("p99.99 < 5s",))
    measured = run.measured()
    assert measured is not None
    count = measured.all().ended
    run.judgements = judge_totals(measured.totals, 4.0, [parse_threshold("p99.99 < 5s")])
    for size in ((160, 45), (80, 24)):
        text = await drawn(session(run, "ended"), size)
        assert f"p99.99 < 5s of {count} requests: their maximum" in text
        assert re.search(r"p99\.99 .*kept(, max| \(max of \d| of \d)", text)
