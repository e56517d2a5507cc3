"""Times and the schedule: nothing shorter than the truth, nothing forgotten, nothing unsaid."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import pytest

from tests.load.bed import Nobody
from tests.load.driving import (
    Generator,
    body_work,
    check_sums,
    closed,
    drive,
    opened,
    setup_for,
)
from tests.load.farside import Far


def test_no_time_is_shorter_than_the_truth(tmp_path: Path) -> None:
    with Far("exact", delay=0.005) as far:
        driven = drive(setup_for(far), opened(200, 1.0))
        seen, (read, written) = far.counts(), far.truth(tmp_path)
    check_sums(driven)
    totals, client = driven.all, driven.client
    assert totals.good == totals.sent == client.due == seen.requests == seen.good
    assert abs(client.due - 200) <= 1
    assert client.late.total == totals.sent
    took = [end - begin for begin, end in zip(read, written, strict=True)]
    assert totals.service.least >= min(took)
    assert totals.service.sum >= sum(took)
    # From the intended moment: all of service, and the lateness of the sending.
    assert totals.response.sum == pytest.approx(totals.service.sum + client.late.sum, rel=0.001)
    assert client.late.least >= 0


def test_a_frozen_server_is_not_flattered() -> None:
    with Far("exact", delay=0.005, freeze=0.3, every=0.6) as far:
        with Generator(setup_for(far)) as generator:
            generator.begin(opened(200, 1.0), at=far.origin - 100_000_000 + 600_000_000 * 4)
            driven = generator.collect()
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert totals.good == seen.good == driven.client.due
    # 60 requests fell due within the first freeze: each waited for its end at least.
    waited = sorted(
        (count for index, count in totals.response.counts.items() if index > _index(0.1)),
    )
    assert sum(waited) >= 38
    assert totals.response.largest >= 290_000_000


def _index(seconds: float) -> int:
    from opsconsole.load.histogram import index_of

    return index_of(round(seconds * 1e9))


def test_a_closed_loop_waits_with_the_server() -> None:
    with Far("exact", delay=0.005, freeze=0.3, every=0.6) as far:
        driven = drive(setup_for(far), closed(200, 1))
    totals = driven.all
    assert totals.response.counts == totals.service.counts
    assert driven.client.late.total == 0


def test_two_processes_share_a_schedule_and_the_clients() -> None:
    with Far("exact", delay=0.005) as far:
        setups = [setup_for(far, share=share, shares=2) for share in range(2)]
        with Generator(setups[0]) as one, Generator(setups[1]) as two:
            at = time.monotonic_ns() + 100_000_000
            for generator in (one, two):
                generator.begin(opened(200, 1.0), closed(25, 5), at=at)
            both = [one.collect(), two.collect()]
        seen = far.counts()
    for driven in both:
        check_sums(driven)
    due = [driven.parts[0].client.due for driven in both]
    assert abs(due[0] - due[1]) <= 1
    assert abs(sum(due) - 200) <= 1
    assert sum(driven.parts[1].all.good for driven in both) == 25
    assert sum(driven.all.good for driven in both) == seen.good


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_loop_is_what_it_says(loop: str) -> None:
    with Generator(setup_for(Nobody()), uvloop=loop == "uvloop") as generator:
        assert loop in generator.ready.loop


def test_what_would_be_too_many_in_flight_is_dropped_and_counted() -> None:
    with Far("exact", delay=2.5) as far:
        driven = drive(setup_for(far, max_in_flight=10), opened(100, 0.9))
        seen = far.counts()
    check_sums(driven)
    totals, client = driven.all, driven.client
    assert totals.sent == 10 == seen.requests == totals.good
    assert client.dropped == client.due - 10
    assert seen.most_open <= 10


def test_ten_thousand_in_flight() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 12_000:
        pytest.skip(f"{hard} files at most")
    with Far("exact", delay=8.0) as far:  # all are sent before the first is answered
        setup = setup_for(far, max_in_flight=20_000, timeout=30.0, work=body_work(200))
        driven = drive(setup, closed(10_400, 10_400), deadline=60)
        seen = far.counts()
    check_sums(driven)
    totals, client = driven.all, driven.client
    assert client.failures == {}
    assert totals.errors == {}
    assert totals.good == 10_400 == seen.good
    assert seen.most_open >= 10_000
    assert client.dropped == 0


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_no_files_left_is_the_clients_fault() -> None:
    with Far("exact", delay=1.0) as far, Generator(setup_for(far)) as generator:
        resource.prlimit(generator.pid, resource.RLIMIT_NOFILE, (40, 40))
        driven = generator.run(opened(200, 0.5))
        seen = far.counts()
    totals, client = driven.all, driven.client
    assert sum(client.failures.values()) >= 50
    assert all("file" in kind for kind in client.failures)
    assert totals.errors == {}
    assert totals.good == seen.good
    assert client.due == totals.good + client.dropped + sum(client.failures.values())
