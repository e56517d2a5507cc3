"""A server that is frozen 300 ms every 2 s: what the load generator says, against the truth.

    python -m tests.benchmarks.load_omission             # about two minutes
    python -m tests.benchmarks.load_omission --quick

The truth is computed, not measured: each intended moment, and when a server that freezes at those
moments answers it after 5 ms. The server never sleeps but when it is frozen, so that it answers
after 5 ms and not after waking up; its own record shows which part of the difference is that
server's all the same: it has to catch up after a freeze. Beside it a closed loop, which
coordinates with the server: it has few requests in the freeze, so its percentiles hide it.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from opsconsole.host import describe
from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase
from tests.benchmarks.peers import common_options, quantile
from tests.load.driving import Generator, body_work, check_sums, setup_for
from tests.load.farside import Far

DELAY, FREEZE, EVERY = 0.005, 0.3, 2.0
BODY_BYTES = 400
PERCENTS = (50.0, 90.0, 99.0, 99.9)
RATES = [211.0, 499.0]
"""Not in step with the freezes: each freeze meets other moments, so ranks lie close together."""


def thawed(moment: int, origin: int) -> int:
    """``moment``, or the end of the freeze that it lies in; nanoseconds."""
    freeze, every = round(FREEZE * 1e9), round(EVERY * 1e9)
    if moment < origin:
        return moment
    within = (moment - origin) % every
    return moment + freeze - within if within < freeze else moment


def truth(at: int, origin: int, rate: float, seconds: float) -> list[float]:
    """The percentiles of the response times, exact (nearest rank), in milliseconds."""
    waits = []
    for number in range(round(rate * seconds)):
        intended = at + round(number * 1e9 / rate)
        answered = thawed(thawed(intended, origin) + round(DELAY * 1e9), origin)
        waits.append((answered - intended) / 1e6)
    return exact(waits)


def exact(waits: list[float]) -> list[float]:
    """The percentiles, by nearest rank."""
    waits.sort()
    return [waits[max(0, math.ceil(p / 100 * len(waits)) - 1)] for p in PERCENTS]


def logged(at: int, written: Sequence[int], rate: float) -> list[float]:
    """The same by the server's own record of when it wrote, first come first served."""
    return exact([(end - at - number * 1e9 / rate) / 1e6 for number, end in enumerate(written)])


def measured(histogram: Histogram) -> list[float]:
    """The same of what was measured."""
    return [1000 * (value or math.nan) for value in histogram.percentiles(PERCENTS)]


def opened(rate: float, seconds: float, uvloop: bool) -> tuple[list[float], ...]:
    """Truth, the server's own record, response and service of an open loop."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Far("exact", delay=DELAY, freeze=FREEZE, every=EVERY, eager=True, core=0) as far,
    ):
        setup = setup_for(far, work=body_work(BODY_BYTES), max_in_flight=5000)
        with Generator(setup, uvloop=uvloop, core=1) as generator:
            # Through a freeze, so that as many connections are open as the next one needs.
            generator.run(Phase(name="warm-up", rate=rate, duration=EVERY + FREEZE))
            driven = generator.run(Phase(name="open", rate=rate, duration=seconds))
        _, written = far.truth(Path(folder))
        origin = far.origin
    check_sums(driven)
    totals = driven.all
    assert totals.good == driven.client.due, (totals.errors, driven.client)
    real = truth(driven.at, origin, rate, seconds)
    record = logged(driven.at, written[-totals.good :], rate)
    return real, record, measured(totals.response), measured(totals.service)


def closed(clients: int, seconds: float, uvloop: bool) -> list[float]:
    """What a closed loop measures."""
    with Far("exact", delay=DELAY, freeze=FREEZE, every=EVERY, eager=True, core=0) as far:
        setup = setup_for(far, work=body_work(BODY_BYTES))
        with Generator(setup, uvloop=uvloop, core=1) as generator:
            driven = generator.run(Phase(name="closed", concurrency=clients, duration=seconds))
    check_sums(driven)
    return measured(driven.all.response)


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 4.0, 1
    print(describe())
    print(f"{DELAY * 1000:g} ms server, frozen {FREEZE * 1000:g} ms every {EVERY:g} s\n")
    heads = "".join(f"{f'p{percent:g} ms':>12}" for percent in PERCENTS)
    print(f"{'':<44}{heads}")

    def line(name: str, rounds: list[list[float]]) -> list[float]:
        middle = [quantile(values, 0.5) for values in zip(*rounds, strict=True)]
        print(f"{name:<44}" + "".join(f"{value:>12.2f}" for value in middle))
        return middle

    for rate in options.rates:
        for uvloop in (True, False):
            rounds = [opened(rate, options.seconds, uvloop) for _ in range(options.rounds)]
            name = f"open, {rate:,.0f}/s, {'uvloop' if uvloop else 'asyncio'}"
            line(f"{name}: truth", [real for real, *_ in rounds])
            line("  the server's own record", [record for _, record, *_ in rounds])
            line("  response, from the intended moment", [found for *_, found, _ in rounds])
            line("  service, from the sending", [found for *_, found in rounds])
            off = [
                max(abs(found[i] / real[i] - 1) for real, _, found, _ in rounds)
                for i in range(len(PERCENTS))
            ]
            print(f"{'  response off the truth, worst round, %':<44}"
                  + "".join(f"{100 * value:>12.2f}" for value in off))  # fmt: skip
    for clients in (4, 32):
        rounds_closed = [closed(clients, options.seconds, True) for _ in range(options.rounds)]
        line(f"closed loop, {clients} clients", rounds_closed)
    print("\nto reach: the response's p50, p90 and p99 within 3 % of the truth")
    return 0


if __name__ == "__main__":
    sys.exit(main())
