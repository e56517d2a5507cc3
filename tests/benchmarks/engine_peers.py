"""Pairs per second of our engine at every precision, beside the libraries of others, in one run.

    python -m tests.benchmarks.engine_peers --peers-python P/bin/python      # about 5 minutes
    python -m tests.benchmarks.engine_peers --quick                          # fp32 and int8 alone

A made cross-encoder of MiniLM-L6 shape scores 4 queries x 100 documents. The order of the
contestants alternates from round to round; medians and ranges are reported. ONNX Runtime runs the
same weights, sorted by length, at the best of its batch sizes. Every contestant's scores are held
against sentence-transformers' in fp32 (against ours without it): ours in fp32 must equal them, so
a fast wrong answer fails. Last, the machine's own rate of matrix products, and what share of it
the linear layers of a forward reach.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from opsconsole.engine import Engine, EngineSettings, load
from opsconsole.engine.sample import kendall_tau
from opsconsole.engine.settings import Dtype
from opsconsole.errors import OpsError
from tests.benchmarks.peers import (
    Child,
    common_options,
    describe_lengths,
    flops,
    in_turn,
    lengths,
    library_peers,
    machine,
    made_model,
    quantile,
    spread,
    texts,
    timed,
)

DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16", "float16", "int8")
REFERENCE = "sentence-transformers"
ONNX = ("onnxruntime fp32", "onnxruntime int8")
SHAPES = ((512, 384, 1536), (512, 1536, 384), (1024, 384, 1152), (2048, 2048, 2048))
SAME = 1e-5

Scores = list[list[float]]


class Contestant:
    """One scorer; what it answered last, and how fast it is."""

    def __init__(self, score: Callable[[], tuple[Scores, float]], pairs: int) -> None:
        self._score = score
        self._pairs = pairs
        self.scores: Scores = []

    def __call__(self) -> float:
        """Pairs a second of one round."""
        self.scores, seconds = self._score()
        return self._pairs / seconds


def ours(engine: Engine, queries: list[str], documents: list[str]) -> tuple[Scores, float]:
    """Scores and seconds of all queries, in flight at once as a service has them."""
    began = time.perf_counter()
    jobs = [engine.submit(query, documents) for query in queries]
    scores = [job.future.result().values for job in jobs]
    return scores, time.perf_counter() - began


def theirs(
    child: Child, who: str, batch: int | None, queries: list[str], documents: list[str]
) -> tuple[Scores, float]:
    answer = child.ask(do="score", who=who, batch=batch, queries=queries, documents=documents)
    return answer["scores"], answer["seconds"]


def per_call(work: Callable[[], object]) -> float:
    """Seconds of one call: the best of three runs of about a tenth of a second."""
    count = max(1, min(50, int(0.1 / min(timed(work) for _ in range(2)))))
    return min(timed(lambda: [work() for _ in range(count)]) for _ in range(3)) / count


def gemm_rates(dtypes: Sequence[str], threads: int) -> dict[str, float]:
    """GFLOP/s of the best of several shapes, for each of these precisions."""
    import torch
    from torch.nn.functional import linear

    def best(make: Callable[[int, int, int], Callable[[], object]]) -> float:
        rate = 0.0
        for rows, into, out in SHAPES:
            seconds = per_call(make(rows, into, out))
            rate = max(rate, 2 * rows * into * out / seconds / 1e9)
        return rate

    def plain(dtype: torch.dtype) -> Callable[[int, int, int], Callable[[], object]]:
        def make(rows: int, into: int, out: int) -> Callable[[], object]:
            left, right = torch.randn(rows, into).to(dtype), torch.randn(out, into).to(dtype)
            return lambda: linear(left, right)

        return make

    def quantised(rows: int, into: int, out: int) -> Callable[[], object]:
        left = torch.randn(rows, into)
        right = torch.quantize_per_tensor(torch.randn(out, into), 0.01, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(right, None)
        return lambda: torch.ops.quantized.linear_dynamic(left, packed, True)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch means to take these int8 kernels out one day
            return {
                dtype: best(quantised if dtype == "int8" else plain(getattr(torch, dtype)))
                for dtype in dtypes
            }
    finally:
        torch.set_num_threads(before)


def open_ours(stack: ExitStack, folder: Path, device: str, dtypes: list[str]) -> dict[str, Engine]:
    """An engine a precision that this machine computes in."""
    engines = {}
    for dtype in dtypes:
        settings = EngineSettings(
            local_path=str(folder), device=cast(Any, device), dtype=cast(Dtype, dtype)
        )
        try:
            began = time.perf_counter()
            engine = stack.enter_context(load(settings))
        except OpsError as error:
            print(f"ours {dtype}: not here: {error.what}")
            continue
        engines[f"ours {engine.info.dtype}"] = engine
        tuning = engine.info.tuning
        told = (
            f"{tuning.batch_tokens} tokens a batch, {tuning.threads} threads" if tuning else "as is"
        )
        print(f"ours {dtype}: loaded in {time.perf_counter() - began:.1f} s, {told}", flush=True)
    return engines


def open_theirs(child: Child, folder: Path, batches: list[int]) -> list[tuple[str, int | None]]:
    """Every peer, with each of its batch sizes."""
    found: list[tuple[str, int | None]] = [(REFERENCE, None)]
    found += [(who, batch) for who in ONNX for batch in batches]
    versions = {}
    for who, batch in found:
        answer = child.ask(do="open", who=who, folder=str(folder), batch=batch)
        versions[answer["versions"]] = None
    print("peers: " + "; ".join(versions), flush=True)
    return found


def best_batches(rates: dict[str, list[float]]) -> dict[str, list[float]]:
    """Of one peer's batch sizes only the fastest, by its median."""
    best: dict[str, list[float]] = {}
    for name, values in rates.items():
        who = name.partition(", batch")[0]
        rival = next((other for other in best if other.partition(", batch")[0] == who), None)
        if rival is None:
            best[name] = values
        elif quantile(values, 0.5) > quantile(best[rival], 0.5):
            del best[rival]
            best[name] = values
    return best


