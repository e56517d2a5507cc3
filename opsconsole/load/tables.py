"""Tables of words and figures, and how a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Table(Struct, frozen=True, kw_only=True):
    """A table, the same for every face that draws it.

    Attributes:
        rows: Of clean text, as many cells as the head has.
        words: The columns that are words; the others are figures, right-aligned.
        spare: Heads of columns that go where it is too narrow, the first first.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    spare: tuple[str, ...] = ()


def aligned(table: Table, width: int) -> list[str]:
    """Its lines in at most ``width`` columns: what is spare goes, the rest is cut. None without
    rows."""
    if not table.rows:
        return []
    shown = list(range(len(table.head)))
    lines: list[Sequence[str]] = [table.head, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in shown]
    for name in table.spare:
        if sum(widths[i] for i in shown) + 2 * (len(shown) - 1) <= width:
            break
        shown = [i for i in shown if table.head[i] != name]
    return [
        "  ".join(
            f"{line[i]:<{widths[i]}}" if i in table.words else f"{line[i]:>{widths[i]}}"
            for i in shown
        ).rstrip()[:width]
        for line in lines
    ]
