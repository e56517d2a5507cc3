"""BERT and RoBERTa on torch: a lean forward from raw weights, on CPU, CUDA or MPS."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from safetensors import safe_open

from opsconsole.engine.architecture import Activation, Architecture, EncoderShape, Similarity
from opsconsole.engine.backends.base import (
    BATCH_OVERHEAD,
    Grid,
    Vector,
    encoder_tensors,
    halving,
    head_names,
    pad,
    select_tensors,
)
from opsconsole.engine.tokenizing import Row
from opsconsole.engine.weights import Tensor

_ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "identity": lambda x: x}


class TorchBackend:
    """A cross-encoder or bi-encoder in float32.

    Args:
        architecture: Of the model; with a shape.
        tensors: Its tensors by stored name.
        device: ``cpu``, ``cuda`` or ``mps``.
        types: Whether the tokenizer's token types are used; else all are 0.

    Raises:
        OpsError: the weights do not fit the architecture.
    """

    kind: Literal["pytorch", "mlx"] = "pytorch"
    dtype = "float32"

    def __init__(
        self,
        architecture: Architecture,
        shape: EncoderShape,
        tensors: dict[str, Tensor],
        *,
        device: str,
        types: bool,
    ) -> None:
        selected = select_tensors(tensors, encoder_tensors(architecture, shape))
        weights = read_weights(selected, device)
        self.parameters = sum(tensor.size for tensor in tensors.values() if tensor.dtype != "I64")
        self.device = name_of(device)
        self.batch_overhead = BATCH_OVERHEAD[device]
        self.out_of_memory = 0
        self._device = torch.device(device)
        self._architecture = architecture
        self._shape = shape
        self._types = types and not shape.roberta
        self._embeddings = _Embeddings.take(weights)
        self._layers = [_Layer.take(weights, index) for index in range(shape.layers)]
        self._head = (
            [weights[f"{name}.{kind}"] for name in head_names(shape) for kind in ("weight", "bias")]
            if architecture.family == "cross-encoder"
            else []
        )

    def classify(self, rows: Sequence[Row]) -> list[float]:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        return halving(rows, self._classify, self._recover)

    def embed(self, rows: Sequence[Row]) -> list[Vector]:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        return halving(rows, self._embed, self._recover)

    def similarity(self, query: Vector, documents: Sequence[Vector]) -> list[float]:
        """See :class:`~opsconsole.engine.backends.base.Backend`."""
        return compare(query, documents, self._architecture.similarity)

    def _classify(self, rows: Sequence[Row]) -> list[float]:
        dense, dense_bias, out, out_bias = self._head
        with torch.inference_mode():
            first = self._encode(pad(rows), first_only=True)[:, 0]
            logits = F.linear(torch.tanh(F.linear(first, dense, dense_bias)), out, out_bias)
            return activate(logits, self._architecture.activation)

    def _embed(self, rows: Sequence[Row]) -> list[Vector]:
        grid = pad(rows)
        with torch.inference_mode():
            if self._architecture.pooling == "cls":
                return list(self._encode(grid, first_only=True)[:, 0].unbind(0))
            hidden = self._encode(grid, first_only=False)
            return mean_pool(hidden, torch.tensor(grid.lengths, device=self._device))

    def _encode(self, grid: Grid, *, first_only: bool) -> torch.Tensor:
        """Hidden states float32[rows, length, hidden]; of the first tokens alone if asked.

        When only the first token is read, the last layer is computed for it alone: for six layers
        that is a seventh of the work.
        """
        shape, table = self._shape, self._embeddings
        size = (grid.rows, grid.length)
        ids = torch.tensor(grid.ids, device=self._device).view(size)
        mask = self._mask(grid)
        start = shape.position_offset
        # Rows are padded behind their end, so a token's place is its position for all rows.
        hidden = F.embedding(ids, table.words) + table.positions[start : start + grid.length]
        if self._types:
            hidden += F.embedding(
                torch.tensor(grid.types, device=self._device).view(size), table.types
            )
        else:
            hidden += table.types[0]
        hidden = F.layer_norm(hidden, (shape.hidden,), table.norm, table.norm_bias, shape.epsilon)
        for layer in self._layers[:-1]:
            hidden = layer.forward(hidden, hidden, mask, shape)
        if not self._layers:
            return hidden
        last = hidden[:, :1] if first_only else hidden
        return self._layers[-1].forward(hidden, last, mask, shape)

    def _mask(self, grid: Grid) -> torch.Tensor | None:
        """What is added to attention scores, float32[rows, 1, 1, length]; none without padding."""
        if not grid.is_padded:
            return None
        lengths = torch.tensor(grid.lengths, device=self._device).view(-1, 1, 1, 1)
        places = torch.arange(grid.length, device=self._device)
        mask = torch.zeros((grid.rows, 1, 1, grid.length), device=self._device)
        return mask.masked_fill_(places >= lengths, torch.finfo(torch.float32).min)

    def _recover(self, error: Exception) -> bool:
        if not is_out_of_memory(error):
            return False
        self.out_of_memory += 1
        release_memory(self._device)
        return True


class _Embeddings(NamedTuple):
    words: torch.Tensor
    positions: torch.Tensor
    types: torch.Tensor
    norm: torch.Tensor
    norm_bias: torch.Tensor

    @classmethod
    def take(cls, weights: dict[str, torch.Tensor]) -> _Embeddings:
        return cls(
            weights["embeddings.word_embeddings.weight"],
            weights["embeddings.position_embeddings.weight"],
            weights["embeddings.token_type_embeddings.weight"],
            weights["embeddings.LayerNorm.weight"],
            weights["embeddings.LayerNorm.bias"],
        )


class _Layer(NamedTuple):
    """One post-norm transformer layer; query, key and value fused into one product."""

    qkv: torch.Tensor
    qkv_bias: torch.Tensor
    out: torch.Tensor
    out_bias: torch.Tensor
    norm1: torch.Tensor
    norm1_bias: torch.Tensor
    up: torch.Tensor
    up_bias: torch.Tensor
    down: torch.Tensor
    down_bias: torch.Tensor
    norm2: torch.Tensor
    norm2_bias: torch.Tensor

    @classmethod
    def take(cls, weights: dict[str, torch.Tensor], index: int) -> _Layer:
        prefix = f"encoder.layer.{index}."
        parts = [f"{prefix}attention.self.{name}." for name in ("query", "key", "value")]
        fused = [
            torch.cat([weights.pop(part + kind) for part in parts]) for kind in ("weight", "bias")
        ]
        rest = [
            weights[f"{prefix}{name}.{kind}"]
            for name in (
                "attention.output.dense",
                "attention.output.LayerNorm",
                "intermediate.dense",
                "output.dense",
                "output.LayerNorm",
            )
            for kind in ("weight", "bias")
        ]
        return cls(*fused, *rest)

    def forward(
        self,
        hidden: torch.Tensor,
        queries: torch.Tensor,
        mask: torch.Tensor | None,
        shape: EncoderShape,
    ) -> torch.Tensor:
        """The layer's output for ``queries``, which is ``hidden`` or its first tokens."""
        rows, length, width = hidden.shape
        asked = queries.shape[1]
        split = (shape.heads, width // shape.heads)
        if asked == length:
            qkv = F.linear(hidden, self.qkv, self.qkv_bias).view(rows, length, 3, *split)
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        else:
            q = F.linear(queries, self.qkv[:width], self.qkv_bias[:width])
            q = q.view(rows, asked, *split).transpose(1, 2)
            kv = F.linear(hidden, self.qkv[width:], self.qkv_bias[width:])
            k, v = kv.view(rows, length, 2, *split).permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        seen = seen.transpose(1, 2).reshape(rows, asked, width)
        x = queries + F.linear(seen, self.out, self.out_bias)
        x = F.layer_norm(x, (width,), self.norm1, self.norm1_bias, shape.epsilon)
        inner = _gelu(F.linear(x, self.up, self.up_bias), shape.gelu)
        y = x + F.linear(inner, self.down, self.down_bias)
        return F.layer_norm(y, (width,), self.norm2, self.norm2_bias, shape.epsilon)


def _gelu(x: torch.Tensor, kind: Literal["exact", "tanh", "relu"]) -> torch.Tensor:
    if kind == "relu":
        return F.relu(x)
    return F.gelu(x, approximate="none" if kind == "exact" else "tanh")


def read_weights(tensors: dict[str, Tensor], device: str) -> dict[str, torch.Tensor]:
    """Read tensors as float32 onto the device; each file is opened once.

    They are copied: a mapped file that is replaced in place would change a running model.
    """
    weights: dict[str, torch.Tensor] = {}
    with contextlib.ExitStack() as stack:
        opened: dict[Any, Any] = {}
        for name, tensor in tensors.items():
            if tensor.file not in opened:
                opened[tensor.file] = stack.enter_context(
                    safe_open(str(tensor.file), framework="pt", device="cpu")
                )
            weight = opened[tensor.file].get_tensor(tensor.stored_name)
            weights[name] = weight.to(device=device, dtype=torch.float32, copy=True)
    return weights


def activate(logits: torch.Tensor, activation: Activation) -> list[float]:
    """Scores of a cross-encoder from its logits [rows, 1]."""
    scores: list[float] = _ACTIVATIONS[activation](logits.float()).view(-1).tolist()
    return scores


def mean_pool(hidden: torch.Tensor, lengths: torch.Tensor) -> list[Vector]:
    """The mean of each row's own tokens."""
    mask = torch.arange(hidden.shape[1], device=hidden.device) < lengths.unsqueeze(1)
    total = (hidden * mask.unsqueeze(-1)).sum(1)
    return list((total / lengths.clamp(min=1).unsqueeze(-1)).unbind(0))


def compare(query: Vector, documents: Sequence[Vector], similarity: Similarity) -> list[float]:
    """Cosine or dot product of the query with each document."""
    with torch.inference_mode():
        stacked = torch.stack(list(documents))
        if similarity == "cosine":
            query, stacked = F.normalize(query, dim=-1), F.normalize(stacked, dim=-1)
        scores: list[float] = (stacked @ query).tolist()
        return scores


def name_of(device: str) -> str:
    """``cuda`` with its index: which card it is."""
    return f"cuda:{torch.cuda.current_device()}" if device == "cuda" else device


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device, not the program, ran out of memory."""
    # MPS raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )


def release_memory(device: torch.device) -> None:
    """Give the allocator's unused blocks back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
