"""Clients share the device in equal parts, whatever they ask for at once."""

from __future__ import annotations

from collections import Counter

import pytest

from opsconsole.engine.job import Job
from tests.engine.test_schedule import CPU, UNPADDED, Desk

SOLE = CPU._replace(fill=0)  # nobody rides along


class Crowd:
    """Clients each of whose requests is followed by the next one when it is done."""

    def __init__(self, desk: Desk, rows: int, asked: dict[str, list[float]]) -> None:
        self.served: Counter[str] = Counter()
        """Tokens."""
        self._desk = desk
        self._rows = rows
        self._left: dict[Job, int] = {}
        for client, weights in asked.items():
            for weight in weights:
                self._put(client, weight)

    def serve(self, batches: int) -> None:
        for _ in range(batches):
            for cell in self._desk.take():
                job = cell.waiters[0][0]
                assert job.options.client is not None
                self.served[job.options.client] += cell.length
                self._left[job] -= 1
                if not self._left[job]:
                    del self._left[job]
                    self._put(job.options.client, job.options.weight)

    def _put(self, client: str, weight: float) -> None:
        job = self._desk.put([64] * self._rows, client=client, weight=weight)  # type: ignore[arg-type]
        self._left[job] = self._rows


@pytest.mark.parametrize("limits", [SOLE, UNPADDED])
@pytest.mark.parametrize("rows", [20, 200, 1000])
@pytest.mark.parametrize(
    "weights", [[1.0], [1.0] * 10, [4.0] * 3, [0.25, 1.0, 4.0], [4.0, 0.25, 0.25]]
)
def test_many_or_heavy_requests_do_not_buy_the_device(
    weights: list[float], rows: int, limits: object
) -> None:
    crowd = Crowd(Desk(limits), rows, {"a": weights, "b": [1.0]})  # type: ignore[arg-type]
    crowd.serve(1500)
    assert crowd.served["a"] / crowd.served["b"] == pytest.approx(1, abs=0.1)


def test_within_a_client_weights_count() -> None:
    desk = Desk(SOLE)
    heavy = desk.put([64] * 20_000, weight=4, client="a")  # type: ignore[arg-type]
    light = desk.put([64] * 20_000, client="a")  # type: ignore[arg-type]
    other = desk.put([64] * 20_000, weight=0.25, client="b")  # type: ignore[arg-type]
    turns = Counter(batch[0] for batch in desk.turns(most=500))
    assert turns[other] / 500 == pytest.approx(0.5, abs=0.05)
    assert turns[heavy] / turns[light] == pytest.approx(4, rel=0.2)


def test_who_is_left_has_the_whole_share() -> None:
    desk = Desk(SOLE)
    kept = desk.put([64] * 20_000, weight=0.25, client="a")  # type: ignore[arg-type]
    gone = [desk.put([64] * 2000, weight=4, client="a") for _ in range(5)]  # type: ignore[arg-type]
    other = desk.put([64] * 20_000, client="b")  # type: ignore[arg-type]
    desk.turns(most=20)
    for job in gone:
        job.cancel()
    turns = Counter(batch[0] for batch in desk.turns(most=200))
    assert turns[kept] / turns[other] == pytest.approx(1, abs=0.15)
    assert len(desk.schedule._shares) == 2
    for job in (kept, other):
        job.cancel()
    assert desk.take() == []
    assert not desk.schedule._shares
    assert desk.schedule._weight == 0


def test_requests_without_a_client_share_one_by_one() -> None:
    desk = Desk(SOLE)
    nobodys = [desk.put([64] * 20_000) for _ in range(3)]
    known = [desk.put([64] * 20_000, client="a") for _ in range(3)]  # type: ignore[arg-type]
    turns = Counter(batch[0] for batch in desk.turns(most=600))
    for job in nobodys:
        assert turns[job] == pytest.approx(150, abs=15)
    assert sum(turns[job] for job in known) == pytest.approx(150, abs=15)
