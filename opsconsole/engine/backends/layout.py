"""Rows laid one after the other, without padding: what becomes one int64[tokens] array."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

from opsconsole.engine.tokenizing import Row

Run = tuple[int, int, int]
"""(first token, rows, length) of neighbouring rows that are equally long."""


class Flat(NamedTuple):
    """A batch, longest row first."""

    ids: array[int]
    types: array[int]
    positions: array[int]
    lengths: list[int]
    order: list[int]
    """Which row of the batch each one is."""

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def starts(self) -> list[int]:
        """Place of each row's first token."""
        return list(accumulate(self.lengths, initial=0))[:-1]

    @property
    def runs(self) -> list[Run]:
        """Neighbours that are equally long."""
        return runs_of(self.lengths)

    def restore(self, outputs: Sequence[object]) -> list[object]:
        """Outputs of the rows, in the order in which the batch had them."""
        restored: list[object] = [None] * len(self.order)
        for place, output in zip(self.order, outputs, strict=True):
            restored[place] = output
        return restored


def runs_of(lengths: Sequence[int]) -> list[Run]:
    """Neighbours that are equally long, of rows of these lengths one after the other."""
    found: list[Run] = []
    at = 0
    for length, rows in groupby(lengths):
        count = len(list(rows))
        found.append((at, count, length))
        at += count * length
    return found


def flatten(rows: Sequence[Row], position_offset: int) -> Flat:
    """Lay rows out, sorted by length so that equally long ones are neighbours.

    Args:
        rows: The batch.
        position_offset: Position of a row's first token.
    """
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index].ids))
    ids, types, positions = array("q"), array("q"), array("q")
    lengths = []
    for index in order:
        row = rows[index]
        length = len(row.ids)
        ids.extend(row.ids)
        types.extend(row.types)
        positions.extend(range(position_offset, position_offset + length))
        lengths.append(length)
    return Flat(ids, types, positions, lengths, order)
