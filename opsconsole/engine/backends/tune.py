"""The warm-up: what this machine computes a model fastest with, measured on one of its layers.

All layers are alike, so one tells for all, and measuring takes a fraction of a second. Noise can
only cost speed, never correctness.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import accumulate

import torch

from opsconsole.engine.architecture import EncoderShape
from opsconsole.engine.backends import linear
from opsconsole.engine.backends.attention import Places, attention_for
from opsconsole.engine.backends.encoder import DTYPES, Kernels, Layer

BUDGET = 0.8
"""Seconds for one precision; with the rest unmeasured, what was best so far is taken."""
_LENGTHS = (150, 104, 82, 63, 48, 36, 29)
"""Of a batch's rows, again and again: 512 tokens of passages as they come."""
_STANDARD = 512
_SIZES = {
    "cpu": (_STANDARD, 128, 256, 64, 1024),  # small ones first: they decide what others wait
    "mps": (_STANDARD, 1024, 4096),
    "cuda": (_STANDARD, 8192, 16384, 2048, 32768),
}
_AROUND = {"cpu": 0.0015, "mps": 0.002, "cuda": 0.0005}
"""Seconds that a batch costs around its layers: embeddings, head, scheduling, waking threads."""
_CLEARLY = 0.95
"""A later candidate must take less than this share of the time, so that noise decides nothing."""
NEARLY_BEST, NEARLY_FULL = 0.97, 0.85
"""Shares of the best rate: at which a batch is large enough, and at which filling it up ends."""


class Measured:
    """How one precision computes best.

    Attributes:
        kernels: The fastest.
        rates: Tokens a second through all layers, by tokens in a batch.
    """

    def __init__(self, kernels: Kernels, rates: dict[int, float]) -> None:
        self.kernels = kernels
        self.rates = rates

    @property
    def best(self) -> float:
        """Tokens a second with the best batch."""
        return max(self.rates.values())

    def tokens_for(self, share: float) -> int:
        """The smallest batch that reaches a share of the best rate."""
        return min(size for size, rate in self.rates.items() if rate >= share * self.best)


def measure(
    weights: dict[str, torch.Tensor], shape: EncoderShape, device: str, dtype: str
) -> Measured:
    """Time kernels and sizes of batches for one precision.

    Raises:
        RuntimeError: none of the kernels works here.
    """
    end = time.perf_counter() + BUDGET
    linears = linear.kernels_for(device, dtype)
    attentions = attention_for(device, dtype, shape.hidden // shape.heads)
    first = attentions[0]

    def seconds(kernels: Kernels, tokens: int) -> float:
        return _time_layer(weights, shape, device, dtype, kernels, tokens, end)

    best = _fastest(linears, lambda name: seconds(Kernels(name, first), _STANDARD), end)
    attention = _fastest(attentions, lambda name: seconds(Kernels(best, name), _STANDARD), end)
    kernels = Kernels(best, attention)
    rates: dict[int, float] = {}
    for size in _SIZES[device]:
        if not rates or time.perf_counter() < end:
            rates[size] = size / (seconds(kernels, size) * shape.layers + _AROUND[device])
    return Measured(kernels, rates)


def _fastest(names: Sequence[str], seconds: Callable[[str], float], end: float) -> str:
    """The first name, or a later one that is clearly faster."""
    best, least, problem = "", float("inf"), None
    for name in names:
        if best and time.perf_counter() > end:
            break
        try:
            taken = seconds(name)
        except (RuntimeError, AttributeError, NotImplementedError) as error:
            problem = error  # a kernel that this build of torch lacks
            continue
        if not best or taken < _CLEARLY * least:
            best, least = name, taken
    if not best:
        raise RuntimeError(f"no kernel works here: {problem}")
    return best


def _time_layer(
    weights: dict[str, torch.Tensor],
    shape: EncoderShape,
    device: str,
    dtype: str,
    kernels: Kernels,
    tokens: int,
    end: float,
) -> float:
    """Seconds of one layer for a batch of so many tokens: the least of a few."""
    place = {"device": torch.device(device), "dtype": DTYPES[dtype]}
    with torch.inference_mode():
        layer = Layer(weights, 0, shape, kernels, place, first_only=False)
        places = _places(tokens, place["device"])
        hidden = torch.randn(tokens, shape.hidden).to(**place)
        taken: list[float] = []
        while len(taken) < 4 and (len(taken) < 2 or time.perf_counter() < end):
            began = time.perf_counter()
            layer(hidden, places)
            if device == "cuda":
                torch.cuda.synchronize()
            elif device == "mps":
                torch.mps.synchronize()
            taken.append(time.perf_counter() - began)
    return min(taken[1:])


def _places(tokens: int, device: torch.device) -> Places:
    lengths: list[int] = []
    while (left := tokens - sum(lengths)) > 0:
        lengths.append(min(left, _LENGTHS[len(lengths) % len(_LENGTHS)]))
    lengths.sort(reverse=True)
    ends = torch.tensor(list(accumulate(lengths, initial=0)), device=device)
    return Places.of(lengths, ends)


def fewer_threads(
    weights: dict[str, torch.Tensor],
    shape: EncoderShape,
    dtype: str,
    kernels: Kernels,
    threads: int,
) -> int:
    """Half of the threads, or a quarter, if a small batch is clearly faster with them; sets them.

    Dozens of threads that wait for each other at every layer's end can be slower than a few.
    """
    best, least = threads, float("inf")
    end = time.perf_counter() + BUDGET / 2
    for count in (threads, threads // 2, threads // 4):
        if count < 1 or (best != count and time.perf_counter() > end):
            break
        torch.set_num_threads(count)
        taken = _time_layer(weights, shape, "cpu", dtype, kernels, _STANDARD, end)
        if taken < _CLEARLY * least:
            best, least = count, taken
    torch.set_num_threads(best)
    return best
