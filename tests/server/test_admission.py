from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest

from opsconsole.server.admission import Admission, DeadlinePassed, Overloaded, QueueFull


class Visitor:
    """Holds a place until told to leave."""

    def __init__(self, admission: Admission, client: str | None = None, **cost: Any) -> None:
        self.client = client
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self.waited = -1.0
        self.task = asyncio.create_task(self._visit(admission, cost))

    async def _visit(self, admission: Admission, cost: dict[str, Any]) -> None:
        async with admission.place(self.client, **cost) as waited:
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
    assert (admission.active, admission.waiting) == (2, 2)
    assert isinstance(admission.refusal(None), QueueFull)
    with pytest.raises(QueueFull):
        async with admission.place():
            pass
    visitors[1].leave.set()
    await settle()
    assert visitors[2].inside.is_set()
    assert not visitors[3].inside.is_set()
    assert (admission.active, admission.waiting) == (2, 1)
    assert admission.refusal(None) is None
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


async def test_the_tokens_of_all_are_bounded_but_one_alone_always_passes() -> None:
    admission = Admission(max_parallel=1, max_queue=10, max_tokens=100)
    first = Visitor(admission, tokens=1000)
    await settle()
    assert first.inside.is_set()
    with pytest.raises(Overloaded):
        async with admission.place(tokens=1):
            pass
    first.leave.set()
    await first.task
    running, waiting = Visitor(admission, tokens=60), Visitor(admission, tokens=40)
    await settle()
    assert (admission.tokens, admission.active, admission.waiting) == (100, 1, 1)
    with pytest.raises(Overloaded):
        async with admission.place(tokens=1):
            pass
    waiting.task.cancel()
    await settle()
    assert admission.tokens == 60
    running.leave.set()
    await running.task
    assert admission.tokens == 0


async def test_a_deadline_ends_the_waiting_at_once_and_frees_the_place_in_the_queue() -> None:
    admission = Admission(max_parallel=1, max_queue=1)
    first = Visitor(admission)
    await settle()
    for seconds in (0.02, -1.0):
        with pytest.raises(DeadlinePassed):
            async with admission.place(deadline=time.monotonic() + seconds):
                raise AssertionError
        assert (admission.active, admission.waiting) == (1, 0)
    third = Visitor(admission, deadline=time.monotonic() + 60)
    await settle()
    first.leave.set()
    await settle()
    assert third.inside.is_set()
    third.leave.set()
    await third.task


async def test_a_deadline_in_the_moment_of_admission_passes_the_place_on() -> None:
    admission = Admission(max_parallel=1, max_queue=2)
    first = Visitor(admission)
    late = Visitor(admission, deadline=time.monotonic() - 1)
    third = Visitor(admission)
    await asyncio.sleep(0)  # all have come in
    await asyncio.sleep(0)
    first.leave.set()  # its place comes free between late's alarm and late's waking up
    await asyncio.gather(late.task, return_exceptions=True)
    await settle()
    assert isinstance(late.task.exception(), DeadlinePassed)
    assert third.inside.is_set()
    third.leave.set()
    await third.task
    assert (admission.active, admission.waiting, admission.tokens) == (0, 0, 0)


async def test_one_of_several_clients_never_has_all_places_nor_the_whole_queue() -> None:
    admission = Admission(max_parallel=3, max_queue=6)
    admission.clients = 10
    greedy = [Visitor(admission, "greedy") for _ in range(6)]
    await settle()
    assert (admission.active, admission.waiting) == (2, 3)
    assert isinstance(greedy[5].task.exception(), QueueFull)
    modest = Visitor(admission, "modest")
    await settle()
    assert modest.inside.is_set()
    assert admission.refusal("modest") is None
    for visitor in (modest, *greedy[:5]):
        visitor.leave.set()
    await asyncio.gather(modest.task, *(visitor.task for visitor in greedy[:5]))
    assert (admission.active, admission.waiting, admission.tokens) == (0, 0, 0)


async def test_one_of_several_clients_gets_half_of_the_tokens() -> None:
    admission = Admission(max_parallel=4, max_queue=4, max_tokens=100)
    admission.clients = 2
    whole = Visitor(admission, "a", tokens=80)  # nothing else of its own is here
    await settle()
    assert whole.inside.is_set()
    assert isinstance(admission.refusal("a", 1), Overloaded)
    assert admission.refusal("b", 20) is None
    whole.leave.set()
    await whole.task


async def test_clients_are_noticed_without_being_configured() -> None:
    admission = Admission(max_parallel=2, max_queue=8)
    greedy = [Visitor(admission, "greedy") for _ in range(4)]
    await settle()
    assert admission.active == 2
    modest = [Visitor(admission, "modest") for _ in range(2)]
    await settle()
    greedy[0].leave.set()
    await settle()
    # From here on it may have one of two, and the other client goes first.
    assert modest[0].inside.is_set()
    modest[0].leave.set()
    await settle()
    assert modest[1].inside.is_set()
    for visitor in (*greedy, *modest):
        visitor.leave.set()
    await asyncio.gather(*(visitor.task for visitor in (*greedy, *modest)))
    assert (admission.active, admission.waiting) == (0, 0)
