"""Pairs per second of our engine against sentence-transformers with its defaults, in one run.

    python tests/benchmarks/engine_forward.py            # under a minute
    python tests/benchmarks/engine_forward.py --documents 400 --repeat 5

Both score the same pairs with the same weights; the scores are compared, so a fast wrong answer
fails. The order of the two alternates from round to round and the median is reported, because a
shared machine is noisy.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opsconsole.engine import Engine, EngineSettings, load
from tests.benchmarks.peers import machine, made_model, texts
from tests.engine.models import embedded_folder

Scorer = Callable[[str, list[str]], list[float]]


def main() -> int:
    options = _options()
    queries, documents = texts(options.queries, options.documents, options.words)
    print(f"{machine()}, device {options.device}")
    print(f"{len(queries)} queries x {len(documents)} documents, {options.repeat} rounds, fp32\n")
    print(f"{'model':<34}{'ours':>9}{'reference':>11}{'ratio':>8}{'max diff':>11}{'padding':>9}")
    with made_model() as folder:
        ok = True
        for label, path, reference in (
            ("bi-encoder, embedded model", embedded_folder(), _bi_reference),
            ("cross-encoder, MiniLM-L6 shape", folder, _cross_reference),
        ):
            settings = EngineSettings(local_path=str(path), device=options.device)
            if options.batch_tokens:
                settings = EngineSettings(
                    local_path=str(path), device=options.device, batch_tokens=options.batch_tokens
                )
            with load(settings) as engine:
                theirs = reference(path, engine)
                ok &= _compare(label, engine, theirs, queries, documents, options.repeat)
    print("\npairs/s, median of the rounds; padding: positions computed per token, ours")
    return 0 if ok else 1


def _compare(
    label: str,
    engine: Engine,
    theirs: Scorer,
    queries: list[str],
    documents: list[str],
    repeat: int,
) -> bool:
    ours: Scorer = lambda query, texts: engine.score(query, texts).values  # noqa: E731
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    difference = 0.0
    for turn in range(repeat + 1):  # the first round warms up
        contestants: list[tuple[str, Scorer]] = [("ours", ours), ("theirs", theirs)]
        if turn % 2:
            contestants.reverse()
        scores: dict[str, list[float]] = {}
        for name, scorer in contestants:
            began = time.perf_counter()
            scores[name] = [score for query in queries for score in scorer(query, documents)]
            if turn:
                seconds[name].append(time.perf_counter() - began)
        pairs = zip(scores["ours"], scores["theirs"], strict=True)
        difference = max(difference, *(abs(a - b) for a, b in pairs))
    count = len(queries) * len(documents)
    mine = count / statistics.median(seconds["ours"])
    other = count / statistics.median(seconds["theirs"])
    stats = engine.stats()
    padding = stats.tokens_padded / stats.tokens_real
    print(
        f"{label:<34}{mine:>9.1f}{other:>11.1f}{mine / other:>8.2f}{difference:>11.1e}"
        f"{padding:>9.2f}",
        flush=True,
    )
    return difference < 1e-4


def _bi_reference(path: Path, engine: Engine) -> Scorer:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(path), device=_torch_device(engine))

    def score(query: str, documents: list[str]) -> list[float]:
        return model.similarity(model.encode(query), model.encode(documents))[0].tolist()

    return score


def _cross_reference(path: Path, engine: Engine) -> Scorer:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(path), device=_torch_device(engine))

    def score(query: str, documents: list[str]) -> list[float]:
        scores: Any = model.predict([(query, text) for text in documents])
        return [float(each) for each in scores]

    return score


def _torch_device(engine: Engine) -> str:
    return "cpu" if engine.info.device == "mlx" else engine.info.device


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--queries", type=int, default=2)
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--words", type=int, default=50, help="median words of a document")
    parser.add_argument("--repeat", type=int, default=2, help="measured rounds")
    parser.add_argument("--device", default="auto", choices=["auto", "cuda", "mps", "cpu", "mlx"])
    parser.add_argument("--batch-tokens", type=int, help="our token budget of a batch")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
