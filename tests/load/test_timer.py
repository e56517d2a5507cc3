"""The timer that requests are sent by."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from time import monotonic_ns

import pytest

from opsconsole.load.generator.timer import FdTimer, LoopTimer, Timer, make_timer

MS = 1_000_000
Make = Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Timer]
MAKES = [
    pytest.param(LoopTimer, id="loop"),
    pytest.param(
        FdTimer,
        id="timerfd",
        marks=pytest.mark.skipif(sys.platform != "linux", reason="no timerfd here"),
    ),
]
pytestmark = pytest.mark.parametrize("make", MAKES)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest):
    if request.param == "uvloop":
        made = pytest.importorskip("uvloop").new_event_loop()
    else:
        made = asyncio.new_event_loop()
    yield made
    made.close()
    gc.collect()


def run(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    loop.run_until_complete(asyncio.sleep(seconds))


def until_fired(loop: asyncio.AbstractEventLoop, fired: Sequence[int], times: int = 1) -> None:
    """Let the loop run until it has fired so often."""
    end = monotonic_ns() + 30_000 * MS
    while len(fired) < times:
        assert monotonic_ns() < end, "it does not fire"
        run(loop, 0.002)


def test_never_early_and_in_order(make: Make, loop: asyncio.AbstractEventLoop) -> None:
    begin = monotonic_ns()
    due = [begin + number * 1_300_000 for number in range(1, 41)]
    fired: list[int] = []
    done = loop.create_future()

    def fire() -> None:
        fired.append(monotonic_ns())
        if len(fired) < len(due):
            timer.at(due[len(fired)])
        else:
            done.set_result(None)

    timer = make(loop, fire)
    timer.at(due[0])
    loop.run_until_complete(asyncio.wait_for(done, 60))
    timer.close()
    assert len(fired) == len(due)
    assert all(is_ >= was for is_, was in zip(fired, due, strict=True))


def test_the_last_moment_set_counts(make: Make, loop: asyncio.AbstractEventLoop) -> None:
    fired: list[int] = []
    timer = make(loop, lambda: fired.append(monotonic_ns()))
    begin = monotonic_ns()
    timer.at(begin + 5 * MS)
    timer.at(begin + 40 * MS)
    until_fired(loop, fired)
    run(loop, 0.02)
    timer.close()
    assert len(fired) == 1
    assert fired[0] >= begin + 40 * MS


def test_what_is_past_fires_once_soon(make: Make, loop: asyncio.AbstractEventLoop) -> None:
    fired: list[int] = []
    timer = make(loop, lambda: fired.append(1))
    for number, moment in enumerate((0, monotonic_ns() - 1), 1):
        timer.at(moment)
        until_fired(loop, fired, number)
        run(loop, 0.02)
    timer.close()
    assert fired == [1, 1]


def test_cancelled_or_closed_it_does_not_fire(make: Make, loop: asyncio.AbstractEventLoop) -> None:
    fired: list[int] = []
    timer = make(loop, lambda: fired.append(1))
    timer.at(monotonic_ns() + 5 * MS)
    timer.cancel()
    run(loop, 0.02)
    timer.at(monotonic_ns() + 5 * MS)
    timer.close()
    run(loop, 0.02)
    timer.close()
    assert fired == []


def test_it_may_be_closed_when_it_fires(make: Make, loop: asyncio.AbstractEventLoop) -> None:
    timer = make(loop, lambda: timer.close())
    timer.at(monotonic_ns())
    run(loop, 0.02)


def test_the_best_there_is(make: Make, loop: asyncio.AbstractEventLoop) -> None:
    timer = make_timer(loop, lambda: None)
    timer.close()
    assert isinstance(timer, FdTimer if sys.platform == "linux" else LoopTimer)
