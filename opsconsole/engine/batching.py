"""How much fits into a batch: with padding to its longest row, or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Room(Protocol):
    """What is left of a batch that is being formed. Its first row always fits."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row that still fits; 0 when none does."""
        ...

    def admits(self, tokens: int) -> bool:
        """Whether a row of at most ``longest`` tokens may join."""
        ...

    def add(self, tokens: int) -> None:
        """A row joins."""
        ...

    def narrow(self, positions: int) -> None:
        """From now on the batch may grow up to so many positions only."""
        ...


class PaddedRoom:
    """Rows are computed at the length of the longest, which comes first.

    Args:
        rows: Most rows.
        positions: Most positions, padding included, in a batch of more than one row.
        padding: Most padded positions: what starting another batch costs, in positions.
    """

    def __init__(self, rows: int, positions: int, padding: int) -> None:
        self._rows = rows
        self._positions = positions
        self._padding = padding
        self._first: int | None = None
        self._count = 0

    @property
    def longest(self) -> int:
        """See :class:`Room`."""
        if self._first is None:
            return _ANY
        return self._first if self._count < self._rows else 0

    def admits(self, tokens: int) -> bool:
        """See :class:`Room`."""
        return self._first is None or self._first - tokens <= self._padding

    def add(self, tokens: int) -> None:
        """See :class:`Room`."""
        if self._first is None:
            self._first = tokens
            self._rows = max(1, min(self._rows, self._positions // max(1, tokens)))
        self._count += 1
        self._padding -= self._first - tokens

    def narrow(self, positions: int) -> None:
        """See :class:`Room`."""
        self._rows = min(self._rows, positions // max(1, self._first or 1))


class UnpaddedRoom:
    """Rows lie side by side: only their tokens count.

    Args:
        rows: Most rows.
        tokens: Most tokens in a batch of more than one row.
    """

    def __init__(self, rows: int, tokens: int) -> None:
        self._rows = rows
        self._left = tokens
        self._used = 0

    @property
    def longest(self) -> int:
        """See :class:`Room`."""
        if not self._used:
            return _ANY
        return max(0, self._left) if self._rows > 0 else 0

    def admits(self, tokens: int) -> bool:
        """See :class:`Room`."""
        return True

    def add(self, tokens: int) -> None:
        """See :class:`Room`."""
        self._rows -= 1
        self._left -= tokens
        self._used += tokens

    def narrow(self, positions: int) -> None:
        """See :class:`Room`."""
        self._left = min(self._left, positions - self._used)


_ANY = 1 << 62


def padded_tokens(lengths: Sequence[int]) -> int:
    """Positions of one batch with all inputs padded to its longest."""
    return len(lengths) * max(lengths, default=0)
