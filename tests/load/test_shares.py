"""How many generator processes a plan gets when it leaves that open."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from opsconsole.load.messages import Target
from opsconsole.load.plan import Phase, Plan, Search, Steps
from opsconsole.load.shares import MOST, processes_for

AFAR = (Target(name="a", host="gpu7.example", port=8000),)
NEAR = (*AFAR, Target(name="b", host="127.0.0.1", port=8000))
SOCKET = (Target(name="c", host="localhost", port=80, unix="/run/c.sock"),)


def rate(value: float, to: float | None = None) -> Plan:
    return Plan(name="r", mode="rate", phases=(
        Phase(name="warm-up", measured=False, requests=5, concurrency=1),
        Phase(name="r", rate=value, rate_end=to, duration=10.0),
    ))  # fmt: skip


def clients(count: int) -> Plan:
    return Plan(name="l", mode="load", phases=(Phase(name="l", concurrency=count, requests=9000),))


@pytest.mark.parametrize("plan", [rate(100_000), clients(5000), rate(0, 1e9)])
@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("targets", [AFAR, NEAR, SOCKET])
def test_on_few_cores_it_is_one(plan: Plan, cores: int, targets: tuple[Target, ...]) -> None:
    assert processes_for(plan, targets, cores) == 1


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        (rate(10_000), 1),
        (rate(10_001), 2),
        (rate(0, 35_000), 4),
        (clients(4), 1),
        (clients(100), 1),
        (clients(250), 3),
        (clients(100_000), MOST),
        (Plan(name="s", mode="search", search=Search()), 2),
        (Plan(name="s", mode="search", search=Search(most=500.0)), 1),
        (Plan(name="s", mode="stress", steps=Steps(most=256)), 3),
        (Plan(name="p", mode="replay", phases=(Phase(name="p", arrivals="recorded"),)), 1),
        (Plan(name="n", mode="load"), 1),
    ],
)
def test_rate_and_clients_decide(plan: Plan, wanted: int) -> None:
    assert processes_for(plan, AFAR, 16) == wanted
    assert processes_for(plan, AFAR, 3) == min(wanted, 2)
    assert processes_for(plan, NEAR, 4) == min(wanted, 2)


def test_the_plan_has_the_last_word() -> None:
    assert processes_for(replace(rate(1), processes=3), NEAR, 1) == 3


def test_no_more_processes_than_may_be_in_flight() -> None:
    plan = replace(clients(5000), processes=3, max_in_flight=1)
    assert processes_for(plan, AFAR, 64) == 1
    assert processes_for(replace(plan, processes=0, max_in_flight=2), AFAR, 64) == 2
