"""BERT and RoBERTa on MLX: the same forward as on torch, for Apple silicon (and Linux, slowly).

MLX streams belong to the thread that made them, so everything here, loading included, must run on
one thread: the engine's device thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx

from opsconsole.engine.architecture import Architecture, EncoderShape
from opsconsole.engine.backends.base import (
    DeviceMemory,
    Grid,
    Launched,
    Vector,
    encoder_tensors,
    head_names,
    pad,
    select_tensors,
)
from opsconsole.engine.tokenizing import Row
from opsconsole.engine.weights import Tensor

# Buffers kept for reuse: lengths differ from batch to batch, and unbounded the cache grows with
# every new shape.
_CACHE_BYTES = 512 << 20
_EPSILON = 1e-12
_DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}

Parameters = dict[str, Any]


class MlxBackend:
    """A cross-encoder or bi-encoder in float32.

    Args:
        architecture: Of the model; with a shape.
        tensors: Its tensors by stored name.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        types: Whether the tokenizer's token types are used; else all are 0.

    Raises:
        OpsError: the weights do not fit the architecture.
    """

    kind: Literal["pytorch", "mlx"] = "mlx"
    unpadded = False
    asynchronous = False
    device = "mlx"

    def __init__(
        self,
        architecture: Architecture,
        shape: EncoderShape,
        tensors: dict[str, Tensor],
        *,
        types: bool,
        dtype: str,
    ) -> None:
        mx.set_cache_limit(_CACHE_BYTES)
        selected = select_tensors(tensors, encoder_tensors(architecture, shape))
        weights = _read_weights(selected, _DTYPES[dtype])
        self.parameters = sum(tensor.size for tensor in tensors.values() if tensor.dtype != "I64")
        self.dtype = dtype
        self._architecture = architecture
        self._shape = shape
        self._types = types and not shape.roberta
        self._layers = [_fuse(weights, index) for index in range(shape.layers)]
        self._weights = weights
        mx.eval(self._layers, self._weights)

    def launch(self, rows: Sequence[Row]) -> Launched:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        compute = self._classify if self._architecture.family == "cross-encoder" else self._embed
        outputs = compute(rows)
        return lambda: outputs

    def similarity(self, query: Vector, documents: Sequence[Vector]) -> list[float]:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        stacked = mx.stack(list(documents))
        if self._architecture.similarity == "cosine":
            query, stacked = _normalize(query), _normalize(stacked)
        scores: list[float] = (stacked * query).sum(-1).tolist()
        return scores

    def _classify(self, rows: Sequence[Row]) -> list[float]:
        first = self._encode(pad(rows), first_only=True)[:, 0]
        dense, out = head_names(self._shape)
        logits = self._linear(out, mx.tanh(self._linear(dense, first)))
        values: list[float] = logits.reshape(-1).tolist()
        return values

    def _embed(self, rows: Sequence[Row]) -> list[Vector]:
        grid = pad(rows)
        if self._architecture.pooling == "cls":
            pooled = self._encode(grid, first_only=True)[:, 0]
        else:
            hidden = self._encode(grid, first_only=False)
            lengths = mx.array(grid.lengths)[:, None]
            mask = (mx.arange(grid.length) < lengths).astype(hidden.dtype)
            pooled = (hidden * mask[:, :, None]).sum(1) / mx.maximum(lengths, 1)
        vectors = [pooled[index] for index in range(grid.rows)]
        mx.eval(vectors)
        return vectors

    def _encode(self, grid: Grid, *, first_only: bool) -> Any:
        """Hidden states float32[rows, length, hidden]; of the first tokens alone if asked."""
        shape, w = self._shape, self._weights
        size = (grid.rows, grid.length)
        words = w["embeddings.word_embeddings.weight"]
        positions = w["embeddings.position_embeddings.weight"]
        kinds = w["embeddings.token_type_embeddings.weight"]
        start = shape.position_offset
        hidden = words[mx.array(grid.ids).reshape(size)] + positions[start : start + grid.length]
        hidden = hidden + (kinds[mx.array(grid.types).reshape(size)] if self._types else kinds[0])
        hidden = _layer_norm(hidden, w, "embeddings.LayerNorm", shape.epsilon)
        mask = None
        if grid.is_padded:
            # Added to the scores. A boolean mask would do, but older versions lack it.
            real = mx.arange(grid.length) < mx.array(grid.lengths)[:, None]
            least = mx.finfo(hidden.dtype).min
            mask = mx.where(real, 0.0, least).astype(hidden.dtype)[:, None, None, :]
        for index, layer in enumerate(self._layers):
            last = first_only and index == shape.layers - 1
            hidden = self._layer(layer, hidden, hidden[:, :1] if last else hidden, mask)
        return hidden.astype(mx.float32)

    def _layer(self, layer: Parameters, hidden: Any, queries: Any, mask: Any) -> Any:
        shape = self._shape
        rows, length, width = hidden.shape
        asked = queries.shape[1]
        size = width // shape.heads
        weight, bias = layer["qkv.weight"], layer["qkv.bias"]
        q = mx.addmm(bias[:width], queries, weight[:width].T)
        kv = mx.addmm(bias[width:], hidden, weight[width:].T)
        q = q.reshape(rows, asked, shape.heads, size).transpose(0, 2, 1, 3)
        kv = kv.reshape(rows, length, 2, shape.heads, size).transpose(2, 0, 3, 1, 4)
        seen = mx.fast.scaled_dot_product_attention(
            q, kv[0], kv[1], scale=1 / math.sqrt(size), mask=mask
        )
        seen = seen.transpose(0, 2, 1, 3).reshape(rows, asked, width)
        x = queries + _linear(layer, "attention.output.dense", seen)
        x = _layer_norm(x, layer, "attention.output.LayerNorm", shape.epsilon)
        inner = _gelu(_linear(layer, "intermediate.dense", x), shape.gelu)
        y = x + _linear(layer, "output.dense", inner)
        return _layer_norm(y, layer, "output.LayerNorm", shape.epsilon)

    def _linear(self, name: str, x: Any) -> Any:
        return _linear(self._weights, name, x)

    def recover(self, error: Exception) -> bool:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        # MLX raises a plain RuntimeError: "[metal::malloc] …" or "… out of memory".
        text = str(error).lower()
        if not isinstance(error, RuntimeError) or not (
            "out of memory" in text or "insufficient memory" in text or "malloc" in text
        ):
            return False
        mx.clear_cache()
        return True

    def memory(self) -> DeviceMemory | None:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        return None  # MLX shares the machine's memory


def _read_weights(tensors: dict[str, Tensor], dtype: Any) -> Parameters:
    files: dict[Path, Any] = {tensor.file: mx.load(str(tensor.file)) for tensor in tensors.values()}
    weights = {
        name: files[tensor.file][tensor.stored_name].astype(dtype)
        for name, tensor in tensors.items()
    }
    mx.eval(weights)  # mx.load is lazy: read now, so that a file replaced later has no effect
    return weights


def _fuse(weights: Parameters, index: int) -> Parameters:
    """One layer's tensors by short name, query, key and value in one."""
    prefix = f"encoder.layer.{index}."
    parts = [f"{prefix}attention.self.{name}." for name in ("query", "key", "value")]
    layer = {
        f"qkv.{kind}": mx.concatenate([weights.pop(part + kind) for part in parts])
        for kind in ("weight", "bias")
    }
    for name in [name for name in weights if name.startswith(prefix)]:
        layer[name.removeprefix(prefix)] = weights.pop(name)
    return layer


def _linear(weights: Parameters, name: str, x: Any) -> Any:
    return mx.addmm(weights[f"{name}.bias"], x, weights[f"{name}.weight"].T)


def _layer_norm(x: Any, weights: Parameters, name: str, epsilon: float) -> Any:
    return mx.fast.layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon)


def _gelu(x: Any, kind: Literal["exact", "tanh", "relu"]) -> Any:
    if kind == "relu":
        return mx.maximum(x, 0)
    if kind == "tanh":
        return 0.5 * x * (1 + mx.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + mx.erf(x / math.sqrt(2)))


def _normalize(vectors: Any) -> Any:
    return vectors / mx.maximum(mx.linalg.norm(vectors, axis=-1, keepdims=True), _EPSILON)
