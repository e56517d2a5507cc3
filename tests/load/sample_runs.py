"""Runs as a console would have stored them, made from a seed."""

from __future__ import annotations

import math
import random

from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import (
    Client,
    Conclusion,
    Judgement,
    PhaseResult,
    Run,
    ServerFacts,
    ServerSample,
    Tick,
    Totals,
)

WARMUP = Phase(name="warm-up", measured=False, duration=5, rate=100.0)
STEADY = Phase(name="steady", duration=30, rate=100.0)


def totals_of(
    random_: random.Random, good: int, errors: dict[str, int], *, median: float = 0.025
) -> Totals:
    """Totals of requests with lognormal service times around ``median`` seconds."""
    service, response, first = Histogram(), Histogram(), Histogram()
    for _ in range(good):
        nanoseconds = int(random_.lognormvariate(math.log(median), 0.45) * 1e9)
        waited = int(random_.expovariate(1 / (median * 0.1)) * 1e9)
        service.record([nanoseconds])
        response.record([nanoseconds + waited])
        first.record([int(nanoseconds * 0.8)])
    ended = good + sum(errors.values())
    return Totals(
        sent=ended,
        ended=ended,
        good=good,
        pairs=good * 10,
        bytes_out=ended * 4096,
        bytes_in=good * 600,
        errors=dict(errors),
        response=response,
        service=service,
        first_byte=first,
        checked=good,
    )


def late_of(random_: random.Random, count: int) -> Histogram:
    """Lateness of a generator that is well."""
    late = Histogram()
    late.record(int(random_.expovariate(1 / 70_000)) for _ in range(count))
    return late


def sample_run(
    *,
    run_id: str = "20261121-143010-smoke-ab12",
    plan: str = "smoke",
    seconds: int = 30,
    rate: int = 100,
    errors: bool = True,
    servers: tuple[str, ...] = ("alpha", "beta"),
    invalid: tuple[str, ...] = (),
    stopped: str = "",
    seed: int = 1,
) -> Run:
    """Five seconds of warm-up, then ``seconds`` at ``rate`` a second; a bad spell in the middle."""
    random_ = random.Random(seed)
    phases = [
        PhaseResult(phase=WARMUP, seconds=5.0, totals={}, client=Client()),
        PhaseResult(
            phase=Phase(name="steady", duration=seconds, rate=float(rate)),
            seconds=float(seconds),
            totals={},
            client=Client(),
        ),
    ]
    ticks = []
    for second in range(5 + seconds):
        index = 0 if second < 5 else 1
        spell = index == 1 and seconds * 0.5 < second - 5 < seconds * 0.65
        totals = {}
        for name in servers:
            share = rate // len(servers)
            kinds = {}
            if spell and errors:
                kinds = {"HTTP 503 queue_full": share // 10, "timeout": share // 30}
            totals[name] = totals_of(
                random_,
                share - sum(kinds.values()),
                kinds,
                median=(0.06 if spell else 0.025) * (1.3 if name == "beta" else 1),
            )
        due = share * len(servers)
        tick = Tick(
            at=float(second),
            seconds=1.0,
            phase=index,
            totals=totals,
            client=Client(due=due, in_flight=4, cpu=0.12, late=late_of(random_, due)),
            servers={
                name: ServerSample(
                    waiting=9.0 if spell else 1.0,
                    active=4.0,
                    inference_ms=18.0 + random_.random() * 4,
                    queue_ms=2.0,
                    cache_hits=0.25,
                    state="ready",
                )
                for name in servers
            },
        )
        ticks.append(tick)
        for name, one in tick.totals.items():
            phases[index].totals.setdefault(name, Totals()).add(one)
        phases[index].client.then(tick.client)
    p95 = phases[1].all().response.percentile(95)
    success = phases[1].all().good / phases[1].all().ended
    return Run(
        id=run_id,
        at=1_795_271_410.0,
        plan=Plan(
            name=plan,
            mode="rate",
            servers=servers,
            phases=(WARMUP, phases[1].phase),
            thresholds=("p95 < 500ms", "success_rate > 99%"),
        ),
        profile="dev",
        fingerprint="3f2a9c1d" * 8,
        servers={
            name: ServerFacts(
                url=f"http://127.0.0.1:{9000 + i}",
                model="all-minilm-l6-v2",
                version="0.4.0",
                device="cpu",
                dtype="float32",
            )
            for i, name in enumerate(servers)
        },
        phases=phases,
        ticks=ticks,
        judgements=[
            Judgement(
                threshold="p95 < 500ms",
                metric="p95",
                limit=0.5,
                observed=p95,
                passed=p95 is not None and p95 < 0.5,
            ),
            Judgement(
                threshold="success_rate > 99%",
                metric="success_rate",
                limit=0.99,
                observed=success,
                passed=success > 0.99,
            ),
        ],
        conclusion=Conclusion(text="100/s holds", value=100.0, low=100.0, high=125.0),
        stopped=stopped,
        invalid=list(invalid),
        examples={
            "HTTP 503 queue_full": '{"error": {"type": "queue_full", "message": "64 are waiting"}}',
            "timeout": "no answer within 30s",
        }
        if errors
        else {},
        machine="box, 2 cores, Linux 6.1",
        version="0.5.0",
    )


def soak_run(hours: float, *, rate: int = 40) -> Run:
    """A long run whose ticks are few different ones, for sizes and times."""
    base = sample_run(rate=rate, errors=False, servers=("alpha",))
    count = int(hours * 3600)
    ticks = [
        Tick(
            at=float(second),
            seconds=1.0,
            phase=1,
            totals=base.ticks[5 + second % 30].totals,
            client=base.ticks[5 + second % 30].client,
            servers=base.ticks[5 + second % 30].servers,
        )
        for second in range(count)
    ]
    base.ticks = ticks
    return base


def empty_run(*, stopped: str = "interrupted") -> Run:
    """A run that was stopped before anything was measured."""
    run = sample_run(errors=False)
    run.phases, run.ticks, run.judgements, run.conclusion = [], [], [], None
    run.stopped = stopped
    return run
