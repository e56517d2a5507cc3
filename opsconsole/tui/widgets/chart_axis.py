"""Round numbers for the axes of a chart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from opsconsole.text import clean_line

# a full scale in units of its power of ten, and the numbers of equal parts that stay round
_SCALES: tuple[tuple[float, tuple[int, ...]], ...] = (
    (1, (1, 2, 5, 10)),
    (1.2, (1, 2, 3, 4, 6)),
    (1.5, (1, 3)),
    (2, (1, 2, 4)),
    (2.5, (1, 5)),
    (3, (1, 2, 3, 6)),
    (4, (1, 2, 4, 8)),
    (5, (1, 2, 5, 10)),
    (6, (1, 2, 3, 6)),
    (8, (1, 2, 4, 8)),
    (10, (1, 2, 5, 10)),
)
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000),
)


class Scale(NamedTuple):
    """The range of an axis and where its labels stand."""

    low: float
    high: float
    ticks: list[float]


def value_scale(low: float, high: float, most_parts: int) -> Scale:
    """A range with round ends that holds the values, in at most ``most_parts`` round parts.

    Values that are all positive start at zero, since a chart that does not makes noise look like
    an incident.
    """
    most_parts = max(1, most_parts)
    if low >= 0:
        if high < 1e-12:
            return Scale(0.0, 1.0, [0.0, 1.0])
        unit = 10.0 ** math.floor(math.log10(high))
        scale, parts = next((s, p) for s, p in _SCALES if s * unit >= high * (1 - 1e-9))
        count = max(part for part in parts if part <= most_parts)
        top = scale * unit
        return Scale(0.0, top, [top * part / count for part in range(count + 1)])
    span = max(high, 0.0) - min(low, -1e-12)
    rough = span / most_parts
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(s * unit for s in (1, 2, 5, 10, 20) if s * unit >= rough * (1 - 1e-9))
    first, last = math.floor(low / step), math.ceil(max(high, 0.0) / step)
    ticks = [n * step for n in range(first, last + 1)]
    return Scale(ticks[0], ticks[-1], ticks)


def clock(step: float) -> Callable[[float], str]:
    """How moments are written when they are ``step`` seconds apart: local time."""
    pattern = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%m-%d"
    return lambda moment: time.strftime(pattern, time.localtime(moment))


def elapsed(origin: float) -> Callable[[float], str]:
    """How moments are written as time since ``origin``, such as ``40 s`` or ``2 m``."""

    def write(moment: float) -> str:
        seconds = round(moment - origin)
        if seconds < 120 and seconds % 60:
            return f"{seconds} s"
        minutes, rest = divmod(seconds, 60)
        if not minutes:
            return f"{rest} s"
        return f"{minutes}m{rest:02d}" if rest else f"{minutes} m"

    return write


def time_ticks(
    start: float, stop: float, columns: int, origin: float | None = None
) -> list[tuple[float, str]]:
    """Round moments of a time span with their labels, as many as fit.

    Args:
        start: Time of the left edge, Unix seconds.
        stop: Time of the right edge.
        columns: Cells across.
        origin: Label by time since then; None labels by the local clock.
    """
    if stop <= start:
        return []
    offset = time.localtime(start).tm_gmtoff if origin is None else -origin
    for step in _STEPS:
        write = clock(step) if origin is None else elapsed(origin)
        first = math.ceil((start + offset) / step) * step - offset
        count = int((stop - first) // step) + 1 if first <= stop else 0
        if count > columns:  # before so many labels are made
            continue
        labels = [(first + n * step, write(first + n * step)) for n in range(count)]
        widest = max((len(label) for _, label in labels), default=0)
        if step / (stop - start) * columns >= 2 * widest + 2:
            return labels
    return []


def time_row(
    span: tuple[float, float],
    lead: int,
    plot: int,
    width: int,
    origin: float | None = None,
    mark: tuple[int | None, str] | None = None,
    *,
    ascii_: bool = False,
) -> str:
    """The labels under a chart as one line.

    Args:
        span: Times of the left and the right edge.
        lead: Columns before the plot, which has ``plot`` of them, as the line has ``width``.
        origin: As in :func:`time_ticks`.
        mark: A column of the plot, None where it is not seen, and what is before it.
    """
    row = [" "] * width
    first, last = _mark_label(row, lead, mark, ascii_=ascii_)
    start, stop = span
    free = lead
    for moment, label in time_ticks(start, stop, plot, origin):
        column = lead + round((moment - start) / (stop - start) * (plot - 1))
        at = min(max(column - len(label) // 2, lead), width - len(label))
        is_apart = at + len(label) < first or at > last
        if at >= free and is_apart:
            row[at : at + len(label)] = label
            free = at + len(label) + 1
    return "".join(row)


def _mark_label(
    row: list[str], lead: int, mark: tuple[int | None, str] | None, *, ascii_: bool
) -> tuple[int, int]:
    """Write what is before the mark under it, or with an arrow beside it where that is too narrow;
    the columns that it takes, from the first to behind the last."""
    column, label = mark if mark is not None else (None, "")
    label = clean_line(label, 24)
    if column is None or len(label) >= len(row) - lead:
        return len(row), -1
    if len(label) <= column:
        at = lead + (column - len(label)) // 2
    else:
        label = ("<" if ascii_ else "◂") + label
        at = min(lead + column, len(row) - len(label))
    row[at : at + len(label)] = label
    return at, at + len(label)
