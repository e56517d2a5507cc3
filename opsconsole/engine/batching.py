"""How inputs are grouped into padded batches: pure functions over token counts."""

from __future__ import annotations

from collections.abc import Sequence


def plan_batches(
    lengths: Sequence[int], *, batch_size: int, batch_tokens: int, batch_padding: int
) -> list[list[int]]:
    """Group inputs of like length, longest first.

    Sorting by length keeps padding low, the token budget keeps a batch of long inputs from
    exhausting the device's memory, and the padding budget keeps short inputs from being computed
    at the length of a long one when a batch of their own costs less.

    Args:
        lengths: Tokens of each input.
        batch_size: Most inputs in a batch.
        batch_tokens: Most positions (inputs x longest) in a batch; one input that is longer is a
            batch of its own.
        batch_padding: Most padded positions in a batch: what starting another one costs, in
            positions.

    Returns:
        Batches of indices into ``lengths``; each index once.
    """
    batches: list[list[int]] = []
    longest = room = padding = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        length = lengths[index]
        padding += longest - length
        if room == 0 or padding > batch_padding:
            batches.append([])
            longest, padding = length, 0
            room = max(1, min(batch_size, batch_tokens // max(1, longest)))
        batches[-1].append(index)
        room -= 1
    return batches


def padded_tokens(lengths: Sequence[int]) -> int:
    """Positions of one batch with all inputs padded to its longest."""
    return len(lengths) * max(lengths, default=0)
