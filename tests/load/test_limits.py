"""What a search claims, held against simulated servers whose limit is known."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from statistics import mean

import pytest

from opsconsole.load.conductor import conduct
from opsconsole.load.histogram import Histogram
from opsconsole.load.limits import at_least, interval, likelihoods
from opsconsole.load.modes import plan_for
from opsconsole.load.probes import Probe
from opsconsole.load.records import Client, PhaseResult, Totals
from opsconsole.profile.threshold import parse_threshold

FAST = [parse_threshold("p95 < 500ms")]
PLAN = plan_for("search", numbers=[4], warmup=0)


def probes(*tries: tuple[float, bool]) -> list[Probe]:
    return [Probe(level, held, "", "") for level, held in tries]


def test_the_interval_narrows_with_agreement_and_widens_with_contradiction() -> None:
    def factor(tried: list[Probe]) -> float:
        between = interval(tried)
        assert between is not None
        return between[1] / between[0]

    few = probes((50, True), (100, True), (110, False), (200, False))
    more = [*few, *probes(*[(100, True)] * 3, *[(110, False)] * 3)]
    torn = [*more, *probes((100, False), (110, True))]
    assert factor(more) < factor(few)
    assert factor(more) < factor(torn)
    between = interval(more)
    assert between is not None
    assert 90 < between[0] < 105 < between[1] < 125
    assert sum(weight for _, weight in likelihoods(more)) == pytest.approx(1)
    assert at_least(more, 50) > 0.95 > at_least(more, 105) > at_least(more, 120)


def test_what_the_generator_limited_tells_nothing() -> None:
    limited = [Probe(10, False, "", "busy")] * 5
    assert interval(limited) is None
    assert likelihoods([]) == []
    assert at_least(limited, 1) == 0
    known = probes((5, True), (20, False))
    assert likelihoods([*known, *limited]) == likelihoods(known)


def claim(holds: Callable[[float], bool], generator: float = math.inf) -> tuple[str, float]:
    """What a search concludes of a server, and the highest rate that held."""
    conductor = conduct(PLAN, FAST)
    phases = next(conductor)
    try:
        while True:
            rate = phases[-1].rate or 0.0
            times = Histogram()
            times.record([490_000_000 if holds(rate) else 600_000_000])
            totals = Totals(sent=1, ended=1, good=1, response=times, service=times)
            client = Client(due=1, busy=100.0 if rate > generator else 0.0)
            seconds = phases[-1].duration or 0.0
            one = PhaseResult(
                phase=phases[-1], seconds=seconds, totals={"a": totals}, client=client
            )
            phases = conductor.send([one])
    except StopIteration as end:
        return end.value.text, end.value.low or 0.0


def noisy(chance: random.Random, limit: float, width: float, lapse: float) -> Callable[..., bool]:
    """A server that holds with a probability that falls around ``limit``, over about four times
    ``width`` of the logarithm of the rate; ``lapse``: how often it does otherwise."""

    def holds(rate: float) -> bool:
        steps = max(-50.0, min(50.0, math.log(limit / rate) / width))
        return chance.random() < lapse + (1 - 2 * lapse) / (1 + math.exp(-steps))

    return holds


WIDTHS = (0.03, 0.1, 0.2, 0.3, 0.5)


def test_nine_of_ten_intervals_hold_the_limit() -> None:
    """Whatever the server's noise: the reviewer's simulation, in small."""
    shares = []
    for width in WIDTHS:
        chance, inside = random.Random(f"interval {width}"), 0
        for number in range(30):
            limit = math.exp(chance.uniform(math.log(3), math.log(3000)))
            text, _ = claim(noisy(chance, limit, width, 0.05 if number % 2 else 0.0))
            said = re.search(r"90 % the limit lies between ([\d.,]+)/s and ([\d.,]+)/s", text)
            assert said, text
            low, high = (float(bound.replace(",", "")) for bound in said.groups())
            inside += low <= limit <= high
        shares.append(inside / 30)
    assert 0.86 < mean(shares) < 0.98
    assert min(shares) > 0.75


def test_at_least_is_as_sure_as_it_says() -> None:
    claimed: list[float] = []
    true: list[bool] = []
    for width in WIDTHS:
        chance = random.Random(f"at least {width}")
        while len(true) < 20 * (WIDTHS.index(width) + 1):
            limit = math.exp(chance.uniform(math.log(3), math.log(3000)))
            generator = limit * math.exp(chance.uniform(-2, 1))
            text, low = claim(noisy(chance, limit, width, 0.02), generator)
            if said := re.search(r"confidence (\d+) % that the limit is not below", text):
                claimed.append(int(said[1]) / 100)
                true.append(limit >= low)
    assert mean(claimed) == pytest.approx(mean(true), abs=0.05)
