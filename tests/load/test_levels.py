"""Service levels over windows that slide along a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.load.histogram import Histogram
from opsconsole.load.judge import measure
from opsconsole.load.levels import Levels
from opsconsole.load.plan import Phase
from opsconsole.load.records import Client, Judgement, PhaseResult, Tick, Totals
from opsconsole.profile.threshold import parse_threshold

MS = 1_000_000
SECOND = st.tuples(st.lists(st.integers(1, 10**10), max_size=5), st.integers(0, 3))


def tick(at: int, good: Sequence[int], failed: int = 0, server: str = "a", busy: int = 0) -> Tick:
    response = Histogram()
    response.record(list(good))
    ended = len(good) + failed
    totals = Totals(sent=ended, ended=ended, good=len(good), response=response)
    if failed:
        totals.errors["503"] = failed
    return Tick(at=at, seconds=1.0, phase=0, totals={server: totals}, client=Client(in_flight=busy))


def judged(text: str, ticks: Sequence[Tick]) -> Judgement:
    levels = Levels([parse_threshold(text)])
    totals: dict[str, Totals] = {}
    for one in ticks:
        levels.take(one)
        for name, counted in one.totals.items():
            totals.setdefault(name, Totals()).add(counted)
    whole = PhaseResult(
        phase=Phase(name="m"), seconds=float(len(ticks)), totals=totals, client=Client()
    )
    [judgement] = levels.judge(whole)
    return judgement


def test_a_bad_stretch_that_the_whole_hides_is_found_and_placed() -> None:
    ticks = [tick(at, [(900 if 40 <= at < 45 else 20) * MS] * 20) for at in range(120)]
    assert judged("p95 < 500ms", ticks).passed
    worst = judged("p95 < 500ms over 10s", ticks)
    assert not worst.passed
    assert worst.observed == pytest.approx(0.9, rel=0.01)
    assert (worst.begin, worst.end) == (31.0, 41.0)


@given(
    st.lists(SECOND, min_size=1, max_size=25),
    st.integers(1, 8),
    st.sampled_from(["p95 < 1s", "max < 1s", "success_rate > 99%", "error_rate < 1%",
                     "throughput > 2/s"]),
)  # fmt: skip
def test_it_is_the_worst_of_all_windows(
    seconds: list[tuple[list[int], int]], size: int, text: str
) -> None:
    ticks = [tick(at, *second) for at, second in enumerate(seconds)]
    metric = text.split()[0]
    size_ = min(size, len(ticks))
    observed = []
    for first in range(len(ticks) - size_ + 1):
        window = Totals.sum(one.all() for one in ticks[first : first + size_])
        value = measure(metric, window, float(size_))
        if value is not None:
            observed.append(value)
    worst = judged(f"{text} over {size}s", ticks)
    if not observed:
        assert (worst.observed, worst.passed) == (None, False)
        return
    assert worst.observed == pytest.approx((max if "<" in text else min)(observed))


def test_a_run_shorter_than_the_window_is_the_window() -> None:
    worst = judged("p50 < 1s over 30s", [tick(at, [5 * MS]) for at in range(4)])
    assert worst.passed
    assert (worst.begin, worst.end) == (0.0, 4.0)


def test_windows_of_one_server() -> None:
    ticks = [tick(at, [(9 if at % 2 else 1) * MS], server="ab"[at % 2]) for at in range(20)]
    assert judged("max < 5ms over 4s on a", ticks).passed
    assert not judged("max < 5ms over 4s on b", ticks).passed
    assert judged("max < 5ms over 4s on c", ticks).observed is None


def test_a_frozen_server_delivers_nothing_and_is_not_slow_before_it_answers() -> None:
    ticks = [tick(at, [] if 10 <= at < 20 else [MS] * 5, busy=3) for at in range(30)]
    frozen = judged("goodput > 1/s over 5s", ticks)
    assert (frozen.observed, frozen.passed) == (0.0, False)
    assert judged("p95 < 1s over 5s", ticks).passed


def test_failures_make_a_window_infinitely_slow() -> None:
    ticks = [tick(at, [MS] * 9, failed=5 if at == 7 else 0) for at in range(20)]
    assert judged("p90 < 1s over 2s", ticks).observed == math.inf
    assert judged("p50 < 1s over 2s", ticks).passed


@pytest.mark.parametrize(
    ("slow", "late", "certain"),
    [
        ({30}, {30}, False),
        ({31}, {30}, False),  # what was late ended in the next tick
        ({30}, set(), True),
        ({30, 60}, {30}, True),
        ({60}, {30}, True),
    ],
)
def test_a_window_that_the_generator_broke_alone_is_in_doubt(
    slow: set[int], late: set[int], certain: bool
) -> None:
    levels = Levels([parse_threshold("max < 500ms over 5s"), parse_threshold("p50 < 1s over 5s")])
    for at in range(90):
        one = tick(at, [20 * MS] * 20 + [620 * MS] * (at in slow))
        one.client.beats.record([MS] * 99 + [600 * MS] * (at in late))
        levels.take(one)
    [(text, why)] = levels.doubts().items()
    assert text == "max < 500ms over 5s"
    assert bool(why) is not certain


def test_a_rate_over_a_window_is_in_doubt_where_the_generator_stood_still() -> None:
    levels = Levels([parse_threshold("goodput > 15/s over 4s")])
    for at in range(20):
        one = tick(at, [MS] * (5 if at == 10 else 20))
        one.client.stalled = 0.7 if at == 10 else 0.0
        levels.take(one)
    assert levels.doubts() == {}
    for at in range(20, 24):
        one = tick(at, [MS] * 12)
        one.client.stalled = 0.3
        levels.take(one)
    assert "kept from running" in levels.doubts()["goodput > 15/s over 4s"]
    for at in range(24, 30):
        levels.take(tick(at, [MS] * 12))
    assert levels.doubts() == {"goodput > 15/s over 4s": ""}
