"""A trend in a table cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from opsconsole.tui.widgets.raster import EIGHTHS, SymbolSet

_ASCII = " _.-=+*#@"


def spark(
    values: Sequence[float | None],
    width: int,
    symbols: SymbolSet = "block",
    *,
    top: float | None = None,
) -> str:
    """The newest values as one row of bars, the newest at the right; None is blank.

    More values than columns are taken together by their highest, so that a peak stays. Bars stand
    on zero, and zero is the lowest bar: absent and nothing look different.

    Args:
        values: Oldest first; negative counts as zero.
        width: Columns, always filled.
        symbols: ``ascii``, or eighths of blocks for the other sets.
        top: The value of a full bar; by default the highest one.
    """
    bars = _ASCII if symbols == "ascii" else EIGHTHS
    if width <= 0:
        return ""
    known = [None if value is None or not math.isfinite(value) else value for value in values]
    columns: list[float | None] = known
    if len(known) > width:
        columns = []
        for column in range(width):
            chunk = known[column * len(known) // width : (column + 1) * len(known) // width]
            columns.append(max((value for value in chunk if value is not None), default=None))
    highest = max((value for value in columns if value is not None), default=0.0)
    if top is not None:
        highest = top
    text = []
    for value in columns:
        if value is None:
            text.append(" ")
        else:
            share = min(1.0, max(0.0, value / highest)) if highest > 0 else 0.0
            text.append(bars[1 + round(share * 7)])
    return "".join(text).rjust(width)
