"""From weights to the backend this machine runs them best on: precision, kernels, batches."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

import torch

from opsconsole.engine.agreement import LEAST_AGREEMENT, agreement_of, sample_scores
from opsconsole.engine.alone import alone
from opsconsole.engine.architecture import Architecture, EncoderShape
from opsconsole.engine.backends.attention import attention_for
from opsconsole.engine.backends.base import BATCH_OVERHEAD, MOST_ROWS
from opsconsole.engine.backends.encoder import Kernels
from opsconsole.engine.backends.linear import has_bfloat16, kernels_for
from opsconsole.engine.backends.torch_ import TorchBackend, encoder_weights
from opsconsole.engine.backends.tune import (
    NEARLY_BEST,
    NEARLY_FULL,
    Measured,
    fewer_threads,
    measure,
)
from opsconsole.engine.cores import usable_cores
from opsconsole.engine.devices import NotHere
from opsconsole.engine.records import Agreement, Tuning
from opsconsole.engine.settings import EngineSettings
from opsconsole.engine.tokenizing import PairTokenizer
from opsconsole.engine.weights import Tensor

WORTH_IT = 1.1
"""A reduced precision that is not that much faster is not taken by itself."""
CPU_FILL = 128
"""Tokens from which a CPU gains little, so that no request waits for others' rows beyond it."""
UNMEASURED_TOKENS = {"cpu": 512, "mps": 2048, "cuda": 16384}


class Opened(NamedTuple):
    """A backend, how it is best used, and how a reduced precision agrees with float32."""

    backend: TorchBackend
    tuning: Tuning
    agreement: Agreement | None


def open_torch(
    settings: EngineSettings,
    device: str,
    architecture: Architecture,
    shape: EncoderShape,
    tensors: dict[str, Tensor],
    tokenizer: PairTokenizer,
) -> Opened:
    """Read the weights and choose; on the device thread.

    Raises:
        OpsError: the weights do not fit.
        NotHere: the precision does not run on the device.
    """
    weights = encoder_weights(architecture, shape, tensors)
    parameters = sum(tensor.size for tensor in tensors.values() if tensor.dtype != "I64")
    threads = set_threads(settings.threads) if device == "cpu" else 0

    def build(dtype: str, kernels: Kernels) -> TorchBackend:
        return TorchBackend(
            architecture, shape, weights,
            device=device, dtype=dtype, kernels=kernels, types=tokenizer.type_ids,
            parameters=parameters,
        )  # fmt: skip

    def judge(candidate: TorchBackend) -> Agreement:
        reference = build("float32", _first_kernels(device, "float32", shape))
        return agreement_of(
            sample_scores(reference, architecture, tokenizer),
            sample_scores(candidate, architecture, tokenizer),
        )

    asked = "float32" if settings.dtype == "auto" else settings.dtype
    if asked == "int8" and device != "cpu":
        raise NotHere(f"int8 runs on the CPU, not on {device}", where="DTYPE=int8")
    if not settings.warmup:
        backend = build(asked, _first_kernels(device, asked, shape))
        return Opened(backend, _tuning(settings, device, None, threads, backend), None)

    reduced = _reduced(device) if settings.dtype == "auto" else None
    faster = None
    with alone():
        found = _measure(weights, shape, device, asked)
        if threads >= 4 and settings.threads is None:
            threads = fewer_threads(weights, shape, asked, found.kernels, threads)
        if reduced is not None:
            with contextlib.suppress(NotHere):  # nobody asked for it
                faster = _measure(weights, shape, device, reduced)
    backend, agreement = build(asked, found.kernels), None
    if asked != "float32":
        agreement = judge(backend)
    elif reduced is not None and faster is not None and faster.best > WORTH_IT * found.best:
        candidate = build(reduced, faster.kernels)
        agreement = judge(candidate)
        if agreement.kendall_tau >= LEAST_AGREEMENT:
            backend, found = candidate, faster
        else:
            agreement = None
    backend.capture()
    return Opened(backend, _tuning(settings, device, found, threads, backend), agreement)


def _reduced(device: str) -> str | None:
    """The precision worth a try when none is asked for."""
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if device == "cpu" and has_bfloat16():
        return "bfloat16"
    return None


def _measure(
    weights: dict[str, torch.Tensor], shape: EncoderShape, device: str, dtype: str
) -> Measured:
    try:
        return measure(weights, shape, device, dtype)
    except RuntimeError as error:
        raise NotHere(
            f"{dtype} does not run on {device} here: {error}",
            where=f"DTYPE={dtype}",
            hint="use DTYPE=auto; opsconsole backends shows what runs here",
        ) from error


def _first_kernels(device: str, dtype: str, shape: EncoderShape) -> Kernels:
    attentions = attention_for(device, dtype, shape.hidden // shape.heads)
    return Kernels(kernels_for(device, dtype)[0], attentions[0])


def _tuning(
    settings: EngineSettings,
    device: str,
    found: Measured | None,
    threads: int,
    backend: TorchBackend,
) -> Tuning:
    if found is None:
        batch = settings.batch_tokens or UNMEASURED_TOKENS[device]
        fill, rate = batch, 0.0
    else:
        batch = settings.batch_tokens or found.tokens_for(NEARLY_BEST)
        fill, rate = found.tokens_for(NEARLY_FULL), found.best
    if device == "cpu":
        fill = min(fill, CPU_FILL)
    return Tuning(
        batch_tokens=batch,
        fill_tokens=min(batch, fill),
        batch_padding=BATCH_OVERHEAD[device],
        threads=threads,
        batch_size=settings.batch_size or MOST_ROWS[device],
        tokens_per_second=rate,
        kernels=str(backend.kernels),
    )


def set_threads(asked: int | None) -> int:
    """Let torch use so many threads, or as many as there are cores for us; returns the number."""
    threads = asked or min(torch.get_num_threads(), usable_cores())
    # Torch's own default counts the machine's cores, not those that a container may use.
    if "OMP_NUM_THREADS" not in os.environ or asked is not None:
        torch.set_num_threads(threads)
    return int(torch.get_num_threads())
