from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import UsageError
from opsconsole.load.plan import Abort
from opsconsole.load.records import Client, Tick, Totals
from opsconsole.load.windows import AbortWatch, Window


def tick(
    at: float,
    good: list[int],
    failed: int = 0,
    *,
    seconds: float = 1.0,
    in_flight: int = 0,
    waits: float = 0.0,
    since: float | None = None,
) -> Tick:
    ended = len(good) + failed
    totals = Totals(sent=ended, ended=ended, good=len(good), pairs=7 * len(good))
    if failed:
        totals.errors[f"HTTP {500 + failed}"] = failed
    if good:
        totals.upstreams[f"up{len(good)}"] = len(good)
    totals.response.record(good)
    totals.service.record([value // 2 for value in good])
    client = Client(in_flight=in_flight, waits=waits)
    return Tick(at=at, seconds=seconds, phase=0, totals={"a": totals}, client=client, since=since)


SECOND = st.tuples(st.lists(st.integers(0, 10**10), max_size=5), st.integers(0, 3))


@given(st.lists(SECOND, max_size=30), st.integers(1, 8))
def test_a_window_is_the_sum_of_its_ticks(seconds: list[tuple[list[int], int]], size: int) -> None:
    window, ticks = Window(size), []
    for at, (good, failed) in enumerate(seconds):
        ticks.append(tick(at, good, failed))
        window.add(ticks[-1])
        expected = Totals()
        for one in ticks[-size:]:
            expected.add(one.all())
        assert window.totals() == expected
        assert window.covered == min(len(ticks), size)
        assert window.full is (len(ticks) >= size)


def test_ticks_need_not_be_exact_seconds() -> None:
    window = Window(3)
    at = 0.0
    for length in (1.02, 0.97, 1.01, 1.0, 1.03):
        window.add(tick(at, [1], seconds=length))
        at += length
    assert window.covered == pytest.approx(3.04)
    assert window.totals().ended == 3


def test_a_gap_in_which_nothing_was_measured_is_no_part_of_a_window() -> None:
    window = Window(2)
    window.add(tick(0, [1, 2]))
    window.add(tick(60, [3]))
    assert (window.totals().ended, window.covered, window.full) == (3, 2.0, True)
    window.add(tick(61, [4]))
    assert (window.totals().ended, window.covered, window.full) == (2, 2.0, True)
    lone = Window(0.1)
    lone.add(tick(0, [1]))
    assert lone.totals().ended == 1


def test_a_window_hands_out_copies() -> None:
    window = Window(2)
    window.add(tick(0, [5], 1))
    window.totals().errors["mine"] = 1
    window.totals().response.record([7])
    assert window.totals() == tick(0, [5], 1).all()


def feed(watch: AbortWatch, ticks: list[Tick]) -> tuple[int, str] | None:
    for one in ticks:
        if why := watch.take(one):
            return int(one.at), why
    return None


SLOW, FAST = [900_000_000] * 10, [1_000_000] * 10
RULE = Abort("p95 < 500ms", 5.0, 3)


def test_it_stops_after_so_many_bad_ticks_running() -> None:
    assert feed(AbortWatch([RULE]), [tick(at, FAST) for at in range(100)]) is None
    stop = feed(AbortWatch([RULE]), [tick(at, SLOW if at >= 20 else FAST) for at in range(100)])
    # The first slow second makes p95 of the last five slow; the third bad tick stops it.
    assert stop == (22, "p95 < 500ms was broken over the last 5 s in 3 ticks running: 900ms")


def test_a_bad_spell_that_passes_does_not_stop_it() -> None:
    ticks = [tick(at, SLOW if at % 10 == 0 else FAST) for at in range(60)]
    assert feed(AbortWatch([Abort("p95 < 500ms", 2.0, 3)]), ticks) is None
    assert feed(AbortWatch([Abort("p95 < 500ms", 2.0, 2)]), ticks) is not None


def test_it_waits_until_its_window_is_full() -> None:
    stop = feed(AbortWatch([Abort("p95 < 500ms", 10.0, 1)]), [tick(at, SLOW) for at in range(30)])
    assert stop is not None
    assert stop[0] == 9
    assert "ticks running" not in stop[1]


def test_refused_work_stops_it() -> None:
    bad = [tick(at, [], 50) for at in range(30)]
    stop = feed(AbortWatch([RULE]), bad)
    assert stop is not None
    assert stop[1].endswith(": ∞")
    assert feed(AbortWatch([Abort("success_rate >= 99%", 5.0, 3)]), bad) is not None


def test_a_frozen_server_stops_it_and_a_pause_does_not() -> None:
    frozen = [tick(at, [], in_flight=32, waits=at + 1) for at in range(30)]
    stop = feed(AbortWatch([RULE]), frozen)
    assert stop is not None
    assert stop[1].endswith(": no answer for 7s")
    assert feed(AbortWatch([RULE]), [tick(at, []) for at in range(30)]) is None


def test_what_is_in_flight_breaks_a_latency_when_it_has_waited_longer_than_the_limit() -> None:
    waiting = [tick(at, [], in_flight=32, waits=0.9) for at in range(30)]
    assert feed(AbortWatch([Abort("p95 < 1s", 5.0, 3)]), waiting) is None
    assert feed(AbortWatch([Abort("p95 < 800ms", 5.0, 3)]), waiting) is not None


@pytest.mark.parametrize("share", ["error_rate < 50%", "success_rate > 50%"])
def test_a_share_of_nothing_stops_nothing(share: str) -> None:
    waiting = [tick(at, [], in_flight=32, waits=at + 1) for at in range(30)]
    assert feed(AbortWatch([Abort(share, 5.0, 1)]), waiting) is None


def test_a_rate_stops_nothing_before_answers_could_come() -> None:
    rule = Abort("goodput > 9/s", 5.0, 1)
    slow = [tick(at, [], in_flight=10 * at, waits=at + 1, since=0.0) for at in range(6)]
    slow += [tick(at, [6_000_000_000] * 10, in_flight=60, since=0.0) for at in range(6, 30)]
    assert feed(AbortWatch([rule]), slow) is None
    frozen = slow[:20] + [tick(at, [], in_flight=60, since=0.0) for at in range(20, 40)]
    stop = feed(AbortWatch([rule]), frozen)
    assert stop is not None
    assert stop[0] == 20
    # A first answer that took no time: others could have come before it.
    late = slow[:6] + [tick(at, [6_000_000_000, 1_000_000], since=0.0) for at in range(6, 30)]
    assert feed(AbortWatch([rule]), late) is not None


def test_each_abort_counts_for_itself() -> None:
    watch = AbortWatch([Abort("error_rate < 1%", 5.0, 1), RULE, Abort("p50 < 2s", 5.0, 1)])
    stop = feed(watch, [tick(at, SLOW) for at in range(30)])
    assert stop is not None
    assert stop[1].startswith("p95 < 500ms")
    assert AbortWatch([]).take(tick(0, SLOW)) is None


def test_an_unreadable_threshold_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="abort on: unknown metric"):
        AbortWatch([Abort("p96 < 1s")])


def test_one_server_of_several_can_abort() -> None:
    watch = AbortWatch([Abort("max < 1ms on a", 1.0, 2)])
    assert feed(watch, [tick(at, [9_000_000]) for at in range(5)]) is not None
    watch = AbortWatch([Abort("max < 1ms on b", 1.0, 2)])
    assert feed(watch, [tick(at, [9_000_000]) for at in range(5)]) is None


def test_what_the_generator_did_alone_stops_nothing() -> None:
    ticks = [tick(at, FAST) for at in range(20)]
    ticks[10] = tick(10, [*FAST, 620_000_000])
    ticks[10].client.beats.record([600_000_000])
    watch = AbortWatch([Abort("max < 500ms", 3.0, 1)])
    assert feed(watch, ticks) is None
    stop = feed(watch, [tick(20, [620_000_000])])
    assert stop is not None
