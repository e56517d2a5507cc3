"""A comparison of runs as text, for a terminal and for the screen."""

from __future__ import annotations

import math
from textwrap import wrap

from opsconsole import figures
from opsconsole.load.compare import Change, Comparison
from opsconsole.load.measured import measure
from opsconsole.load.report import WIDTH, plain
from opsconsole.load.tables import Table, aligned
from opsconsole.text import clean_line

_GLYPHS = {"better": "●", "worse": "×", "no difference": "·"}


def comparison_text(comparison: Comparison, *, unicode: bool = True, width: int = WIDTH) -> str:
    """The comparison as a table in ``width`` columns (40 at least), without colours."""
    width = max(width, 40)
    interval = f"{comparison.level:.0%} interval"
    ranked = any(change.p is not None for change in comparison.changes)
    table = Table(
        head=("", "metric", "base", "new", "change", interval, *(["p"] * ranked), "verdict"),
        rows=tuple(_row(change, ranked) for change in comparison.changes),
        words=(0, 1),
        spare=("p", interval, "base", "new"),
    )
    lines = [*wrap(f"{comparison.base} → {comparison.new}", width), "", *aligned(table, width)]
    for change in comparison.changes:
        if change.note:
            lines += wrap(f"{change.metric}: {clean_line(change.note, 200)}", width)
    lines.append("")
    for note in comparison.notes:
        lines += wrap(clean_line(note, 400), width, subsequent_indent="  ")
    lines += wrap(comparison.test, width)
    whole = "\n".join(lines)
    return whole if unicode else plain(whole)


def change_text(value: float | None) -> str:
    """A change as a share of what it was: ``+3.1%``; ``—`` where it cannot be said."""
    if value is not None and math.isinf(value):
        return "+∞"
    return figures.DASH if value is None else f"{value:+.1%}"


def _row(change: Change, ranked: bool) -> tuple[str, ...]:
    interval = figures.DASH
    if change.low is not None:
        interval = f"{change_text(change.low)} … {change_text(change.high)}"
    return (
        _GLYPHS[change.verdict] if not change.note else figures.DASH,
        change.metric,
        measure(change.metric, change.base),
        measure(change.metric, change.new),
        change_text(change.change),
        interval,
        *([figures.DASH if change.p is None else f"{change.p:.3f}"] * ranked),
        change.verdict if not change.note else figures.DASH,
    )
