"""A made-up server for the search: figures of settings, with noise, and trials of them."""

from __future__ import annotations

import random

from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase
from opsconsole.load.records import Client, PhaseResult, Totals
from opsconsole.tuning.records import Figures, Settings, Trial

GAINS = {
    ("BATCH_SIZE", "64"): 1.3,
    ("BATCH_SIZE", "16"): 0.8,
    ("DTYPE", "bfloat16"): 1.2,
    ("DTYPE", "int8"): 0.9,
    ("MAX_PARALLEL_REQUESTS", "8"): 1.1,
}
CLIENTS = 8


def rate_of(settings: Settings) -> float:
    """Requests a second, without noise: 10 as it was."""
    rate = 10.0
    for item in settings.items():
        rate *= GAINS.get(item, 1.0)
    return rate


def figures(rate: float, p95: float | None, requests: int = 100, **more: int) -> Figures:
    """Figures with these two numbers."""
    return Figures(seconds=requests / max(rate, 1e-9), requests=requests, rate=rate, p50=p95,
                   p95=p95, p95_good=p95, failed=more.get("failed", 0),
                   rejected=more.get("rejected", 0))  # fmt: skip


def trial(
    number: int, settings: Settings, rate: float, p95: float | None, round_: int = 1
) -> Trial:
    """A measured trial."""
    return Trial(number=number, round=round_, settings=settings, state="measured",
                 figures=figures(rate, p95))  # fmt: skip


def measure(number: int, settings: Settings, seconds: float, rng: random.Random) -> Trial:
    """A trial of the made-up server: the longer, the less noise."""
    rate = rate_of(settings) * rng.lognormvariate(0, 0.15 / seconds**0.5)
    return trial(number, settings, rate, 1.5 * CLIENTS / rate)


def result(rate: float, latency: float, seconds: float = 10.0) -> PhaseResult:
    """A run of ``seconds`` in which every request took ``latency`` seconds."""
    count = round(rate * seconds)
    times = Histogram()
    times.record([round(latency * 1e9)] * count)
    totals = Totals(sent=count, ended=count, good=count, response=times)
    return PhaseResult(phase=Phase(name="throughput", concurrency=8), seconds=seconds,
                       totals={"a": totals}, client=Client())  # fmt: skip
