"""Who goes next, decided by :class:`Admission`: real tasks, one place, recorded order."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.server.admission import Admission, Overloaded, QueueFull
from opsconsole.server.fairness import FairQueue, Waiter


async def order(admission: Admission, requests: list[tuple[str, int, float]]) -> list[int]:
    """Indices of requests, (client, tokens, weight) each, by their turn behind one that blocks."""
    turns: list[int] = []
    leave = asyncio.Event()

    async def block() -> None:
        async with admission.place("blocker", tokens=1):
            await leave.wait()

    async def request(number: int) -> None:
        client, tokens, weight = requests[number]
        async with admission.place(client, tokens=tokens, weight=weight):
            turns.append(number)
            await asyncio.sleep(0)

    blocking = asyncio.create_task(block())
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(request(number)) for number in range(len(requests))]
    await asyncio.sleep(0)
    assert admission.waiting == len(requests)
    leave.set()
    await asyncio.gather(blocking, *tasks)
    return turns


async def test_one_client_is_served_first_in_first_out() -> None:
    requests = [("a", tokens, 1.0) for tokens in (500, 3, 90, 1)]
    assert await order(Admission(1, 10), requests) == [0, 1, 2, 3]


async def test_a_small_client_does_not_wait_behind_a_large_one() -> None:
    requests = [("large", 1000, 1.0)] * 5 + [("small", 10, 1.0)] * 5
    turns = await order(Admission(1, 100), requests)
    assert turns == [0, 5, 6, 7, 8, 9, 1, 2, 3, 4]


async def test_equal_clients_take_turns() -> None:
    requests = [("a", 10, 1.0)] * 4 + [("b", 10, 1.0)] * 4 + [("c", 10, 1.0)] * 4
    clients = [requests[i][0] for i in await order(Admission(1, 100), requests)]
    assert clients == list("abc" * 4)


async def test_urgent_requests_of_one_client_come_before_its_others_but_starve_none() -> None:
    requests = [("a", 10, 1.0)] * 4 + [("a", 10, 4.0)] * 12 + [("a", 10, 0.25)] * 2
    turns = await order(Admission(1, 100), requests)
    weights = [requests[i][2] for i in turns]
    assert Counter(weights[3:13]) == {4.0: 8, 1.0: 2}
    assert all(
        [i for i in turns if requests[i][2] == weight]
        == sorted(i for i in turns if requests[i][2] == weight)
        for weight in (4.0, 1.0, 0.25)
    )
    # The first of each goes at once: nobody has been given anything yet.
    assert set(weights[:3]) == {4.0, 1.0, 0.25}


async def test_who_was_idle_has_saved_nothing_up() -> None:
    admission = Admission(1, 100)
    for _ in range(50):  # long work of one client alone
        async with admission.place("busy", tokens=1000):
            pass
    requests = [("busy", 100, 1.0)] * 3 + [("fresh", 100, 1.0)] * 30
    clients = [requests[i][0] for i in await order(admission, requests)]
    # It owes for its last request, and not for the fifty.
    assert "busy" in clients[:13]
    assert clients[0] == "fresh"


REQUEST = st.tuples(st.sampled_from("abc"), st.integers(0, 100), st.sampled_from([4.0, 1.0, 0.25]))


@given(st.lists(REQUEST, max_size=30))
def test_every_client_gets_its_share_while_it_waits(
    requests: list[tuple[str, int, float]],
) -> None:
    queue = FairQueue[Waiter]()
    waiters = [Waiter(*request) for request in requests]
    for waiter in waiters:
        queue.put(waiter)
    served: list[Waiter] = []
    while (waiter := queue.take(lambda _: True)) is not None:
        queue.charge(waiter)
        served.append(waiter)
    assert len(served) == len(waiters)
    largest = max((waiter.cost for waiter in waiters), default=0.0)
    for one in "abc":
        for other in "abc":
            # As long as both wait, they differ by two requests of the largest cost at most.
            last = min(
                max((i for i, w in enumerate(served) if w.client == client), default=-1)
                for client in (one, other)
            )
            given = [
                list(accumulate(w.cost * (w.client == client) for w in served[: last + 1]))
                for client in (one, other)
            ]
            assert all(abs(x - y) <= 2 * largest for x, y in zip(*given, strict=True))


Step = st.tuples(
    st.sampled_from(["come", "leave", "cancel", "tick"]),
    st.sampled_from(["", "a", "b"]),
    st.integers(0, 60),
)


@given(
    st.lists(Step, max_size=60),
    st.integers(1, 3),
    st.integers(0, 4),
    st.sampled_from([100, 1 << 40]),
    st.sampled_from([0, 2]),
)
@settings(deadline=None)
def test_whatever_comes_and_goes_nothing_is_lost_or_counted_twice(
    steps: list[tuple[str, str, int]], parallel: int, queue: int, tokens: int, clients: int
) -> None:
    async def run() -> None:
        admission = Admission(parallel, queue, tokens)
        admission.clients = clients
        inside: dict[asyncio.Task[None], asyncio.Event] = {}
        tasks: list[asyncio.Task[None]] = []
        most = 0

        async def visit(client: str, cost: int) -> None:
            nonlocal most
            task = asyncio.current_task()
            assert task is not None
            try:
                async with admission.place(client, tokens=cost):
                    inside[task] = asyncio.Event()
                    most = max(most, len(inside))
                    try:
                        await inside[task].wait()
                    finally:
                        del inside[task]
            except (QueueFull, Overloaded):
                pass

        for step, client, cost in steps:
            if step == "come":
                tasks.append(asyncio.create_task(visit(client, cost)))
            elif step == "tick":
                await asyncio.sleep(0)
            elif step == "leave" and inside:
                list(inside.values())[cost % len(inside)].set()
            elif step == "cancel" and tasks:
                tasks[cost % len(tasks)].cancel()
        for _ in range(len(tasks) * 4 + 4):
            await asyncio.sleep(0)
            for event in tuple(inside.values()):
                event.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(one is None or isinstance(one, asyncio.CancelledError) for one in done)
        assert most <= parallel
        assert (admission.active, admission.waiting, admission.tokens) == (0, 0, 0)
        assert admission.longest_running() == 0
        assert admission.refusal("c", 10**9) is None

    asyncio.run(run())
