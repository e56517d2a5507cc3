"""A search against servers that are slow, and that work on when nobody waits for them any more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing
from itertools import takewhile

from opsconsole.load import LoadRun
from opsconsole.load.conductor import conduct
from opsconsole.load.live import Live
from opsconsole.load.plan import Phase, Plan, Search, Work
from opsconsole.load.records import Client, PhaseResult, Totals
from opsconsole.load.recovery import Recovery, gave_up
from opsconsole.profile import Profile, Server
from opsconsole.profile.threshold import parse_threshold
from tests.load.farside import Far

HEALTH = Work(dialect="http", path="/health", check=0.0)


def profile_of(far: Far) -> Profile:
    server = Server(name="far", url=f"http://127.0.0.1:{far.port}", kind="http")
    return Profile(name="far", servers=(server,))


def answered(phase: Phase, times: Sequence[float], **errors: int) -> PhaseResult:
    ended = len(times) + sum(errors.values())
    totals = Totals(sent=ended, ended=ended, good=len(times), errors=dict(errors))
    totals.response.record(int(seconds * 1e9) for seconds in times)
    return PhaseResult(
        phase=phase, seconds=max(times, default=0.001), totals={"a": totals}, client=Client()
    )


def test_one_request_at_a_time_until_one_is_as_fast_as_usual() -> None:
    recovery = Recovery("60/s", usual=0.1, timeout=30.0, servers=2)
    asked = []
    for slowest in (12.0, 3.0, 0.2):
        phase = recovery.next()
        assert phase is not None
        asked.append(phase)
        recovery.take(answered(phase, [0.1, slowest]))
    assert recovery.next() is None
    assert recovery.failure == ""
    assert {phase.name for phase in asked} == {"working off 60/s"}
    for phase in asked:
        assert (phase.requests, phase.concurrency, phase.measured) == (2, 1, False)
    assert asked[0].think == 0


def test_who_does_not_recover_is_waited_for_no_longer_than_one_request() -> None:
    recovery = Recovery("60/s", usual=0.1, timeout=5.0)
    tries = 0
    while (phase := recovery.next()) is not None:
        tries += 1
        refused = answered(phase, [], refused=1)
        refused.seconds += phase.think
        recovery.take(refused)
    assert 5 < tries < 25
    assert re.fullmatch(r"after 60/s nobody was answered any more, for [56] s", recovery.failure)
    assert not recovery.answered


def test_who_is_slow_for_ever_is_tried_again() -> None:
    recovery = Recovery("60/s", usual=0.1, timeout=5.0)
    while (phase := recovery.next()) is not None:
        recovery.take(answered(phase, [2.0]))
    assert recovery.failure == "60/s was not worked off within 6 s"
    assert recovery.answered


def test_a_server_that_a_probe_has_killed_is_tried_no_more() -> None:
    """What it does not answer is no vote against the levels that held before."""
    plan = Plan(
        name="s", mode="search", work=HEALTH, thresholds=("p95 < 1s",), timeout=5.0,
        search=Search(start=10, duration=3.0, warmup=0.0, confirm=2),
    )  # fmt: skip
    search = conduct(plan, [parse_threshold("p95 < 1s")])
    phases = next(search)
    names = []
    while True:
        names += [phase.name for phase in phases]
        alive = names[-1] == "10/s"
        results = [
            answered(p, [0.1] * 30) if alive else answered(p, [], timeout=p.requests or 60)
            for p in phases
        ]
        for result in results:
            result.seconds = max(result.seconds, 3.0)
        try:
            phases = search.send(results)
        except StopIteration as end:
            found = end.value
            break
    assert names[:2] == ["10/s", "20/s"]
    assert set(names[2:]) == {"working off 20/s"}
    assert found.value == 10
    assert "after 20/s nobody was answered any more" in found.text
    assert found.text.endswith("ended before it was certain")


def test_only_what_was_given_up_may_still_be_worked_on() -> None:
    phase = Phase(name="p", duration=1.0, rate=1.0)
    assert gave_up([answered(phase, [1.0], timeout=1), answered(phase, [1.0])])
    assert gave_up([answered(phase, [], unfinished=3)])
    assert gave_up([answered(phase, [], **{"HTTP 504 gateway timeout": 3})])
    assert not gave_up([answered(phase, [9.0], **{"HTTP 503 queue_full": 5, "refused": 2})])
    assert not gave_up([])


async def test_a_slow_server_that_keeps_up_is_not_overrun() -> None:
    """Until the first answers come, all that is sent is in flight."""
    with Far("exact", delay=4.5) as far:
        plan = Plan(
            name="s", mode="search", work=HEALTH, thresholds=("p95 < 20s",),
            search=Search(start=30, most=30, duration=5.0, warmup=0.5, confirm=0),
        )  # fmt: skip
        load_run = LoadRun(plan, profile_of(far))
        async for _ in load_run.ticks():
            pass
    found = load_run.run
    assert found.conclusion is not None
    assert found.conclusion.text.startswith("30/s held, the most that was tried: p95 < 20s")
    assert found.conclusion.value == 30
    assert not found.phases[-1].all().errors
    assert not found.invalid


async def test_the_next_probe_does_not_measure_what_the_last_one_left() -> None:
    """The server has work for six seconds when the client has given up what it sent last."""
    with Far("queue", delay=0.1) as far:
        plan = Plan(
            name="s", mode="search", work=HEALTH, thresholds=("p95 < 1s",), timeout=3.5,
            search=Search(start=30, duration=2.0, warmup=0.0, confirm=0, arrivals="constant"),
        )  # fmt: skip
        load_run = LoadRun(plan, profile_of(far))
        live = Live(plan, load_run.phases, load_run.thresholds)
        shown = set()
        async with aclosing(load_run.ticks()) as ticks:
            async for tick in ticks:
                live.take(tick)
                if (phase := live.progress.phase) is not None:
                    shown.add(phase.name)
                if "15/s" in shown:
                    load_run.stop("seen")
    names = [result.phase.name for result in load_run.run.phases]
    waited = list(takewhile("working off 30/s".__eq__, names[1:]))
    assert waited
    assert names == ["30/s", *waited, "15/s"]
    assert load_run.run.phases[0].all().errors["timeout"]
    slowest = load_run.run.phases[len(waited)].all().response.maximum
    assert slowest is not None
    assert slowest < 0.3
    assert "working off 30/s" in shown
