"""Architectures that our own forward does not know, through transformers on torch."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import torch

from opsconsole.engine.architecture import Architecture
from opsconsole.engine.backends.base import (
    DeviceMemory,
    Grid,
    Launched,
    Vector,
    pad,
)
from opsconsole.engine.backends.encoder import DTYPES
from opsconsole.engine.backends.torch_ import (
    compare,
    is_out_of_memory,
    memory_of,
    name_of,
    release_memory,
)
from opsconsole.engine.tokenizing import Row
from opsconsole.errors import OpsError


class TransformersBackend:
    """A cross-encoder or bi-encoder run by its own class in transformers.

    Raises:
        OpsError: transformers is not installed, does not know the architecture, or the weights
            lack a part, which it would fill with random numbers.
    """

    kind: Literal["pytorch", "mlx"] = "pytorch"
    unpadded = False
    asynchronous = False

    def __init__(self, architecture: Architecture, *, device: str, types: bool, dtype: str) -> None:
        self.dtype = dtype
        self._model = _load(architecture).to(device=device, dtype=DTYPES[dtype]).eval()
        self.parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self.device = name_of(device)
        self._device = torch.device(device)
        self._architecture = architecture
        config = self._model.config
        accepted = inspect.signature(self._model.forward).parameters
        self._types = (
            types and "token_type_ids" in accepted and getattr(config, "type_vocab_size", 0) > 1
        )
        # Decoders find a row's last token by its padding.
        self._pad_id = getattr(config, "pad_token_id", None) or 0

    def launch(self, rows: Sequence[Row]) -> Launched:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        compute = self._classify if self._architecture.family == "cross-encoder" else self._embed
        outputs = compute(rows)
        return lambda: outputs

    def similarity(self, query: Vector, documents: Sequence[Vector]) -> list[float]:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        return compare(query, documents, self._architecture.similarity)

    def _classify(self, rows: Sequence[Row]) -> list[float]:
        with torch.inference_mode():
            logits = self._forward(pad(rows, self._pad_id)).logits
            values: list[float] = logits.float().view(-1).tolist()
            return values

    def _embed(self, rows: Sequence[Row]) -> list[Vector]:
        grid = pad(rows, self._pad_id)
        with torch.inference_mode():
            hidden = self._forward(grid).last_hidden_state.float()
            if self._architecture.pooling == "cls":
                return list(hidden[:, 0].unbind(0))
            return _mean_pool(hidden, torch.tensor(grid.lengths, device=self._device))

    def _forward(self, grid: Grid) -> Any:
        size = (grid.rows, grid.length)
        lengths = torch.tensor(grid.lengths, device=self._device).unsqueeze(1)
        inputs = {
            "input_ids": torch.tensor(grid.ids, device=self._device).view(size),
            "attention_mask": (torch.arange(grid.length, device=self._device) < lengths).long(),
        }
        if self._types:
            inputs["token_type_ids"] = torch.tensor(grid.types, device=self._device).view(size)
        return self._model(**inputs)

    def recover(self, error: Exception) -> bool:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        if not is_out_of_memory(error):
            return False
        release_memory(self._device)
        return True

    def memory(self) -> DeviceMemory | None:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        return memory_of(self._device)


def _mean_pool(hidden: torch.Tensor, lengths: torch.Tensor) -> list[Vector]:
    """The mean of each row's own tokens."""
    mask = torch.arange(hidden.shape[1], device=hidden.device) < lengths.unsqueeze(1)
    total = (hidden * mask.unsqueeze(-1)).sum(1)
    return list((total / lengths.clamp(min=1).unsqueeze(-1)).unbind(0))


def _load(architecture: Architecture) -> Any:
    where = str(architecture.folder)
    try:
        import transformers
    except ImportError as error:
        raise OpsError(
            f"{architecture.name} needs transformers, which is not installed",
            where=where,
            hint="pip install 'opsconsole[transformers]'",
        ) from error
    if architecture.family == "cross-encoder":
        loader = transformers.AutoModelForSequenceClassification
    else:
        loader = transformers.AutoModel
    transformers.utils.logging.disable_progress_bar()  # standard error is the log
    try:
        model, report = loader.from_pretrained(
            where,
            local_files_only=True,
            trust_remote_code=False,  # a checkpoint's own Python code is never run
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # whatever a class of transformers raises on a foreign checkpoint
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise OpsError(
            f"transformers {transformers.__version__} cannot load {architecture.name}: {first}",
            where=where,
            hint="update transformers; models that bring their own code are not supported",
        ) from error
    missing = set(report["missing_keys"])
    if architecture.family == "bi-encoder":  # pools by itself; many checkpoints leave it out
        missing = {name for name in missing if "pooler" not in name}
    if missing:
        raise OpsError(
            f"the weights have no tensor {sorted(missing)[0]}"
            f" ({len(missing)} missing), which would be random",
            where=where,
            hint="the files are not those of the model that config.json describes",
        )
    return model
