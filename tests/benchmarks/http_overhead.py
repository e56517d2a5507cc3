"""What HTTP costs over the engine itself, and Infinity over HTTP in the same run.

    python -m tests.benchmarks.http_overhead --infinity I/bin/infinity_emb      # about 4 minutes
    python -m tests.benchmarks.http_overhead --quick                            # ours alone

The same 4 queries x 100 documents through the engine in this process (four requests in flight),
through our server at concurrency 4 and 1, and through Infinity at 4 and 1, alternating from round
to round. Then requests of one document: what the client waits beyond the forward pass, which is the
engine's own figure for the same pair (``Scores.inference_seconds``), asked in turn with it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from opsconsole.engine import Engine, EngineSettings, load
from tests.benchmarks.http_client import Job, Stream, drive, message, open_client, rerank
from tests.benchmarks.peers import (
    Child,
    common_options,
    describe_lengths,
    in_turn,
    infinity_peer,
    lengths,
    machine,
    made_model,
    quantile,
    spread,
    texts,
    timed,
)
from tests.server.process import ServerProcess


def in_process(engine: Engine, queries: Sequence[str], documents: Sequence[str]) -> float:
    """Pairs a second with one request a query, all in flight."""

    def score() -> None:
        for job in [engine.submit(query, documents) for query in queries]:
            job.future.result()

    return len(queries) * len(documents) / timed(score)


def over_http(
    client: Child, port: int, requests: list[bytes], clients: int, pairs: int
) -> Callable[[], float]:
    """Pairs a second of some clients that share the requests."""
    job = Job(port, [Stream("all", requests, clients)], rounds=1)

    def measure() -> float:
        seen = drive(client, job)["all"]
        assert seen.failed == 0, "a request was not answered with 200"
        return pairs / seen.elapsed

    return measure


def one_document(
    client: Child, port: int, engine: Engine, queries: Sequence[str], documents: Sequence[str]
) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of each pair: over HTTP, engine.score here, and its forward pass here."""
    http, whole, forward = [], [], []
    for number, document in enumerate(documents):
        query = queries[number % len(queries)]
        request = message("/v1/rerank", {"query": query, "documents": [document]})
        job = Job(port, [Stream("one", [request] * 5)], rounds=1)
        http.append(statistics.median(drive(client, job)["one"].latencies) * 1000)
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            scores = engine.score(query, [document])
            taken.append((time.perf_counter() - began, scores.inference_seconds))
        whole.append(statistics.median(each for each, _ in taken) * 1000)
        forward.append(statistics.median(each for _, each in taken) * 1000)
    return http, whole, forward


def show_latency(http: list[float], whole: list[float], forward: list[float]) -> None:
    print(f"\n{'one document, ms':<38}{'p10':>8}{'p50':>8}{'p90':>8}{'p99':>8}")
    rows = {
        "over HTTP": http,
        "engine.score in this process": whole,
        "the forward pass alone": forward,
        "HTTP above the forward pass": [a - b for a, b in zip(http, forward, strict=True)],
        "HTTP above engine.score": [a - b for a, b in zip(http, whole, strict=True)],
    }
    for name, values in rows.items():
        cells = "".join(f"{quantile(values, share):>8.2f}" for share in (0.1, 0.5, 0.9, 0.99))
        print(f"{name:<38}{cells}")


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--infinity", help="path of infinity_emb in a venv of its own")
    parser.add_argument("--dtype", default="auto", help="of ours, in the server and here")
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.quick:
        options.documents, options.rounds = 12, 1
    queries, documents = texts(documents=options.documents)
    pairs = len(queries) * len(documents)
    print(machine())
    with ExitStack() as stack:
        folder: Path = stack.enter_context(made_model())
        print(describe_lengths(lengths(folder, queries, documents)))
        env = {"LOCAL_MODEL_PATH": str(folder), "DTYPE": options.dtype, "DEVICE_PREFERENCE": "cpu"}
        server = stack.enter_context(ServerProcess(env))
        engine = stack.enter_context(load(EngineSettings.from_env(env)))
        client = stack.enter_context(open_client())
        print(f"ours: {engine.info.dtype}")
        requests = rerank(queries, documents)
        contestants: dict[str, Callable[[], float]] = {
            "in process, 4 in flight": lambda: in_process(engine, queries, documents),
            "ours over HTTP, 4 clients": over_http(client, server.port, requests, 4, pairs),
            "ours over HTTP, 1 client": over_http(client, server.port, requests, 1, pairs),
        }
        infinity = infinity_peer(options.infinity, folder)
        if infinity is not None:
            stack.enter_context(infinity)
            theirs = rerank(queries, documents, path="/rerank", model=infinity.model)
            for clients in (4, 1):
                name = f"Infinity over HTTP, {clients} client{'s' * (clients > 1)}"
                contestants[name] = over_http(client, infinity.port, theirs, clients, pairs)
        rates = in_turn(contestants, options.rounds)
        base = quantile(rates["in process, 4 in flight"], 0.5)
        rival = rates.get("Infinity over HTTP, 4 clients")
        print(f"\n{'':<30}{'pairs/s median (range)':>28}{'/ in process':>14}{'/ Infinity':>12}")
        for name, values in rates.items():
            mine = quantile(values, 0.5)
            beside = f"{mine / quantile(rival, 0.5):>12.2f}" if rival else f"{'—':>12}"
            print(f"{name:<30}{spread(values):>28}{mine / base:>14.3f}{beside}")
        show_latency(*one_document(client, server.port, engine, queries, documents))
    return 0


if __name__ == "__main__":
    sys.exit(main())
