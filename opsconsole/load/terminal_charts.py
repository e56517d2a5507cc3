"""Charts for a terminal without a screen of its own, drawn by plotext."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsconsole.load.live_moments import Moment
from opsconsole.load.summary import per_second, span, took

_HEIGHT = 11
_ASCII = str.maketrans("┌┐└┘─│┤┬├┴┼", "++++-|+++++")


def charts(points: Sequence[Moment], *, width: int, unicode: bool) -> list[str]:
    """Response times and rates over time, side by side where there is room; empty with less than
    three points. Where no answer was good there are no times."""
    if len(points) < 3:
        return []
    wide = width >= 110
    each = (width - 2) // 2 if wide else width
    times = [point.at for point in points]
    latency = _chart(
        "response: p50, p95, p99",
        times,
        [
            [None if value is None else value * 1000 for value in line]
            for line in zip(*((p.p50, p.p95, p.p99) for p in points), strict=True)
        ],
        label=lambda value: took(value / 1000) if value else "0",
        width=each,
        unicode=unicode,
    )
    rate = _chart(
        "good and failed a second" if any(point.errors for point in points) else "good a second",
        times,
        [[point.good for point in points]]
        + ([[point.errors for point in points]] if any(point.errors for point in points) else []),
        label=per_second,
        width=each,
        unicode=unicode,
    )
    if all(point.p50 is None for point in points):
        return rate
    if not wide:
        return [*latency, *rate]
    return [f"{one:<{each}}  {other}".rstrip() for one, other in zip(latency, rate, strict=True)]


def _chart(
    title: str,
    times: Sequence[float],
    lines: Sequence[Sequence[float | None]],
    *,
    label: Any,
    width: int,
    unicode: bool,
) -> list[str]:
    # 0.1 s to import, which no other verb shall pay. Its one figure is global: cleared before.
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, _HEIGHT)
    figure.title(title)
    figure.legend(False)
    most = max((value for line in lines for value in line if value is not None), default=0) or 1
    for line, mark in zip(lines, ".+*", strict=False):
        # plotext joins across a hole; drawn piece by piece, a hole stays one.
        for piece in _pieces(times, line):
            signal = figure.signal(
                [at for at, _ in piece],
                [value for _, value in piece],
                marker="braille" if unicode else mark,
            )
            figure.draw(signal.lines(len(piece) > 1))
    top = _ceiling(most)
    ticks = [0.0, top / 2, top]
    figure.ruler("y").lim(0, top).ticks(ticks, [label(tick) for tick in ticks])
    first, last = times[0], times[-1]
    marks = [first + (last - first) * i / 4 for i in range(5)]
    figure.ruler("x").lim(first, last).ticks(marks, [span(mark) for mark in marks])
    drawn: str = figure.build().string(colorless=True)
    figure.clear()
    rows = [row.rstrip() for row in drawn.rstrip("\n").split("\n")]
    return rows if unicode else [_ascii(row) for row in rows]


def _pieces(
    times: Sequence[float], line: Sequence[float | None]
) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for at, value in zip(times, line, strict=True):
        if value is not None:
            pieces[-1].append((at, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _ceiling(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 8 times a power of ten."""
    power = 10.0
    while power > value:
        power /= 10
    while power * 10 <= value:
        power *= 10
    return next(
        (step * power for step in (1, 1.5, 2, 3, 5, 8) if step * power >= value), 10 * power
    )


def _ascii(row: str) -> str:
    return row.translate(_ASCII).replace("µ", "u").encode("ascii", "replace").decode()
