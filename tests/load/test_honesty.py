"""What a verdict must not hide, and whom it must not blame: whole runs against real servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from opsconsole.load import LoadRun, Run, Tick, plan_for
from opsconsole.load.packing import pack
from opsconsole.profile import Profile, Server
from opsconsole.profile.secret import Secret
from tests.load.farside import Far

HEALTH: dict[str, Any] = {"dialect": "http", "path": "/health", "check": 0, "warmup": 0}


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    with Far("exact", delay=0.01, size=10) as far:
        yield far


def profile_of(far: Far, **more: Any) -> Profile:
    url = f"http://127.0.0.1:{far.port}"
    return Profile(name="far", servers=(Server(name="far", url=url, kind="http", **more),))


async def run(load_run: LoadRun, at_tick: Callable[[Tick], None] = lambda tick: None) -> Run:
    async for tick in load_run.ticks():
        at_tick(tick)
    return load_run.run


def judged(run: Run) -> dict[str, bool]:
    return {judgement.threshold: judgement.passed for judgement in run.judgements}


async def test_what_is_answered_afterwards_is_no_throughput() -> None:
    with Far("exact", delay=2.0, size=10) as slow:
        plan = plan_for(
            "rate", rate=20, duration=3, thresholds=("goodput > 19/s", "success_rate > 99%"),
            **HEALTH,
        )  # fmt: skip
        found = await run(LoadRun(plan, profile_of(slow)))
    whole = found.measured()
    assert whole is not None
    totals = whole.all()
    assert totals.good == 60
    assert totals.after_good >= 39  # what was asked for in the last two of three seconds
    assert judged(found) == {"goodput > 19/s": False, "success_rate > 99%": True}
    assert sum(tick.all().good for tick in found.ticks) == 60
    assert sum(tick.seconds < 0.01 for tick in found.ticks) <= 1
    assert all((tick.all().rates(tick.seconds).good or 0) < 100 for tick in found.ticks)


def generators() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile, or is a zombie
            if "opsconsole.load.generator" in child.cmdline():
                found.append(child)
    return found


async def suspended(load_run: LoadRun, seconds: float) -> Run:
    """The run, with its generator standing still for a while in the middle."""
    done = []

    def suspend(tick: Tick) -> None:
        if tick.at >= 1 and not done:
            [process] = generators()
            os.kill(process.pid, signal.SIGSTOP)
            loop = asyncio.get_running_loop()
            done.append(loop.call_later(seconds, os.kill, process.pid, signal.SIGCONT))

    found = await run(load_run, suspend)
    assert done
    return found


async def test_a_generator_that_stood_still_blames_nobody(far: Far) -> None:
    plan = plan_for(
        "throughput", concurrency=4, duration=4, thresholds=("max < 300ms",), **HEALTH
    )  # fmt: skip
    found = await suspended(LoadRun(plan, profile_of(far)), 1.0)
    assert judged(found) == {"max < 300ms": False}
    assert any("by the generator alone" in reason for reason in found.invalid), found.invalid


async def test_a_short_stall_decides_no_far_percentile(far: Far) -> None:
    limits = ("max < 200ms", "max < 200ms over 3s")
    plan = plan_for("rate", rate=200, duration=5, thresholds=limits, **HEALTH)
    found = await suspended(LoadRun(plan, profile_of(far)), 0.3)
    assert judged(found) == dict.fromkeys(limits, False)
    assert any("by the generator alone" in reason for reason in found.invalid), found.invalid


async def test_a_generator_that_stood_still_breaks_no_window_and_stops_nothing(far: Far) -> None:
    limits = ("goodput > 40/s over 2s", "max < 400ms over 2s")
    aborts = ("goodput > 40/s over 2s after 1", "max < 400ms over 2s after 1")
    plan = plan_for(
        "rate", rate=80, duration=6, thresholds=limits, abort_on=aborts, **HEALTH
    )  # fmt: skip
    found = await suspended(LoadRun(plan, profile_of(far)), 1.2)
    assert not found.stopped
    assert judged(found)[limits[1]] is False
    assert any("by the generator alone" in reason for reason in found.invalid), found.invalid


async def test_a_server_that_refuses_everything_fast_has_failed() -> None:
    with Far("busy") as refusing:
        limits = ("success_rate > 99%", "goodput > 1/s")
        plan = plan_for("throughput", concurrency=32, duration=2, thresholds=limits, **HEALTH)
        found = await run(LoadRun(plan, profile_of(refusing)))
    assert judged(found) == dict.fromkeys(limits, False)
    assert found.invalid == []


async def test_what_was_answered_in_time_and_read_late_is_no_timeout(far: Far) -> None:
    plan = plan_for(
        "throughput", concurrency=8, duration=4, timeout=0.5, thresholds=("success_rate > 99.99%",),
        **HEALTH,
    )  # fmt: skip
    found = await suspended(LoadRun(plan, profile_of(far)), 1.0)
    whole = found.measured()
    assert whole is not None
    assert whole.all().errors == {}
    assert judged(found) == {"success_rate > 99.99%": True}


async def test_a_pause_is_in_no_window(far: Far) -> None:
    levels = ("goodput > 30/s over 3s",)
    plan = plan_for("rate", rate=50, duration=6, thresholds=levels, **HEALTH)
    load_run = LoadRun(plan, profile_of(far))
    paused = []

    def pause(tick: Tick) -> None:
        if tick.at >= 2.5 and not paused:
            load_run.pause()
            loop = asyncio.get_running_loop()
            paused.append(loop.call_later(3.5, load_run.pause, False))

    found = await run(load_run, pause)
    assert paused
    assert judged(found) == {levels[0]: True}


async def test_a_slow_server_is_blamed_whatever_the_generator_did() -> None:
    with Far("exact", delay=0.5, size=10) as slow:
        plan = plan_for("load", concurrency=4, duration=4, thresholds=("p95 < 100ms",), **HEALTH)
        found = await run(LoadRun(plan, profile_of(slow)))
    assert judged(found) == {"p95 < 100ms": False}
    assert found.invalid == []


async def test_who_cannot_wait_blames_nobody(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.load.run._GRACE", 0.5)
    with Far("exact", delay=4.0, size=10) as slow:
        plan = plan_for("rate", rate=10, duration=60, thresholds=("success_rate > 99%",), **HEALTH)
        load_run = LoadRun(plan, profile_of(slow))

        def stop(tick: Tick) -> None:
            if tick.all().good:
                load_run.stop("interrupted")

        found = await run(load_run, stop)
    whole = found.measured()
    assert whole is not None
    totals = whole.all()
    assert totals.errors == {}
    assert totals.sent - totals.ended >= 30  # those of the last four seconds
    assert judged(found) == {"success_rate > 99%": True}


async def test_a_key_that_the_server_repeats_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", "S3CR3T-KEY-456")
    with Far("echo") as far:
        plan = plan_for("load", requests=20, concurrency=2, **HEALTH)
        profile = profile_of(far, api_key=Secret(env="FAR_KEY"))
        found = await run(LoadRun(plan, profile))
    assert found.examples
    assert any("***" in example for example in found.examples.values())
    assert "S3CR3T" not in repr(found)
    assert b"S3CR3T" not in pack(found)


@pytest.mark.parametrize(
    ("number", "why"), [(signal.SIGKILL, "was killed (signal 9)"), (signal.SIGSTOP, "said nothing")]
)
async def test_a_generator_that_is_lost_costs_nothing_that_was_measured(
    far: Far, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, why: str
) -> None:
    monkeypatch.setattr("opsconsole.load.run.SILENT", 2.0)
    load_run = LoadRun(plan_for("rate", rate=50, duration=30, **HEALTH), profile_of(far))
    hit = []

    def strike(tick: Tick) -> None:
        if tick.at >= 1.5 and not hit:
            hit.append(True)
            [process] = generators()
            os.kill(process.pid, number)

    found = await run(load_run, strike)
    assert hit
    assert generators() == []
    assert found.invalid[0].startswith(f"the load generator {why}")
    whole = found.measured()
    assert whole is not None
    assert whole.all().good >= 50
    assert 1.5 <= whole.seconds <= 10


async def test_a_pause_is_nobodys_time(far: Far) -> None:
    plan = plan_for("rate", rate=50, duration=4, thresholds=("goodput > 45/s",), **HEALTH)
    load_run = LoadRun(plan, profile_of(far))
    paused = []

    def pause(tick: Tick) -> None:
        if tick.at >= 1 and not paused:
            load_run.pause()
            loop = asyncio.get_running_loop()
            paused.append(loop.call_later(2.0, load_run.pause, False))

    found = await run(load_run, pause)
    whole = found.measured()
    assert whole is not None
    assert whole.all().good == 200
    assert whole.seconds == pytest.approx(4, abs=0.05)
    assert judged(found) == {"goodput > 45/s": True}
    assert sum(tick.seconds for tick in found.ticks) == pytest.approx(4, abs=0.1)
    assert max(tick.at for tick in found.ticks) > 4.5
    assert [text.split(": ")[1] for text in found.interventions] == ["paused", "went on"]


async def test_no_process_is_a_phase_ahead_of_the_others() -> None:
    with Far("exact", delay=0.2, size=10) as slow:
        keys = HEALTH | {"warmup": None}
        plan = plan_for("rate", rate=40, duration=2, processes=2, **keys)
        found = await run(LoadRun(plan, profile_of(slow)))
    warm_up, measured = found.phases
    assert warm_up.seconds >= 1.0  # five requests, one after the other
    assert measured.seconds == pytest.approx(2, abs=0.05)
    assert measured.all().good == 80
    begins = {tick.phase: tick.at for tick in reversed(found.ticks)}
    assert begins[1] >= 1.0
