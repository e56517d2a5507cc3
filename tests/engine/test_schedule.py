"""Every input once, within its limits, in turn."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.engine.batching import padded_tokens
from opsconsole.engine.inflight import Cell, Flights
from opsconsole.engine.job import Job
from opsconsole.engine.records import Options
from opsconsole.engine.schedule import Limits, Schedule
from opsconsole.engine.tokenizing import Row

CPU = Limits(rows=32, tokens=2048, fill=256, padding=64)
UNPADDED = CPU._replace(unpadded=True)


class Desk:
    """A schedule with jobs made of lengths, and a device that computes at once."""

    def __init__(self, limits: Limits = CPU, rate: float = 0.0) -> None:
        self.flights = Flights()
        self.expired: list[Job] = []
        self.schedule = Schedule(limits, self.flights, rate=lambda: rate, expire=self._expire)
        self._number = 0

    def put(self, lengths: Sequence[int], **options: float) -> Job:
        job = Job("query", [], Options(**options))  # type: ignore[arg-type]
        rows = []
        for length in lengths:
            self._number += 1
            rows.append((self._number.to_bytes(8, "big"), Row([0] * length, [0] * length, False)))
        cells = self.flights.join(job, rows)
        job.future.add_done_callback(lambda _: self.schedule.drop(job, cells))
        assert self.schedule.put(job, cells)
        return job

    def take(self) -> list[Cell]:
        batch = self.schedule.take(wait=False)
        assert batch is not None
        for cell in batch:
            self.flights.land(cell)
        return batch

    def turns(self, most: int = 100_000) -> list[list[Job]]:
        """The jobs of each row of each batch, until nothing waits."""
        batches = []
        while (batch := self.take()) and len(batches) < most:
            batches.append([cell.waiters[0][0] for cell in batch])
        return batches

    def batches_until(self, job: Job) -> int:
        """Batches until all rows of a job have been in one."""
        left = len(self.schedule._lanes[job]._cells)
        for count in range(1, 100_000):
            left -= sum(cell.waiters[0][0] is job for cell in self.take())
            if not left:
                return count
        raise AssertionError("the job starves")

    def _expire(self, job: Job) -> None:
        self.expired.append(job)
        job.fail(TimeoutError())


LENGTHS = st.lists(st.integers(1, 600), min_size=1, max_size=40)


@given(
    jobs=st.lists(st.tuples(LENGTHS, st.sampled_from([0.25, 1.0, 4.0])), max_size=12),
    rows=st.integers(1, 9),
    tokens=st.integers(1, 1500),
    fill=st.integers(0, 1500),
    padding=st.integers(0, 200),
    unpadded=st.booleans(),
    doomed=st.integers(0, 11),
)
@settings(max_examples=150, deadline=None)
def test_every_row_comes_once_and_budgets_hold(
    jobs: list[tuple[list[int], float]],
    rows: int,
    tokens: int,
    fill: int,
    padding: int,
    unpadded: bool,
    doomed: int,
) -> None:
    limits = Limits(rows, tokens, fill, padding, unpadded)
    desk = Desk(limits)
    made = [desk.put(lengths, weight=weight) for lengths, weight in jobs]
    everything = {cell for job in made for cell in desk.schedule._lanes[job]._cells}
    assert desk.schedule.rows == len(everything)
    assert desk.schedule.tokens == sum(sum(lengths) for lengths, _ in jobs)
    gone: set[Cell] = set()
    if doomed < len(made):
        gone = set(desk.schedule._lanes[made[doomed]]._cells)
        made[doomed].cancel()
    seen: list[Cell] = []
    while batch := desk.take():
        lengths = [cell.length for cell in batch]
        positions = sum(lengths) if unpadded else padded_tokens(lengths)
        assert len(batch) <= rows
        assert len(batch) == 1 or positions <= tokens
        assert unpadded or positions - sum(lengths) <= padding
        leader = batch[0].waiters[0][0]
        if batch[-1].waiters[0][0] is not leader:
            assert positions <= fill  # others ride along up to there only
        seen += batch
    assert len(seen) == len(set(seen))
    assert set(seen) == everything - gone
    assert (desk.schedule.rows, desk.schedule.tokens) == (0, 0)
    assert len(desk.flights) == 0


@pytest.mark.parametrize("limits", [CPU, UNPADDED])
def test_rows_of_one_job_go_longest_first_without_much_padding(limits: Limits) -> None:
    desk = Desk(limits)
    desk.put([256, 8, 9, 10])
    lengths = []
    while batch := desk.take():
        lengths.append([cell.length for cell in batch])
    assert lengths == ([[256, 10, 9, 8]] if limits.unpadded else [[256], [10, 9, 8]])


@pytest.mark.parametrize("limits", [CPU, UNPADDED])
def test_a_small_job_does_not_wait_for_a_large_one(limits: Limits) -> None:
    desk = Desk(limits)
    lengths = random.Random(1)
    desk.put([lengths.randint(10, 300) for _ in range(10_000)])
    for _ in range(200):
        desk.take()
        assert desk.batches_until(desk.put([60])) <= 2


@pytest.mark.parametrize("limits", [CPU, UNPADDED])
def test_a_large_job_never_starves(limits: Limits) -> None:
    desk = Desk(limits)
    large = desk.put([100] * 400)
    desk.put([50] * 20)
    own = computed = offered = 0
    while own < 400:
        if offered <= computed:  # as much as the device computes: more and more of it waits
            desk.put([50] * 20)
            offered += 1000
        batch = desk.take()
        computed += sum(cell.length for cell in batch)
        own += sum(cell.waiters[0][0] is large for cell in batch)
        assert computed < 1_000_000, f"{own} rows of the large job were computed"


def test_a_large_job_does_not_catch_up_in_one_go() -> None:
    desk = Desk(CPU._replace(fill=128))
    large = desk.put([64] * 10_000)
    waits = []
    for _ in range(500):  # one small job after the other, each when the last one is done
        desk.take()
        waits.append(desk.batches_until(desk.put([60])))
    assert max(waits) <= 2
    assert large.is_open


def test_equal_jobs_go_one_after_the_other() -> None:
    # In turns, all of them would be late instead of the last one.
    desk = Desk(CPU._replace(tokens=500, fill=0))
    first, second = desk.put([50] * 40), desk.put([50] * 40)
    assert [batch[0] for batch in desk.turns()] == [first] * 4 + [second] * 4


def test_large_jobs_share_by_weight() -> None:
    desk = Desk(CPU._replace(fill=0))
    heavy, light = desk.put([64] * 20_000, weight=4), desk.put([64] * 20_000)
    turns = [batch[0] for batch in desk.turns(most=300)]
    assert 0.7 < turns.count(heavy) / len(turns) < 0.9
    assert light in turns


def test_others_fill_a_batch_only_as_far_as_it_costs_nothing() -> None:
    desk = Desk()
    small = [desk.put([60]) for _ in range(5)]
    large = desk.put([60] * 100)
    assert desk.turns()[:2] == [small[:4], [small[4], large]]  # 240 of 256 positions, 120 of 128


@pytest.mark.parametrize("limits", [CPU, UNPADDED])
def test_a_large_job_goes_in_small_batches_where_small_jobs_come(limits: Limits) -> None:
    desk = Desk(limits)
    desk.put([100] * 300)
    assert len(desk.take()) == 20
    for _ in range(3):
        small = desk.put([60])
        assert desk.batches_until(small) == 1
        assert len(desk.take()) == 2  # 200 of 256 positions
    desk.schedule._guest -= 60  # a minute ago
    assert len(desk.take()) == 20


def test_others_are_not_padded_to_the_leader() -> None:
    desk = Desk()
    desk.put([150])
    desk.put([20] * 200)
    assert len(desk.take()) == 1


def test_a_thousand_small_jobs_ride_together() -> None:
    desk = Desk(UNPADDED._replace(rows=512, fill=2048))
    for _ in range(1000):
        desk.put([20])
    assert len(desk.turns()) == 10  # 102 rows of 2,048 tokens


def test_urgent_jobs_go_first_but_not_always() -> None:
    desk = Desk(CPU._replace(fill=0), rate=1000.0)
    patient = desk.put([50] * 40)
    deadline = time.monotonic() + 60
    # 60,000 tokens can be computed until then, so it must begin now.
    urgent = desk.put([100] * 580, deadline=deadline)
    leaders = [batch[0] for batch in desk.turns(most=4)]
    assert leaders[0] is urgent
    assert leaders[1] is patient


def test_a_hopeless_deadline_gets_no_favour() -> None:
    desk = Desk(CPU._replace(fill=0), rate=1000.0)
    hopeless = desk.put([100] * 2000, deadline=time.monotonic() + 60)
    patient = desk.put([50])
    assert desk.take()[0].waiters[0][0] is patient
    assert desk.take()[0].waiters[0][0] is hopeless


def test_late_jobs_expire() -> None:
    desk = Desk()
    late = [desk.put([50] * 10, deadline=time.monotonic() - 1) for _ in range(3)]
    kept = desk.put([50], deadline=time.monotonic() + 60)
    assert desk.turns() == [[kept]]
    assert desk.expired == late
    assert desk.schedule.rows == 0


def test_a_cancelled_job_is_skipped_and_its_memory_free() -> None:
    desk = Desk()
    doomed, kept = desk.put([50] * 1000), desk.put([40])
    desk.take()
    doomed.cancel()
    assert desk.schedule.rows == len(desk.flights) <= 1
    assert all(batch == [kept] for batch in desk.turns())
    assert list(desk.schedule._lanes) == []


def test_close_ends_the_waiting() -> None:
    desk = Desk()
    taken: list[object] = [0]
    waiting = threading.Thread(target=lambda: taken.append(desk.schedule.take()))
    waiting.start()
    assert desk.schedule.close() == []
    waiting.join(30)
    assert taken == [0, None]
    job = Job("query", [])
    assert not desk.schedule.put(job, desk.flights.join(job, [(b"k", Row([1], [0], False))]))
    assert len(desk.flights) == 0


def test_close_names_what_was_left() -> None:
    desk = Desk(CPU._replace(fill=0))
    done, left = desk.put([50]), desk.put([50] * 60)
    desk.take()
    assert desk.schedule.close() == [left]
    assert done.is_open
