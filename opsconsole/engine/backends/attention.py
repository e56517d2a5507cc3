"""Attention over rows of unequal length, in the ways that suit one device or another.

Each takes query, key and value of all tokens as one float[tokens, 3, heads, size] and returns
float[tokens, heads * size]; the ``first`` form takes the queries of the rows' first tokens alone.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F

from opsconsole.engine.backends.layout import Run, runs_of

LONGEST_PRODUCT = 1024
"""Tokens above which all scores of a row at once would take too much memory."""


class Places(NamedTuple):
    """Where the rows of a batch lie among its tokens, on the device."""

    lengths: list[int]
    runs: list[Run]
    starts: torch.Tensor
    """int64[rows]."""
    offsets: torch.Tensor
    """int32[rows + 1]: the starts, and the end of the last."""
    longest: int

    @classmethod
    def of(cls, lengths: list[int], ends: torch.Tensor) -> Places:
        """Of rows with these lengths, the longest first.

        Args:
            ends: int64[rows + 1]: where each row starts, and where the last one ends.
        """
        return cls(lengths, runs_of(lengths), ends[:-1], ends.int(), lengths[0])


class Attention(Protocol):
    """One way to compute it."""

    def all(self, qkv: torch.Tensor, places: Places) -> torch.Tensor:
        """float[tokens, 3, heads, size] → float[tokens, heads * size]."""
        ...

    def first(self, q: torch.Tensor, kv: torch.Tensor, places: Places) -> torch.Tensor:
        """float[rows, heads, size], float[tokens, 2, heads, size] → float[rows, heads * size]."""
        ...


class ByLength:
    """Rows of one length at a time: no mask, no padding. For CPUs, where a call is cheap.

    Args:
        products: Two matrix products and a softmax instead of torch's fused kernel, which serves
            small heads badly in bfloat16.
    """

    def __init__(self, *, products: bool) -> None:
        self._products = products

    def all(self, qkv: torch.Tensor, places: Places) -> torch.Tensor:
        tokens, _, heads, size = qkv.shape
        out = torch.empty(tokens, heads, size, dtype=qkv.dtype, device=qkv.device)
        for start, rows, length in places.runs:
            part = slice(start, start + rows * length)
            q, k, v = qkv[part].view(rows, length, 3, heads, size).permute(2, 0, 3, 1, 4)
            if self._products and length <= LONGEST_PRODUCT:
                seen = _products(q, k, v)
            else:
                seen = F.scaled_dot_product_attention(q, k, v)
            out[part].view(rows, length, heads, size).copy_(seen.transpose(1, 2))
        return out.view(tokens, heads * size)

    def first(self, q: torch.Tensor, kv: torch.Tensor, places: Places) -> torch.Tensor:
        _, heads, size = q.shape
        seen = []
        row = 0
        for start, count, length in places.runs:
            part = kv[start : start + count * length].view(count, length, 2, heads, size)
            k, v = part.permute(2, 0, 3, 1, 4)
            asked = q[row : row + count].view(count, 1, heads, size).transpose(1, 2)
            seen.append(F.scaled_dot_product_attention(asked, k, v).view(count, heads * size))
            row += count
        return seen[0] if len(seen) == 1 else torch.cat(seen)


def _products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    rows, heads, length, size = q.shape
    flat = [x.reshape(rows * heads, length, size) for x in (q, k, v)]
    scores = torch.baddbmm(
        flat[0].new_empty(1, 1, 1).expand(rows * heads, length, length),
        flat[0],
        flat[1].transpose(1, 2),
        beta=0,  # the first argument is ignored
        alpha=size**-0.5,
    )
    return torch.bmm(torch.softmax(scores, -1), flat[2]).view(rows, heads, length, size)


class Dense:
    """Rows padded to the longest for this step alone, with a mask: few calls, any device."""

    def all(self, qkv: torch.Tensor, places: Places) -> torch.Tensor:
        tokens, _, heads, size = qkv.shape
        index, real = _grid(places)
        q, k, v = qkv[index].permute(2, 0, 3, 1, 4)
        mask = None if real is None else real[:, None, None, :]
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)
        dense = seen.reshape(-1, heads * size) if real is None else seen[real]
        return dense.reshape(tokens, heads * size)

    def first(self, q: torch.Tensor, kv: torch.Tensor, places: Places) -> torch.Tensor:
        rows, heads, size = q.shape
        index, real = _grid(places)
        k, v = kv[index].permute(2, 0, 3, 1, 4)
        mask = None if real is None else real[:, None, None, :]
        seen = F.scaled_dot_product_attention(q.unsqueeze(2), k, v, attn_mask=mask)
        return seen.reshape(rows, heads * size)


def _grid(places: Places) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Token of each place of a padded [rows, longest] grid, and which places are real."""
    device = places.starts.device
    steps = torch.arange(places.longest, device=device)
    index = places.starts[:, None] + steps
    if places.lengths[-1] == places.longest:  # sorted: all are equally long
        return index, None
    lengths = places.offsets[1:].long() - places.starts
    real = steps < lengths[:, None]
    return torch.where(real, index, places.starts[:, None]), real


class Varlen:
    """FlashAttention over unequal rows in one kernel: CUDA, 16-bit, from Ampere on."""

    def all(self, qkv: torch.Tensor, places: Places) -> torch.Tensor:
        q, k, v = qkv.unbind(1)
        seen = _flash(q, k, v, places.offsets, places.offsets, places.longest, places.longest)
        return seen.reshape(qkv.shape[0], -1)

    def first(self, q: torch.Tensor, kv: torch.Tensor, places: Places) -> torch.Tensor:
        k, v = kv.unbind(1)
        rows = q.shape[0]
        each = torch.arange(rows + 1, dtype=torch.int32, device=q.device)
        seen = _flash(q, k, v, each, places.offsets, 1, places.longest)
        return seen.reshape(rows, -1)


def _flash(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    q_offsets: torch.Tensor,
    k_offsets: torch.Tensor,
    longest_q: int,
    longest_k: int,
) -> torch.Tensor:
    # What torch.nn.attention.varlen calls; that module is younger than the oldest torch we take.
    forward = torch.ops.aten._flash_attention_forward
    seen: torch.Tensor = forward(
        q, k, v, q_offsets, k_offsets, longest_q, longest_k, 0.0, False, False
    )[0]
    return seen


ATTENTION: dict[str, Attention] = {
    "by-length": ByLength(products=False),
    "products": ByLength(products=True),
    "dense": Dense(),
    "varlen": Varlen(),
}


def attention_for(device: str, dtype: str, head_size: int) -> list[str]:
    """Ways that may be taken there, the one to begin with first."""
    if device == "cpu":
        return ["by-length", "products", "dense"]
    flash = device == "cuda" and dtype in ("bfloat16", "float16") and head_size % 8 == 0
    if flash and head_size <= 256 and torch.cuda.get_device_capability() >= (8, 0):
        return ["varlen", "dense"]
    return ["dense"]
