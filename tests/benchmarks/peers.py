"""What the benchmarks share: the model, the texts, the machine, and processes to compare with.

A peer lives in an environment of its own. ``python -m venv P && P/bin/pip install
sentence-transformers onnxruntime onnx onnxscript`` makes the libraries' one, ``python -m venv I &&
I/bin/pip install 'infinity-emb[server,torch]'`` Infinity's; a script takes ``--peers-python
P/bin/python`` and ``--infinity I/bin/infinity_emb``, and goes on without a peer that is not there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from opsconsole.host import describe
from tests.engine.models import embedded_folder, make_cross_encoder
from tests.net import free_port
from tests.server.process import clean_environ, until

SCORERS = Path(__file__).with_name("peer_scorers.py")
MINILM_L6 = {"layers": 6, "hidden": 384, "heads": 12, "intermediate": 1536}
INSTALL_PEERS = "pip install sentence-transformers onnxruntime onnx onnxscript"
INSTALL_INFINITY = "pip install 'infinity-emb[server,torch]'"
START_DEADLINE = 120.0


def common_options(doc: str | None) -> argparse.ArgumentParser:
    """A parser with what every script takes."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: numbers are noise")
    return parser


def machine() -> str:
    """Processor, cores, memory, system, load, torch and the instructions that it uses."""
    import torch

    return (
        f"{describe()}, load {os.getloadavg()[0]:.1f}, torch {torch.__version__} "
        f"({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads)"
    )


@contextmanager
def made_model(layers: int | None = None) -> Iterator[Path]:
    """A folder with a random cross-encoder of MiniLM-L6's shape, or a tiny one of few layers."""
    with tempfile.TemporaryDirectory() as folder:
        if layers is None:
            yield make_cross_encoder(Path(folder) / "minilm-l6", **MINILM_L6)  # type: ignore[arg-type]
        else:
            yield make_cross_encoder(Path(folder) / "tiny", layers=layers)


def texts(
    queries: int = 4, documents: int = 100, words: float = 50, seed: int = 33
) -> tuple[list[str], list[str]]:
    """Seeded texts of real words, lengths log-normal as passages' are.

    The defaults give pairs of 71 tokens on average (p50 63, p95 136, longest 322).
    """
    rng = random.Random(seed)
    vocabulary = (embedded_folder() / "vocab.txt").read_text(encoding="utf-8").split()
    known = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2]

    def text(mean: float) -> str:
        count = max(1, int(rng.lognormvariate(0, 0.6) * mean))
        return " ".join(rng.choices(known, k=count))

    return [text(7) for _ in range(queries)], [text(words) for _ in range(documents)]


def lengths(folder: Path, queries: Sequence[str], documents: Sequence[str]) -> list[int]:
    """Tokens of each pair, as the model's own tokenizer cuts them."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    tokenizer.no_padding()
    pairs = [(query, text) for query in queries for text in documents]
    return [len(encoded.ids) for encoded in tokenizer.encode_batch(pairs)]


def describe_lengths(counts: Sequence[int]) -> str:
    return (
        f"{len(counts)} pairs, tokens a pair: mean {statistics.mean(counts):.0f}, "
        f"p50 {quantile(counts, 0.5):.0f}, p95 {quantile(counts, 0.95):.0f}, max {max(counts)}"
    )


def flops(folder: Path, counts: Sequence[int]) -> tuple[float, float]:
    """(linear layers, attention) of a forward over pairs of these lengths, without padding."""
    config = json.loads((folder / "config.json").read_text())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    layers = config["num_hidden_layers"]
    linear = 2 * layers * (4 * hidden * hidden + 2 * hidden * inner) * sum(counts)
    attention = 4 * layers * hidden * sum(count * count for count in counts)
    return float(linear), float(attention)


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between the two nearest values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(values: Sequence[float]) -> str:
    """Median and range: what a noisy machine's number is worth."""
    return f"{statistics.median(values):,.1f} ({min(values):,.1f}-{max(values):,.1f})"


def in_turn(
    contestants: dict[str, Callable[[], float]], rounds: int, warmups: int = 1
) -> dict[str, list[float]]:
    """What each returns in each round; the order alternates, so that none has the quiet minutes."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + warmups):
        order = list(contestants.items())
        for name, contestant in order if number % 2 else reversed(order):
            value = contestant()
            if number >= warmups:
                found[name].append(value)
    return found


class Child:
    """A process that answers each line of JSON with one; ended with the block.

    Raises:
        RuntimeError: it ended instead of answering; its standard error is on ours.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)

    def __enter__(self) -> Child:
        self.process = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        if error is not None:
            self.process.kill()
        self.process.wait()

    def ask(self, **message: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._argv[:3]} ended with {self.process.wait()}")
        return json.loads(line)  # type: ignore[no-any-return]


def library_peers(python: str | None) -> Child | None:
    """The scorers in the peers' environment; ``None``, with a line that says so, without one."""
    if python is None or shutil.which(python) is None:
        print(f"no library peers: give --peers-python of a venv with: {INSTALL_PEERS}")
        return None
    return Child([python, str(SCORERS)])


class Infinity:
    """An Infinity server over a local folder, on a free port; ended with the block."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self._argv = [
            program, "v2", "--model-id", str(folder), "--engine", "torch", "--device", "cpu",
            "--no-model-warmup", "--port", str(self.port), "--host", "127.0.0.1",
        ]  # fmt: skip
        self.model = str(folder)

    def __enter__(self) -> Infinity:
        env = clean_environ() | {"HF_HUB_OFFLINE": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self._argv, env=env, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        try:
            until(self._answers, "Infinity to answer", START_DEADLINE)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            self._log.seek(0)
            raise RuntimeError(f"Infinity ended: {self._log.read()[-2000:]!r}")
        try:
            url = f"http://127.0.0.1:{self.port}/models"
            found = httpx.get(url, trust_env=False).json()["data"][0]["id"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        self.model = found
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


def infinity_peer(program: str | None, folder: Path) -> Infinity | None:
    """Infinity over the folder; ``None``, with a line that says so, when it is not there."""
    if program is None or shutil.which(program) is None:
        print(f"no Infinity: give --infinity PATH of a venv with: {INSTALL_INFINITY}")
        return None
    return Infinity(program, folder)


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
