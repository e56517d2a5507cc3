"""The report for a terminal, and the status line."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import pytest

from opsconsole.load import report
from opsconsole.load.histogram import Histogram
from opsconsole.load.judge import judgement
from opsconsole.load.measured import measure, observed, seen
from opsconsole.load.plan import Phase
from opsconsole.load.records import Client, Judgement
from opsconsole.load.series import bins, points, stretches
from opsconsole.load.summary import law, planned_rate, share, took
from opsconsole.profile.threshold import parse_threshold
from opsconsole.profile.units import format_rate, parse_rate
from tests.load.sample_runs import empty_run, sample_run, soak_run


def test_the_report_says_all_of_it() -> None:
    text = report.text(sample_run())
    for part in (
        "× FAILED: 1 of 2 thresholds broken",
        "● p95 < 500ms",
        "× success_rate > 99%  98.4%",
        "100/s holds",
        "3,000 in 30s: 2,952 good, 48 failed (98.4% good)",
        "98/s good, 100/s ended, 100/s due",
        "response",
        "service",
        "late sending",
        "thresholds count a failed one as infinitely slow",
        "40  HTTP 503 queue_full",
        '{"error": {"type": "queue_full"',
        "alpha: http://127.0.0.1:9000 · all-minilm-l6-v2",
        "response times",
        "response: p50, p95, p99",
    ):
        assert part in text, part


def test_warm_up_is_not_in_the_figures() -> None:
    assert "3,500" not in report.text(sample_run())


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140, 250])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_the_terminal(width: int, unicode: bool) -> None:
    run = sample_run(invalid=("the generator sent late: " + "very " * 60,))
    text = report.text(run, width=width, unicode=unicode)
    long = [line for line in text.splitlines() if len(line) > max(width, 40)]
    assert long == []
    assert unicode or text.isascii()


def test_an_invalid_run_gives_its_reasons_and_no_verdict() -> None:
    text = report.text(sample_run(invalid=("the core was full", "12 requests were dropped")))
    assert "INVALID" in text
    assert "- the core was full" in text
    assert "- 12 requests were dropped" in text
    assert "FAILED" not in text


def test_a_run_without_anything() -> None:
    text = report.text(empty_run())
    assert "STOPPED" in text
    assert "interrupted" in text


def test_foreign_text_is_cleaned() -> None:
    run = sample_run()
    kind = next(iter(run.examples))
    run.examples[kind] = "\x1b]0;owned\x07evil\x1b[2J\nnext"
    run.plan = type(run.plan)(name="a\x1b[31mb", mode="rate")
    run.stopped = "\x1b[5mno"
    text = report.text(run)
    assert "\x1b" not in text
    assert "evil⏎next" in text


def test_a_closed_loop_is_told_as_one() -> None:
    run = sample_run(errors=False)
    run.phases[1].phase = Phase(name="steady", duration=30, concurrency=8)
    text = report.text(run)
    assert "8 clients, 30s" in text
    assert "A closed loop waits" in text


def test_a_threshold_that_failed_requests_broke() -> None:
    run = sample_run()
    run.judgements = [
        Judgement(threshold="p99 < 1s", metric="p99", limit=1, observed=math.inf, passed=False),
        Judgement(threshold="max < 1s", metric="max", limit=1, observed=None, passed=False),
    ]
    text = report.text(run)
    assert "× p99 < 1s  ∞" in text
    assert "× max < 1s  nothing to measure" in text
    assert "p99 < 1s  inf" in report.text(run, unicode=False)


def test_the_status_line() -> None:
    run = sample_run()
    phases = [result.phase for result in run.phases]
    assert report.live([], phases) == "starting …"
    line = report.live(run.ticks[:7], phases, width=100)
    assert line.startswith("steady 2s/30s · 100/s · p50 ")
    assert line.endswith("4 in flight")
    line = report.live(run.ticks[:25], phases, width=140)
    assert "4.8% failed: 40 HTTP 503 queue_full" in line
    for width in (20, 40, 60, 79):
        assert len(report.live(run.ticks[:25], phases, width=width)) <= width
    assert report.live(run.ticks[:25], phases, unicode=False).isascii()


def test_the_status_line_of_the_newest_ticks_only() -> None:
    run = soak_run(0.1)
    phases = [result.phase for result in run.phases]
    ticks = run.ticks[200:260]
    for i, tick in enumerate(ticks):
        tick.at = 5.0 + 200 + i
    assert report.live(ticks, phases).startswith("steady 4m 20s/30s")


def test_plotext_is_imported_only_for_charts() -> None:
    code = (
        "import sys; from opsconsole.load import report, store, exports; "
        "assert not {'plotext', 'textual', 'asyncio'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_figures_are_never_prettier_than_true() -> None:
    assert took(None) == "—"
    assert took(0.00512) == "5.12ms"
    assert took(0.9996) == "1s"
    assert took(0.0009999) == "1ms"
    assert took(1200) == "20m"
    assert took(math.inf) == "∞"
    assert share(1) == "100%"
    assert share(0.99999) == "99.999%"
    assert share(0.9999999) == "99.999%"
    assert share(0.9996) == "99.960%"
    assert share(0.00001) == "<0.1%"
    assert share(0) == "0.0%"
    assert measure("goodput", 1234.4) == "1,234/s"
    assert measure("error_rate", 0.012) == "1.2%"
    assert measure("service.p99", 0.25) == "250ms"


def test_laws_in_words() -> None:
    assert law(Phase(name="a", rate=20, rate_end=200, duration=60)) == "20→200/s, 1m"
    assert law(Phase(name="a", rate=9.5, arrivals="poisson")) == "9.5/s Poisson"
    assert law(Phase(name="a", concurrency=1, requests=1000)) == "1 client, 1,000 requests"
    assert law(Phase(name="a", arrivals="recorded")) == "as recorded"


def test_bins_hold_every_value_once() -> None:
    for values in ([5_000_000], [5_000_000, 5_010_000], [0, 1, 2], list(range(1, 10_000, 7))):
        histogram = Histogram()
        histogram.record(values)
        for count in (1, 2, 12, 72):
            parts = bins(histogram, count)
            assert len(parts) == count
            assert sum(part.number for part in parts) == pytest.approx(len(values))
            assert all(part.low < part.high for part in parts)
    assert bins(Histogram(), 10) == []


def test_series_keep_the_holes() -> None:
    run = sample_run()
    for totals in run.ticks[10].totals.values():
        totals.response = Histogram()
    run.ticks[11].client = Client()
    series = points(run)
    assert series[10].p99 is None
    assert series[10].at == 10.5
    assert series[11].late is None
    assert [(part.name, part.begin, part.end) for part in stretches(run)] == [
        ("warm-up", 0.0, 5.0),
        ("steady", 5.0, 35.0),
    ]
    assert report.text(run)


@pytest.mark.parametrize(
    ("threshold", "value", "shown"),
    [
        ("success_rate > 99.95%", 0.99947, "99.9%"),
        ("success_rate > 99.95%", 0.999499, "99.9%"),
        ("success_rate > 99.9%", 0.99896, "99.896%"),
        ("success_rate > 99%", 0.985, "98.5%"),
        ("success_rate >= 100%", 0.9999999, "99.99999%"),
        ("error_rate < 1%", 0.01004, "1.004%"),
        ("error_rate < 1%", 0.01, "1%"),
        ("p95 < 500ms", 0.5002, "500.2ms"),
        ("p95 < 500ms", 0.4998, "499.8ms"),
        ("p95 < 500ms", 0.6123, "612ms"),
        ("p95 < 500us", 0.00050004, "500.04µs"),
        ("max < 20m", 1200.4, "1200.4s"),
        ("goodput > 100/s", 99.96, "99.96/s"),
        ("goodput > 12.5/s", 12.4, "12/s"),
        ("p95 < 500ms", math.inf, "∞"),
    ],
)
def test_a_figure_does_not_hide_the_verdict(threshold: str, value: float, shown: str) -> None:
    parsed = parse_threshold(threshold)
    judged = judgement(parsed, value)
    assert observed(judged) == shown
    assert seen(judged) == shown


def test_no_figure_contradicts_its_verdict() -> None:
    random_ = random.Random(5)
    for text in ("success_rate > 99.9%", "p95 < 500ms", "p99 < 1.5s", "goodput > 100/s"):
        limit = parse_threshold(text)
        for _ in range(300):
            value = min(limit.limit * (1 + random_.gauss(0, 10 ** random_.uniform(-6, 0))), 1000.0)
            value = min(abs(value), 1.0) if "rate" in limit.metric else abs(value)
            shown = observed(judgement(limit, value)).replace(",", "").replace("µs", "us")
            read = parse_threshold(f"{limit.metric} {'<' if limit.below else '>'}= {shown}").limit
            assert limit.holds(read) == limit.holds(value), (text, value, shown)


@pytest.mark.parametrize(
    ("rate", "profile", "planned"),
    [
        (12.5, "12.5/s", "12.5/s"), (50 / 60, "50/m", "50/m"), (1 / 3600, "1/h", "1/h"),
        (1250.0, "1250/s", "1,250/s"), (0.4, "0.4/s", "0.4/s"), (0.0, "0/s", "0/s"),
        (1e6, "1000000/s", "1,000,000/s"), (0.05, "0.05/s", "0.05/s"),
    ],
)  # fmt: skip
def test_a_rate_that_was_asked_for_is_not_rounded(rate: float, profile: str, planned: str) -> None:
    assert format_rate(rate) == profile
    assert parse_rate(profile) == rate
    assert planned_rate(rate) == planned
    assert law(Phase(name="a", rate=rate)) == planned


def test_ramps_are_told_in_one_unit_where_there_is_one() -> None:
    assert law(Phase(name="a", rate=12.5, rate_end=200)) == "12.5→200/s"
    assert law(Phase(name="a", rate=50 / 60, rate_end=2)) == "50/m→2/s"
