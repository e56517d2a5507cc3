from __future__ import annotations

import asyncio
import contextlib

import pytest

from opsconsole.server.admission import Admission, QueueFull


class Visitor:
    """Holds a place until told to leave."""

    def __init__(self, admission: Admission) -> None:
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self.waited = -1.0
        self.task = asyncio.create_task(self._visit(admission))

    async def _visit(self, admission: Admission) -> None:
        async with admission.place() as waited:
            self.waited = waited
            self.inside.set()
            await self.leave.wait()


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_runs_waits_in_order_and_refuses() -> None:
    admission = Admission(max_parallel=2, max_queue=2)
    visitors = [Visitor(admission) for _ in range(4)]
    await settle()
    assert (admission.active, admission.waiting, admission.full) == (2, 2, True)
    with pytest.raises(QueueFull):
        async with admission.place():
            pass
    visitors[1].leave.set()
    await settle()
    assert visitors[2].inside.is_set()
    assert not visitors[3].inside.is_set()
    assert (admission.active, admission.waiting, admission.full) == (2, 1, False)
    for visitor in visitors:
        visitor.leave.set()
    await asyncio.gather(*(visitor.task for visitor in visitors))
    assert (admission.active, admission.waiting) == (0, 0)
    assert visitors[0].waited == 0
    assert visitors[3].waited > 0


async def test_no_queue_at_all() -> None:
    admission = Admission(max_parallel=1, max_queue=0)
    first = Visitor(admission)
    await settle()
    with pytest.raises(QueueFull):
        async with admission.place():
            pass
    first.leave.set()
    await first.task
    async with admission.place() as waited:
        assert waited == 0


async def test_one_who_gives_up_frees_the_place_in_the_queue() -> None:
    admission = Admission(max_parallel=1, max_queue=2)
    first, second, third = (Visitor(admission) for _ in range(3))
    await settle()
    second.task.cancel()
    await settle()
    assert admission.waiting == 1
    first.leave.set()
    await settle()
    assert third.inside.is_set()
    third.leave.set()
    await third.task
    assert admission.active == 0


async def test_giving_up_in_the_moment_of_admission_passes_the_place_on() -> None:
    admission = Admission(max_parallel=1, max_queue=2)
    first, second, third = (Visitor(admission) for _ in range(3))
    await settle()
    first.leave.set()
    await asyncio.sleep(0)  # second has its turn, but has not run yet
    second.task.cancel()
    await settle()
    assert third.inside.is_set()
    third.leave.set()
    await third.task
    assert (admission.active, admission.waiting) == (0, 0)


async def test_giving_up_just_before_a_place_comes_loses_nothing() -> None:
    admission = Admission(max_parallel=1, max_queue=2)
    first, second, third = (Visitor(admission) for _ in range(3))
    await settle()
    second.task.cancel()
    first.task.cancel()
    await settle()
    assert third.inside.is_set()
    third.leave.set()
    await third.task
    assert (admission.active, admission.waiting) == (0, 0)


async def test_an_error_inside_frees_the_place() -> None:
    admission = Admission(max_parallel=1, max_queue=0)
    for _ in range(3):
        with contextlib.suppress(ValueError):
            async with admission.place():
                raise ValueError
    assert admission.active == 0
