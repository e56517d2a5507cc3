from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from opsconsole.load.overrun import Overrun, patience
from opsconsole.load.plan import Phase, Plan, Search
from opsconsole.load.records import Client, Tick
from opsconsole.profile.threshold import parse_threshold


def told(in_flight: Sequence[int], due: int = 100, longest: float = 1.0) -> list[str | None]:
    """What is said of a probe of so many requests a second, at each of its ticks."""
    watch = Overrun(3, longest)
    return [
        watch.take(Tick(at=i, seconds=1.0, phase=3, totals={},
                        client=Client(due=due, in_flight=waiting)))
        for i, waiting in enumerate(in_flight)
    ]  # fmt: skip


def test_a_lost_probe_is_told_once_before_its_end() -> None:
    said = told([0, 50, 100, 150, 200, 250])
    assert said == [None, None, None, "in flight grew by 150 while 300 were due", None, None]
    assert not any(told([5, 7, 6, 9, 12, 11, 14, 17, 20, 23], longest=0.01))
    assert not any(told([0, 50, 100, 90, 140, 110]))
    assert not any(told([0, 50, 100, 150, 200, 250], due=0))  # clients wait: no schedule


def test_what_fills_a_slow_server_is_no_overrun() -> None:
    """The reviewer's: 60 a second, each answered after exactly five seconds."""
    filling = [60, 120, 180, 240, 300, 300, 300, 300]
    assert not any(told(filling, due=60, longest=8.3))
    # The same without end is one, as soon as it cannot be the thresholds' eight seconds any more.
    assert [bool(why) for why in told(range(60, 900, 60), due=60, longest=8.3)].index(True) == 9


def test_only_the_probe_is_watched_not_its_warm_up() -> None:
    plan = Plan(name="s", mode="search", search=Search())
    warm = Phase(name="w", measured=False, duration=2.0, rate=100.0)
    probe = Phase(name="p", duration=10.0, rate=100.0)
    fast = [parse_threshold("p95 < 500ms")]
    watch = Overrun.of(plan, fast, (warm, probe), 4)
    assert watch is not None
    for second in range(10):
        client = Client(due=100, in_flight=90 * second)
        tick = Tick(at=second, seconds=1.0, phase=4, totals={}, client=client)
        assert watch.take(tick) is None
        assert bool(
            watch.take(Tick(at=second, seconds=1.0, phase=5, totals={}, client=client))
        ) is (second == 3)
    one = Phase(name="working off", measured=False, requests=1, concurrency=1)
    assert Overrun.of(plan, fast, (one,), 6) is None
    assert Overrun.of(plan, fast, (), 6) is None
    assert Overrun.of(Plan(name="r", mode="rate"), fast, (probe,), 0) is None


@pytest.mark.parametrize(
    ("thresholds", "servers", "longest"),
    [
        (["p95 < 500ms"], (), 0.5 + 0.05 * 10),
        (["p50 < 100ms"], (), 0.1 + 0.5 * 10),
        (["max < 2s", "p99 < 3s"], (), 2.0),
        (["service.p90 < 1s"], (), 2.0),
        # None of these bounds the time until the whole answer is there.
        (["success_rate > 99%", "goodput > 3/s", "first_byte.p95 < 10ms", "mean < 1s"], (), 30.0),
        (["p95 < 60s"], (), 30.0),
        # As many as the more patient of two servers may have.
        (["p95 < 500ms on a", "p95 < 2s on b"], ("a", "b"), 2.5),
        (["p95 < 500ms on a"], ("a", "b"), 30.0),
        (["p95 < 500ms on a", "p95 < 1s"], ("a", "b"), 1.5),
    ],
)
def test_how_many_may_wait_follows_from_the_thresholds(
    thresholds: list[str], servers: tuple[str, ...], longest: float
) -> None:
    read: list[Any] = [parse_threshold(text) for text in thresholds]
    found = patience(read, timeout=30.0, seconds=10.0, servers=servers)
    assert found == pytest.approx(longest)