def show(contestants: dict[str, Contestant], rates: dict[str, list[float]]) -> bool:
    """Print the table; whether our fp32 equals the reference."""
    first = next((n for n in rates if n.startswith(REFERENCE)), "ours float32")
    onnx = [next((n for n in rates if n.startswith(who)), None) for who in ONNX]
    print(f"\n{'':<28}{'pairs/s median (range)':>26}", end="")
    print("".join(f"{head:>11}" for head in ("/ s-t", "/ ORT fp32", "/ ORT int8")), end="")
    print(f"{'max diff':>11}{'tau':>8}")
    good = True
    for name, values in rates.items():
        mine = quantile(values, 0.5)
        print(f"{name:<28}{spread(values):>26}", end="")
        for other in (first if first.startswith(REFERENCE) else None, *onnx):
            print(f"{mine / quantile(rates[other], 0.5):>11.2f}" if other else f"{'—':>11}", end="")
        reference, found = contestants[first].scores, contestants[name].scores
        difference = max(
            abs(a - b)
            for one, two in zip(reference, found, strict=True)
            for a, b in zip(one, two, strict=True)
        )
        taus = [kendall_tau(one, two) for one, two in zip(reference, found, strict=True)]
        print(f"{difference:>11.1e}{sum(taus) / len(taus):>8.4f}")
        good &= name != "ours float32" or difference <= SAME
    return good


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--peers-python", help="of a venv with the libraries")
    parser.add_argument("--device", default="cpu", choices=["auto", "cuda", "mps", "cpu", "mlx"])
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.quick:
        options.documents, options.rounds, options.dtypes = 12, 1, "float32,int8"
    queries, documents = texts(documents=options.documents)
    print(machine())
    with ExitStack() as stack:
        folder = stack.enter_context(made_model())
        counts = lengths(folder, queries, documents)
        print(describe_lengths(counts))
        engines = open_ours(stack, folder, options.device, options.dtypes.split(","))
        contestants = {
            name: Contestant(lambda engine=engine: ours(engine, queries, documents), len(counts))  # type: ignore[misc]
            for name, engine in engines.items()
        }
        child = library_peers(options.peers_python)
        if child is not None:
            stack.enter_context(child)
            for who, batch in open_theirs(child, folder, [8] if options.quick else [4, 8, 16]):
                name = who if batch is None else f"{who}, batch {batch}"
                contestants[name] = Contestant(
                    lambda who=who, batch=batch: theirs(child, who, batch, queries, documents),  # type: ignore[misc]
                    len(counts),
                )
        rates = best_batches(in_turn(dict(contestants), options.rounds))
        good = show(contestants, rates)
        if options.device == "cpu":
            linear, attention = flops(folder, counts)
            show_share(engines, rates, linear, attention, len(counts))
    if not good:
        print(f"\nours in fp32 differs from the reference by more than {SAME:g}")
    return 0 if good else 1


def show_share(
    engines: dict[str, Engine],
    rates: dict[str, list[float]],
    linear: float,
    attention: float,
    pairs: int,
) -> None:
    """Print the machine's products beside ours."""
    tunings = [engine.info.tuning for engine in engines.values()]
    threads = max((tuning.threads for tuning in tunings if tuning), default=0)
    if not threads:
        import torch

        threads = torch.get_num_threads()
    dtypes = list(dict.fromkeys(engine.info.dtype for engine in engines.values()))
    print(f"\nmatrix products of torch here, {threads} threads, best of {len(SHAPES)} shapes")
    print(
        f"work of a pair, without padding: {linear / pairs / 1e9:.2f} GFLOP in linear layers, "
        f"{attention / pairs / 1e9:.3f} in attention"
    )
    print(f"{'':<12}{'GFLOP/s':>9}{'floor pairs/s':>15}{'ours':>9}{'share':>8}")
    for dtype, rate in gemm_rates(dtypes, threads).items():
        floor = rate * 1e9 / (linear / pairs)
        reached = quantile(rates[f"ours {dtype}"], 0.5)
        print(f"{dtype:<12}{rate:>9.0f}{floor:>15.0f}{reached:>9.1f}{reached / floor:>8.0%}")


if __name__ == "__main__":
    sys.exit(main())
