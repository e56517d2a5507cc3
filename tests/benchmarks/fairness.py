"""How long small requests wait beside a client that sends 1,000 documents at a time.

    python -m tests.benchmarks.fairness             # about 3 minutes
    python -m tests.benchmarks.fairness --quick

Two clients send requests of 1 to 5 documents with a pause between them, first alone, then beside
one client that sends requests of 1,000 documents without a pause; both alternate from round to
round, and the quantiles are those of all rounds. No small request may be refused.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

from tests.benchmarks.http_client import Job, Outcome, Stream, drive, open_client, rerank
from tests.benchmarks.peers import common_options, machine, made_model, quantile, texts
from tests.server.process import ServerProcess

SHARES = (0.5, 0.9, 0.99)


def small_requests(queries: Sequence[str], documents: Sequence[str], count: int) -> list[bytes]:
    """Requests of 1 to 5 documents, seeded."""
    rng = random.Random(11)
    return [
        rerank([rng.choice(queries)], rng.sample(list(documents), rng.randint(1, 5)))[0]
        for _ in range(count)
    ]


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--large", type=int, default=1000, help="documents of the large requests")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between small requests")
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds, options.large = 4.0, 1, 200
    queries, documents = texts(documents=options.large)
    small = Stream("small", small_requests(queries, documents, 200), 2, options.pause)
    large = Stream("large", rerank(queries, documents))
    print(machine())
    seen: dict[str, list[Outcome]] = {"alone": [], "beside": []}
    large_pairs = large_seconds = 0.0
    with made_model() as folder, open_client() as client:
        env = {"LOCAL_MODEL_PATH": str(folder), "DTYPE": options.dtype}
        with ServerProcess(env) as server:
            print(f"dtype {server.health()['model']['dtype']}, 2 clients with 1 to 5 documents\n")
            for number in range(2 * options.rounds + 1):
                alone = number % 2 == 0
                streams = [small] if alone else [small, large]
                found = drive(client, Job(server.port, streams, seconds=options.seconds))
                if number:  # the first round warms up
                    seen["alone" if alone else "beside"].append(found["small"])
                if not alone:
                    large_pairs += len(found["large"].latencies) * options.large
                    large_seconds += found["large"].elapsed
    print(f"{'small requests':<34}{'answered':>10}{'refused':>9}", end="")
    print("".join(f"{f'p{share * 100:g} ms':>9}" for share in SHARES))
    quantiles = {}
    for name, outcomes in seen.items():
        latencies = [each for outcome in outcomes for each in outcome.latencies]
        quantiles[name] = [quantile(latencies, share) for share in SHARES]
        refused = sum(outcome.failed for outcome in outcomes)
        label = "alone" if name == "alone" else f"beside {options.large:,} documents at a time"
        cells = "".join(f"{value * 1000:>9.1f}" for value in quantiles[name])
        print(f"{label:<34}{len(latencies):>10}{refused:>9}{cells}")
    ratios = [b / a for a, b in zip(quantiles["alone"], quantiles["beside"], strict=True)]
    print(f"{'ratio':<34}{'':>19}" + "".join(f"{ratio:>8.2f}x" for ratio in ratios))
    print(f"\nthe large ones meanwhile: {large_pairs / large_seconds:,.0f} pairs/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
