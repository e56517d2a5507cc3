"""Phases, clients and schedules of the generator process, and their control while they run."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise

import pytest

from opsconsole.load.generator.closed_loop import part_of
from opsconsole.load.messages import Control, Stop
from opsconsole.load.plan import Phase
from tests.load.driving import Generator, check_sums, closed, drive, opened, setup_for
from tests.load.farside import Far, when_still
from tests.server.process import until

# --- Phases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("uvloop", [True, False])
def test_phases_follow_one_another_without_a_gap(quick: Far, uvloop: bool) -> None:
    phases = (
        opened(200, 0.25, measured=False),
        Phase(name="closed", concurrency=3, duration=0.2),
        closed(50, 2),
        Phase(name="ramp", rate=0, rate_end=400, duration=0.5),
    )
    driven = drive(setup_for(quick), *phases, uvloop=uvloop)
    check_sums(driven)
    first, second, third, fourth = driven.parts
    assert first.begin == driven.at
    for before, after in pairwise(driven.parts):
        assert before.end == after.begin
    assert first.seconds == pytest.approx(0.25)
    assert second.seconds == pytest.approx(0.2)
    assert fourth.seconds == pytest.approx(0.5)
    assert first.all.good == first.client.due == 50
    assert second.all.good > 3
    assert third.all.good == 50
    assert fourth.all.good == fourth.client.due == 100
    assert second.client.due == third.client.due == 0
    assert driven.all.errors == {}


def test_the_console_may_begin_again(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        for _ in range(3):
            driven = generator.run(closed(20, 4), opened(500, 0.1))
            assert [part.all.good for part in driven.parts] == [20, 50]


def test_clients_who_wait_go_on_in_the_next_phase(slow: Far) -> None:
    """Never more in flight than there are clients, also where phases meet."""
    before = slow.counts().connections
    steps = [Phase(name=str(n), concurrency=n, duration=0.75) for n in (2, 6, 3)]
    with Generator(setup_for(slow)) as generator:
        driven = generator.run(*steps)
        seen = slow.counts()
    check_sums(driven)
    assert seen.connections - before == 6
    # 7.5 rounds of 100 ms each; the half is begun and ends in the next phase's time.
    for part, clients in zip(driven.parts, (2, 6, 3), strict=True):
        assert 3 * clients <= part.all.sent <= 8 * clients
    assert driven.all.service.largest < 700_000_000  # none waits for a phase to end


def test_what_ends_first_ends_the_phase(slow: Far) -> None:
    few = Phase(name="few", concurrency=2, requests=4, duration=20.0)
    short = Phase(name="short", concurrency=2, requests=1000, duration=0.3)
    driven = drive(setup_for(slow), few, short)
    assert driven.parts[0].all.good == 4
    assert 0.2 <= driven.parts[0].seconds < 15
    assert driven.parts[1].seconds == pytest.approx(0.3)


def test_an_open_phase_that_counts_ends_with_its_last_answer(slow: Far) -> None:
    driven = drive(setup_for(slow), Phase(name="open", rate=100, requests=10))
    assert driven.all.good == driven.client.due == 10
    assert 0.189 <= driven.first.seconds < 8


def test_clients_think(quick: Far) -> None:
    driven = drive(setup_for(quick), Phase(name="think", concurrency=2, duration=0.5, think=0.1))
    assert 2 <= driven.all.good <= 10


def test_processes_share_the_requests() -> None:
    for whole in (1, 7, 100):
        for shares in (1, 2, 3, 8):
            parts = [part_of(whole, share, shares) for share in range(shares)]
            assert sum(parts) == whole
            assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize("phase", [closed(11, 2), Phase(name="open", rate=200, duration=0.25)])
def test_three_processes_do_what_one_does(quick: Far, phase: Phase) -> None:
    found = [drive(setup_for(quick, share=share, shares=3), phase).all.good for share in range(3)]
    assert sum(found) == (phase.requests or 50)
    if phase.concurrency:
        assert found == [6, 5, 0]  # a process without clients sends nothing


# --- Control --------------------------------------------------------------------------------------


def requests_in(far: Far, seconds: float) -> float:
    """How many requests come in so long a time."""
    before, began = far.counts().requests, time.monotonic()
    time.sleep(seconds)
    return (far.counts().requests - before) * seconds / (time.monotonic() - began)


def test_clients_come_and_go(slow: Far) -> None:
    with Generator(setup_for(slow)) as generator:
        before = slow.counts()
        generator.begin(Phase(name="closed", concurrency=1, duration=60.0))
        generator.send(Control(concurrency=8))
        until(lambda: slow.counts().open >= before.open + 8, "eight clients")
        generator.send(Control(concurrency=2))
        # Two make 20 requests a second at most, on any machine; eight would make 80.
        until(lambda: requests_in(slow, 0.5) <= 12, "six of them to go")
        at = slow.counts().requests
        until(lambda: slow.counts().requests >= at + 6, "two to go on")
        generator.send(Stop(grace=5.0))
        driven = generator.collect()
    check_sums(driven)
    assert driven.all.good == slow.counts().requests - before.requests


def test_the_rate_changes_while_it_runs(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        begin = quick.counts().requests
        generator.begin(opened(20, 60.0))
        until(lambda: quick.counts().requests >= begin + 5, "requests")
        generator.send(Control(rate=400.0))
        until(lambda: quick.counts().requests >= begin + 100, "more of them")
        generator.send(Control(rate=0.0))
        before = when_still(quick)
        generator.send(Control(rate=100.0))
        until(lambda: quick.counts().requests >= before + 10, "requests again")
        generator.send(Stop())
        driven = generator.collect()
    check_sums(driven)
    assert driven.client.due == driven.all.sent >= before - begin + 10


def test_clients_pause(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        at = generator.begin(Phase(name="closed", concurrency=4, duration=1.5))
        begin = quick.counts().requests
        until(lambda: quick.counts().requests >= begin + 5, "requests")
        generator.send(Control(paused=True))
        before = when_still(quick, 0.4)
        generator.send(Control(paused=False))
        driven = generator.collect()
        ended = time.monotonic_ns()
    check_sums(driven)
    assert driven.all.good > before - begin
    # The pause is not the phase's time, and takes none from it.
    assert driven.first.seconds == pytest.approx(1.5)
    assert ended - at >= 1_900_000_000


def test_a_stop_ends_all_phases(slow: Far) -> None:
    with Generator(setup_for(slow)) as generator:
        generator.begin(Phase(name="a", concurrency=4, duration=60.0), opened(10, 60.0))
        begin = slow.counts().requests
        until(lambda: slow.counts().requests >= begin + 8, "requests")
        generator.send(Stop(grace=5.0))
        driven = generator.collect()
        check_sums(driven)
        assert len(driven.parts) == 1
        assert driven.all.good == driven.all.sent >= 8
        generator.begin(opened(10, 60.0), at=time.monotonic_ns() + 60_000_000_000)
        generator.send(Stop())
        assert generator.collect().parts == []


def test_what_a_stop_cuts_short_is_not_forgotten() -> None:
    with Far("silent") as far, Generator(setup_for(far)) as generator:
        generator.begin(Phase(name="closed", concurrency=3, duration=60.0))
        until(lambda: far.counts().requests == 3, "requests")
        generator.send(Stop(grace=0.1))
        driven = generator.collect()
    check_sums(driven)
    assert driven.all.errors == {"unfinished": 3}


def test_an_interrupt_is_the_consoles_to_answer(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        generator.begin(opened(100, 0.3))
        os.kill(generator.pid, signal.SIGINT)
        assert generator.collect().all.good == 30
