"""The load generator's resident memory over millions of requests, and what its percentiles lose.

    python -m tests.benchmarks.load_memory             # 10 million requests: some minutes
    python -m tests.benchmarks.load_memory --quick     # 200,000

Closed loop of 32 connections against nginx; then lognormal times counted in histograms that are
merged, against the exact percentiles of the same times.
"""

from __future__ import annotations

import math
import random
import sys
import threading
import time

from opsconsole.host import describe
from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase
from tests.benchmarks.load_throughput import BODY_BYTES, CONNECTIONS, Nginx
from tests.benchmarks.peers import common_options
from tests.load.driving import RERANK, Generator, body_work, check_sums, setup_for

PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)
MIB = 1 << 20


def remember(generator: Generator, into: list[tuple[float, int]], stop: threading.Event) -> None:
    """Its resident memory ten times a second."""
    begin = time.monotonic()
    while not stop.wait(0.1):
        into.append((time.monotonic() - begin, generator.rss))


def resident(requests: int, *, uvloop: bool, rerank: bool) -> str:
    """A line about one run."""
    work = RERANK if rerank else body_work(BODY_BYTES)
    if rerank:  # nginx says 200 to everything: only the bodies are made as a reranker wants them
        from msgspec.structs import replace

        work = replace(work, check=0.0)
    samples: list[tuple[float, int]] = []
    stop = threading.Event()
    with (
        Nginx() as nginx,
        Generator(setup_for(nginx, work=work), uvloop=uvloop, core=1) as generator,
    ):
        ready = generator.rss
        thread = threading.Thread(target=remember, args=(generator, samples, stop))
        thread.start()
        try:
            phase = Phase(name="closed", requests=requests, concurrency=CONNECTIONS)
            driven = generator.run(phase)
        finally:
            stop.set()
            thread.join()
        served = nginx.served()
    check_sums(driven)
    totals = driven.all
    assert totals.good == requests, totals.errors
    assert requests <= served <= requests + 10, "nginx counted otherwise"
    values = [rss for _, rss in samples] or [ready]
    tenth = values[len(values) // 10]
    p99 = 1000 * (totals.service.percentile(99) or math.nan)
    name = f"{'rerank' if rerank else 'one body'}, {'uvloop' if uvloop else 'asyncio'}"
    return (
        f"{name:<18}{requests:>12,}{requests / driven.first.seconds:>10,.0f}{p99:>9.2f}"
        + "".join(f"{rss / MIB:>10.1f}" for rss in (ready, tenth, values[-1], max(values)))
    )


def lost(count: int, parts: int = 40) -> tuple[float, bool]:
    """The worst relative error of a percentile, and whether merging is exact."""
    rng = random.Random(7)
    values = [round(12e6 * rng.lognormvariate(0, 1)) for _ in range(count)]
    whole, merged = Histogram(), Histogram()
    whole.record(values)
    for i in range(parts):
        part = Histogram()
        part.record(values[i::parts])
        merged.add(part)
    values.sort()
    worst = 0.0
    for percent in PERCENTS:
        exact = values[math.ceil(percent / 100 * count - 1e-9) - 1] / 1e9
        worst = max(worst, abs((merged.percentile(percent) or 0) / exact - 1))
    return worst, merged == whole


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--asyncio", action="store_true", help="without uvloop")
    options = parser.parse_args()
    if options.quick:
        options.requests = 200_000
    print(describe())
    print("\nMiB resident: when ready, after a tenth of the run, at its end, the most")
    print(f"{'':<18}{'requests':>12}{'a second':>10}{'p99 ms':>9}"
          f"{'ready':>10}{'tenth':>10}{'end':>10}{'most':>10}")  # fmt: skip
    for rerank in (False, True):
        print(resident(options.requests, uvloop=not options.asyncio, rerank=rerank), flush=True)
    count = min(options.requests, 1_000_000)
    worst, exact = lost(count)
    print(f"\n{count:,} lognormal times in 40 merged histograms: worst percentile "
          f"{100 * worst:.2f} % off, merging exact: {'yes' if exact else 'NO'}")  # fmt: skip
    print("to reach: most < 80 MB, end as tenth; percentiles within 1 %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
