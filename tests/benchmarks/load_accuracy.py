"""What the load generator adds to the time of a server that answers after exactly 5 ms.

    python -m tests.benchmarks.load_accuracy             # about two minutes
    python -m tests.benchmarks.load_accuracy --quick

Open loop at 1,000/s and 10,000/s. The server writes down when it had read each request and when it
wrote the answer: that is the truth. It has one core, the generator the other.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from opsconsole.host import describe
from opsconsole.load.histogram import Histogram, lower_of
from opsconsole.load.plan import Phase
from tests.benchmarks.peers import common_options, processor_seconds, quantile
from tests.load.driving import Generator, body_work, check_sums, setup_for
from tests.load.farside import Far

DELAY = 0.005
BODY_BYTES = 4096
LATE = 2_000_000


def milliseconds(histogram: Histogram, percent: float) -> float:
    """A percentile; within 0.2 % like all of a histogram's."""
    found = histogram.percentile(percent)
    assert found is not None
    return found * 1000


def beyond(histogram: Histogram, nanoseconds: int) -> float:
    """The share of the values in buckets above ``nanoseconds``."""
    late = sum(count for key, count in histogram.counts.items() if lower_of(key) > nanoseconds)
    return late / max(histogram.total, 1)


def measure(rate: float, seconds: float, uvloop: bool) -> dict[str, float]:
    """One round, in milliseconds unless its name says otherwise."""
    warm = min(1.0, seconds / 4)
    phases = (
        Phase(name="warm-up", measured=False, rate=rate, duration=warm),
        Phase(name="measured", rate=rate, duration=seconds),
    )
    with tempfile.TemporaryDirectory() as folder, Far("exact", delay=DELAY, core=0) as far:
        setup = setup_for(far, work=body_work(BODY_BYTES), max_in_flight=10_000)
        with Generator(setup, uvloop=uvloop, core=1) as generator:
            spent = processor_seconds(generator.pid)
            driven = generator.run(*phases)
            spent = processor_seconds(generator.pid) - spent
        read, written = far.truth(Path(folder))
    check_sums(driven)
    part = driven.parts[1]
    totals, client = part.all, part.client
    assert totals.good == totals.sent == client.due - client.dropped, totals.errors
    # The measured requests are the last that were answered, but for a few that overtook.
    truth = Histogram()
    truth.record(b - a for a, b in list(zip(read, written, strict=True))[-totals.good :])
    return {
        "truth p50": milliseconds(truth, 50),
        "truth p99": milliseconds(truth, 99),
        "service p50": milliseconds(totals.service, 50),
        "service p99": milliseconds(totals.service, 99),
        "response p50": milliseconds(totals.response, 50),
        "response p99": milliseconds(totals.response, 99),
        "added p50": milliseconds(totals.service, 50) - milliseconds(truth, 50),
        "late p50": milliseconds(client.late, 50),
        "late p99": milliseconds(client.late, 99),
        "late > 2 ms, %": 100 * beyond(client.late, LATE),
        "dropped": client.dropped,
        "µs of CPU": 1e6 * spent / driven.all.sent,
    }


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[1000.0, 10_000.0])
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 2.0, 1
    print(describe())
    cases = [(rate, uvloop) for rate in options.rates for uvloop in (True, False)]
    found: dict[tuple[float, bool], list[dict[str, float]]] = {case: [] for case in cases}
    for number in range(options.rounds):
        for case in cases if number % 2 else reversed(cases):
            found[case].append(measure(case[0], options.seconds, case[1]))
    heads = [f"{rate:,.0f}/s {'uvloop' if uvloop else 'asyncio'}" for rate, uvloop in cases]
    print(f"\nmilliseconds; median (range) of {options.rounds} rounds")
    print(f"{'':<16}" + "".join(f"{head:>26}" for head in heads))
    for name in found[cases[0]][0]:
        cells = []
        for case in cases:
            values = [one[name] for one in found[case]]
            cells.append(f"{quantile(values, 0.5):.3f} ({min(values):.3f}-{max(values):.3f})")
        print(f"{name:<16}" + "".join(f"{cell:>26}" for cell in cells))
    print(
        "\nservice: from the sending; response: from the intended moment; truth: the server's own"
    )
    print(
        "to reach: at 1,000/s added p50 ≤ 0.12, late p99 ≤ 0.3; at 10,000/s ≤ 1 % later than 2 ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
