"""Who goes next: start-time fair queueing between clients, and within each between priorities.

Goyal, Vin and Cheng, "Start-time Fair Queuing" (1996): each flow has the virtual time at which its
next request starts; the lowest goes first, and what is served puts its flow back by cost. Who was
idle has saved nothing up, who was served owes only while others wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

_Flow = TypeVar("_Flow", str, float)
_Waiter = TypeVar("_Waiter", bound="Waiter")


class Ledger(Generic[_Flow]):
    """What each flow has been given, in virtual time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._finish: dict[_Flow, float] = {}

    def start(self, flow: _Flow) -> float:
        """When the flow's next request starts; lower goes first."""
        return max(self._now, self._finish.get(flow, 0.0))

    def charge(self, flow: _Flow, cost: float) -> None:
        """The flow's next request is served."""
        self._now = self.start(flow)
        self._finish[flow] = self._now + cost


class Waiter:
    """One request that may have to wait.

    Attributes:
        number: Its place in the order of arrival; 0 while it is not in the queue.
    """

    __slots__ = ("client", "number", "tokens", "weight")

    def __init__(self, client: str, tokens: int, weight: float) -> None:
        self.client = client
        self.tokens = tokens
        self.weight = weight
        self.number = 0

    @property
    def cost(self) -> float:
        """What it counts for its client; more urgent ones count less."""
        return max(1, self.tokens) / self.weight


class _Line(Generic[_Waiter]):
    """One client's requests: first in first out for each weight."""

    def __init__(self) -> None:
        self.count = 0
        self.tokens = 0
        self._ledger = Ledger[float]()
        self._flows: dict[float, deque[_Waiter]] = {}

    def __iter__(self) -> Iterator[_Waiter]:
        for flow in self._flows.values():
            yield from flow

    @property
    def first(self) -> int:
        """The number of the one who has waited longest."""
        return min(flow[0].number for flow in self._flows.values())

    def append(self, waiter: _Waiter) -> None:
        self._flows.setdefault(waiter.weight, deque()).append(waiter)
        self.count += 1
        self.tokens += waiter.tokens

    def pop(self) -> _Waiter:
        weight = min(
            self._flows, key=lambda each: (self._ledger.start(each), self._flows[each][0].number)
        )
        waiter = self._flows[weight][0]
        self._ledger.charge(weight, waiter.cost)
        self.remove(waiter)
        return waiter

    def remove(self, waiter: _Waiter) -> None:
        flow = self._flows[waiter.weight]
        flow.remove(waiter)
        if not flow:
            del self._flows[waiter.weight]
        self.count -= 1
        self.tokens -= waiter.tokens


class FairQueue(Generic[_Waiter]):
    """All who wait, by client."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line[_Waiter]] = {}
        self._ledger = Ledger[str]()
        self._count = 0
        self._last_number = 0

    def __len__(self) -> int:
        return self._count

    def count(self, client: str) -> int:
        """How many of one client wait."""
        line = self._lines.get(client)
        return line.count if line is not None else 0

    def charge(self, waiter: Waiter) -> None:
        """Its client is given what it asks for, after waiting or without."""
        self._ledger.charge(waiter.client, waiter.cost)

    def put(self, waiter: _Waiter) -> None:
        """Wait."""
        self._last_number += 1
        waiter.number = self._last_number
        self._count += 1
        self._lines.setdefault(waiter.client, _Line()).append(waiter)

    def take(self, may_run: Callable[[str], bool]) -> _Waiter | None:
        """Who goes next among the clients that may; ``None`` when none may."""
        clients = [client for client in self._lines if may_run(client)]
        if not clients:
            return None
        client = min(clients, key=lambda each: (self._ledger.start(each), self._lines[each].first))
        waiter = self._lines[client].pop()
        self._left(waiter)
        return waiter

    def remove(self, waiter: _Waiter) -> None:
        """Stop waiting; for one that waits."""
        self._lines[waiter.client].remove(waiter)
        self._left(waiter)

    def ahead(self, client: str, tokens: int, weight: float) -> int:
        """Tokens of those who wait that a new request finds before it, by estimate.

        All of its client's that are no less urgent, and of every other client as many as its own
        is given meanwhile.
        """
        line = self._lines.get(client)
        own = sum(each.tokens for each in line if each.weight >= weight) if line else 0
        return own + sum(
            min(line.tokens, own + tokens) for each, line in self._lines.items() if each != client
        )

    def _left(self, waiter: _Waiter) -> None:
        waiter.number = 0
        self._count -= 1
        if not self._lines[waiter.client].count:
            del self._lines[waiter.client]
