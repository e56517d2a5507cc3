from __future__ import annotations

import math

import pytest

from opsconsole.fleet import Counters, Figures, Histogram, History, ServerState, Snapshot, aggregate


def snap(clock: float, counters: Counters | None, state: ServerState = ServerState.UP) -> Snapshot:
    return Snapshot(server="a", at=clock, clock=clock, state=state, poll_seconds=0.0,
                    counters=counters)  # fmt: skip


def seen(requests: float, ok: float, failed: float, start: float = 1.0) -> Counters:
    fast = Histogram((0.01, 0.1, math.inf), (requests * 0.9, requests, requests), requests * 0.01)
    return Counters(requests=requests, succeeded=ok, failed=failed, rejected=0.0, latency=fast,
                    start_time=start)  # fmt: skip


def test_rates_and_shares_are_deltas() -> None:
    history = History()
    for second in range(11):
        history.add(snap(float(second), seen(100 + 10 * second, 90 + 9 * second, 10 + second)))
    figures = history.figures()
    assert figures.request_rate == pytest.approx(10)
    assert figures.error_share == pytest.approx(0.1)
    assert figures.p50 == pytest.approx(0.01 * 0.5 / 0.9)
    assert figures.p95 == pytest.approx(0.01 + 0.09 * 0.5)


def test_a_restart_never_makes_a_negative_or_a_huge_rate() -> None:
    history = History()
    history.add(snap(0, seen(1_000_000, 1_000_000, 0)))
    history.add(snap(1, seen(1_000_010, 1_000_010, 0)))
    history.add(snap(2, seen(5, 5, 0, start=2.0)))
    history.add(snap(3, seen(15, 15, 0, start=2.0)))
    assert history.figures().request_rate == pytest.approx((10 + 5 + 10) / 3)
    assert all(p.rate is None or p.rate >= 0 for p in history.points)


def test_a_restart_that_overtook_the_old_count_is_seen_by_its_start_time() -> None:
    history = History()
    history.add(snap(0, seen(10, 10, 0, start=1.0)))
    history.add(snap(1, seen(40, 40, 0, start=2.0)))
    assert history.figures().request_rate == pytest.approx(40)


def test_refusals_are_told_by_their_reason_the_most_frequent_first() -> None:
    history = History()

    def refused(second: float, start: float = 1.0, **reasons: float) -> Snapshot:
        counters = Counters(rejected=sum(reasons.values()), rejected_by_reason=reasons,
                            start_time=start)  # fmt: skip
        return snap(second, counters)

    history.add(refused(0, queue_full=500, loading=0))
    history.add(refused(1, queue_full=510, loading=0))
    assert history.figures().reject_reasons == (("queue_full", 10.0),)
    history.add(refused(2, start=2.0, queue_full=0, loading=40))  # it was started again
    assert history.figures().reject_reasons == (("loading", 20.0), ("queue_full", 5.0))


def test_silence_is_absent_and_not_zero() -> None:
    history = History()
    history.add(snap(0, seen(10, 10, 0)))
    history.add(snap(1, None, ServerState.DOWN))
    assert history.figures() == Figures()
    assert history.points[-1].rate is None
    assert history.state_since == 1
    history.add(snap(2, seen(30, 30, 0)))
    assert history.figures().request_rate == pytest.approx(10)


def test_only_the_window_counts() -> None:
    history = History(window=60)
    history.add(snap(0, seen(0, 0, 0)))
    for second in range(1, 200):
        history.add(snap(float(second), seen(50, 0, 50)))
    assert history.figures().error_share is None
    assert len(history.points) <= 61


def test_the_fleet_is_not_an_average_of_percentiles() -> None:
    fast, slow = History(), History()
    bounds = (0.01, 1.0, math.inf)
    for clock, n in ((0.0, 0.0), (1.0, 1.0)):
        fast.add(snap(clock, Counters(requests=n, succeeded=99 * n, failed=0.0, latency=Histogram(
            bounds, (990 * n, 990 * n, 990 * n)))))  # fmt: skip
        slow.add(snap(clock, Counters(requests=n, succeeded=0.0, failed=n, latency=Histogram(
            bounds, (0, 10 * n, 10 * n)))))  # fmt: skip
    fleet = aggregate([(h.last, h.figures()) for h in (fast, slow)])
    assert fleet.p95 is not None
    assert fleet.p95 < 0.01  # 1 % of slow answers does not reach the p95 of the fleet
    assert fleet.error_share == pytest.approx(1 / 100)
    assert fleet.request_rate == pytest.approx(2)
    assert (fleet.up, fleet.total) == (2, 2)


def test_one_reading_says_nothing_yet() -> None:
    history = History()
    history.add(snap(0, seen(10, 10, 0)))
    assert history.figures() == Figures()
