"""BERT and RoBERTa on torch: a lean forward from raw weights, on CPU, CUDA or MPS."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from safetensors import safe_open

from opsconsole.engine.architecture import Architecture, EncoderShape, Similarity
from opsconsole.engine.backends.attention import Places
from opsconsole.engine.backends.base import (
    DeviceMemory,
    Launched,
    Vector,
    encoder_tensors,
    head_names,
    select_tensors,
)
from opsconsole.engine.backends.cuda_graphs import Graphs
from opsconsole.engine.backends.encoder import Encoder, Inputs, Kernels
from opsconsole.engine.backends.layout import Flat, flatten
from opsconsole.engine.tokenizing import Row
from opsconsole.engine.weights import Tensor


class TorchBackend:
    """A cross-encoder or bi-encoder.

    Args:
        architecture: Of the model; with a shape.
        weights: From :func:`encoder_weights`.
        device: ``cpu``, ``cuda`` or ``mps``.
        dtype: What the linear layers compute in.
        kernels: What computes the layers.
        types: Whether the tokenizer's token types are used; else all are 0.
        parameters: Of the checkpoint.
    """

    kind: Literal["pytorch", "mlx"] = "pytorch"
    unpadded = True

    def __init__(
        self,
        architecture: Architecture,
        shape: EncoderShape,
        weights: dict[str, torch.Tensor],
        *,
        device: str,
        dtype: str,
        kernels: Kernels,
        types: bool,
        parameters: int,
    ) -> None:
        self.parameters = parameters
        self.device = name_of(device)
        self.dtype = dtype
        self.kernels = kernels
        self.asynchronous = device == "cuda"
        self._device = torch.device(device)
        self._architecture = architecture
        self._offset = shape.position_offset
        self._types = types and not shape.roberta
        classify = architecture.family == "cross-encoder"
        self._pool_mean = not classify and architecture.pooling == "mean"
        with torch.inference_mode():
            self._encoder = Encoder(
                weights,
                shape,
                device=device,
                dtype=dtype,
                kernels=kernels,
                types=self._types,
                first_only=not self._pool_mean,
            )
        self._head = (
            [
                weights[f"{name}.{kind}"].to(self._device)
                for name in head_names(shape)
                for kind in ("weight", "bias")
            ]
            if classify
            else []
        )
        self._graphs: Graphs | None = None

    def capture(self) -> None:
        """On CUDA: record the forward of small batches as graphs; elsewhere nothing.

        A small batch's hundred kernels take longer to launch than to run.
        """
        if self.kernels.attention == "varlen":  # the only one whose shapes do not vary
            self._graphs = Graphs(self._outputs, self._device, types=self._types)

    def launch(self, rows: Sequence[Row]) -> Launched:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        flat = flatten(rows, self._offset)
        with torch.inference_mode():
            outputs = self._graphs.replay(flat) if self._graphs is not None else None
            if outputs is None:
                outputs = self._outputs(self._inputs(flat))
            if not self._head:
                vectors = [vector.clone() for vector in outputs.unbind(0)]
                return self._when_done(lambda: flat.restore(vectors))
            if not self.asynchronous:
                logits = outputs.tolist()
                return lambda: flat.restore(logits)
            host = torch.empty(outputs.shape, dtype=outputs.dtype, pin_memory=True)
            host.copy_(outputs, non_blocking=True)
            return self._when_done(lambda: flat.restore(host.tolist()))

    def _when_done(self, collect: Launched) -> Launched:
        """``collect``, once the device has done all that was launched until now."""
        if not self.asynchronous:
            return collect
        done = torch.cuda.Event()
        done.record()

        def wait() -> list[Any]:
            done.synchronize()
            return collect()

        return wait

    def similarity(self, query: Vector, documents: Sequence[Vector]) -> list[float]:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        return compare(query, documents, self._architecture.similarity)

    def recover(self, error: Exception) -> bool:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        if not is_out_of_memory(error):
            return False
        release_memory(self._device)
        return True

    def memory(self) -> DeviceMemory | None:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        return memory_of(self._device)

    def _outputs(self, inputs: Inputs) -> torch.Tensor:
        """float32[rows] logits, or float32[rows, hidden] vectors."""
        hidden = self._encoder.forward(inputs)
        if self._head:
            dense, dense_bias, out, out_bias = self._head
            pooled = torch.tanh(F.linear(hidden, dense, dense_bias))
            return F.linear(pooled, out, out_bias).view(-1)
        return mean_of_rows(hidden, inputs.places) if self._pool_mean else hidden

    def _inputs(self, flat: Flat) -> Inputs:
        parts = [flat.ids, flat.positions]
        if self._types:
            parts.append(flat.types)
        tensors = [torch.frombuffer(part, dtype=torch.int64) for part in parts]
        starts = torch.tensor([*flat.starts, flat.tokens])
        if self._device.type != "cpu":
            # One copy instead of four; pinned, it runs beside the forward before it.
            joined = torch.cat([*tensors, starts])
            if self._device.type == "cuda":
                joined = joined.pin_memory()
            joined = joined.to(self._device, non_blocking=True)
            *tensors, starts = joined.split([*(len(part) for part in parts), len(starts)])
        places = Places.of(flat.lengths, starts)
        return Inputs(tensors[0], tensors[2] if self._types else None, tensors[1], places)


def encoder_weights(
    architecture: Architecture, shape: EncoderShape, tensors: dict[str, Tensor]
) -> dict[str, torch.Tensor]:
    """The checkpoint's weights that the forward needs, by plain names, float32 on the CPU.

    They are copied: a mapped file that is replaced in place would change a running model.

    Raises:
        OpsError: the weights do not fit the architecture.
    """
    selected = select_tensors(tensors, encoder_tensors(architecture, shape))
    weights: dict[str, torch.Tensor] = {}
    with contextlib.ExitStack() as stack:
        opened: dict[Any, Any] = {}
        for name, tensor in selected.items():
            if tensor.file not in opened:
                opened[tensor.file] = stack.enter_context(
                    safe_open(str(tensor.file), framework="pt", device="cpu")
                )
            weight = opened[tensor.file].get_tensor(tensor.stored_name)
            weights[name] = weight.to(dtype=torch.float32, copy=True)
    return weights


def mean_of_rows(hidden: torch.Tensor, places: Places) -> torch.Tensor:
    """float32[rows, width]: the mean of each row's own tokens."""
    ends = places.offsets[1:].long()
    tokens = torch.arange(hidden.shape[0], device=hidden.device)
    row_of = torch.bucketize(tokens, ends, right=True)  # behind the last row: one row too many
    total = hidden.new_zeros(len(ends) + 1, hidden.shape[1]).index_add_(0, row_of, hidden)
    return total[:-1] / (ends - places.starts).clamp(min=1).unsqueeze(1)


def compare(query: Vector, documents: Sequence[Vector], similarity: Similarity) -> list[float]:
    """Cosine or dot product of the query with each document."""
    with torch.inference_mode():
        stacked = torch.stack(list(documents))
        if similarity == "cosine":
            query, stacked = F.normalize(query, dim=-1), F.normalize(stacked, dim=-1)
        scores: list[float] = (stacked @ query).tolist()
        return scores


def memory_of(device: torch.device) -> DeviceMemory | None:
    """What torch's allocator holds of a CUDA device."""
    if device.type != "cuda":
        return None
    return DeviceMemory(
        torch.cuda.memory_allocated(device),
        torch.cuda.memory_reserved(device),
        torch.cuda.get_device_properties(device).total_memory,
    )


def name_of(device: str) -> str:
    """``cuda`` with its index: which card it is."""
    return f"cuda:{torch.cuda.current_device()}" if device == "cuda" else device


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device, not the program, ran out of memory."""
    # MPS and the CPU raise a plain RuntimeError.
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in text or "can't allocate memory" in text)
    )


def release_memory(device: torch.device) -> None:
    """Give the allocator's unused blocks back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
