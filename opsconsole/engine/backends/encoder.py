"""The BERT and RoBERTa encoder on unpadded tokens: one forward for every device and precision."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from opsconsole.engine.architecture import EncoderShape
from opsconsole.engine.backends import linear
from opsconsole.engine.backends.attention import ATTENTION, Attention, Places

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,
}
"""Of everything but the linear layers' weights."""


class Kernels(NamedTuple):
    """What computes the layers: names of :mod:`linear` and :mod:`attention`."""

    linear: str
    attention: str

    def __str__(self) -> str:
        return f"{self.linear} linear, {self.attention} attention"


class Inputs(NamedTuple):
    """A batch on the device."""

    ids: torch.Tensor
    """int64[tokens], as the next two."""
    types: torch.Tensor | None
    """``None``: all 0."""
    positions: torch.Tensor
    places: Places


class Encoder:
    """Hidden states of a batch.

    Args:
        weights: float32 on the CPU by plain names (see ``encoder_tensors``).
        shape: The encoder's.
        device: ``cpu``, ``cuda`` or ``mps``.
        dtype: ``float32``, ``bfloat16``, ``float16``, or ``int8`` (CPU).
        kernels: What to compute with.
        types: Whether token types are given; else all are 0.
        first_only: Only each row's first token is wanted. The last layer is then computed for it
            alone: for six layers that is a seventh of the work.
    """

    def __init__(
        self,
        weights: dict[str, torch.Tensor],
        shape: EncoderShape,
        *,
        device: str,
        dtype: str,
        kernels: Kernels,
        types: bool,
        first_only: bool,
    ) -> None:
        self._shape = shape
        self._first_only = first_only
        place = {"device": torch.device(device), "dtype": DTYPES[dtype]}
        names = ("word_embeddings", "position_embeddings", "token_type_embeddings")
        self._words, self._positions, self._kinds = (
            weights[f"embeddings.{name}.weight"].to(**place) for name in names
        )
        if not types:  # the one type's vector goes with every position
            self._positions = self._positions + self._kinds[0]
        self._types = types
        self._norm = _Norm.take(weights, "embeddings.LayerNorm", shape, place)
        self._layers = [
            Layer(
                weights, index, shape, kernels, place,
                first_only=first_only and index == shape.layers - 1,
            )
            for index in range(shape.layers)
        ]  # fmt: skip

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """float32[rows, hidden] of the first tokens, or float32[tokens, hidden] of all."""
        hidden = F.embedding(inputs.ids, self._words)
        hidden = hidden + F.embedding(inputs.positions, self._positions)
        if self._types and inputs.types is not None:
            hidden += F.embedding(inputs.types, self._kinds)
        hidden = self._norm(hidden)
        for layer in self._layers:
            hidden = layer(hidden, inputs.places)
        if self._first_only and not self._layers:
            hidden = hidden[inputs.places.starts]
        return hidden.float()


class Layer:
    """One post-norm transformer layer; query, key and value fused into one product."""

    def __init__(
        self,
        weights: dict[str, torch.Tensor],
        index: int,
        shape: EncoderShape,
        kernels: Kernels,
        place: dict[str, object],
        *,
        first_only: bool,
    ) -> None:
        prefix = f"encoder.layer.{index}."
        attention, kernel = prefix + "attention.", kernels.linear
        self._split = (shape.heads, shape.hidden // shape.heads)
        self._attention: Attention = ATTENTION[kernels.attention]
        self._first_only = first_only

        def pair(*names: str) -> tuple[torch.Tensor, torch.Tensor]:
            made = (
                torch.cat([weights[f"{name}.{kind}"] for name in names]).to(**place)
                for kind in ("weight", "bias")
            )
            weight, bias = made
            return weight, bias

        q, k, v = (f"{attention}self.{name}" for name in ("query", "key", "value"))
        if first_only:
            self._q = linear.make(*pair(q), kernel)
            self._kv = linear.make(*pair(k, v), kernel)
        else:
            self._qkv = linear.make(*pair(q, k, v), kernel)
        self._out = linear.make(*pair(attention + "output.dense"), kernel)
        self._norm1 = _Norm.take(weights, attention + "output.LayerNorm", shape, place)
        self._up = linear.make_up(*pair(prefix + "intermediate.dense"), kernel, shape.gelu)
        self._down = linear.make(*pair(prefix + "output.dense"), kernel)
        self._norm2 = _Norm.take(weights, prefix + "output.LayerNorm", shape, place)

    def __call__(self, hidden: torch.Tensor, places: Places) -> torch.Tensor:
        """float[tokens, hidden] → the same, or float[rows, hidden] of the first tokens."""
        tokens = hidden.shape[0]
        if self._first_only:
            kv = self._kv(hidden).view(tokens, 2, *self._split)
            hidden = hidden[places.starts]
            q = self._q(hidden).view(-1, *self._split)
            seen = self._attention.first(q, kv, places)
        else:
            qkv = self._qkv(hidden).view(tokens, 3, *self._split)
            seen = self._attention.all(qkv, places)
        x = self._out(seen)
        x += hidden
        x = self._norm1(x)
        y = self._down(self._up(x))
        y += x
        return self._norm2(y)


class _Norm(NamedTuple):
    weight: torch.Tensor
    bias: torch.Tensor
    width: tuple[int]
    epsilon: float

    @classmethod
    def take(
        cls,
        weights: dict[str, torch.Tensor],
        name: str,
        shape: EncoderShape,
        place: dict[str, object],
    ) -> _Norm:
        weight, bias = (weights[f"{name}.{kind}"].to(**place) for kind in ("weight", "bias"))
        return cls(weight, bias, (shape.hidden,), shape.epsilon)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.width, self.weight, self.bias, self.epsilon)
