"""Charts as SVG text. Colours are classes, so that the page's style decides light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 960
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 22, 30

_LEAST_NAME = 8
"""Letters of a phase's name that are worth being drawn where there is no room for more."""

Label = Callable[[float], str]


class Line(NamedTuple):
    """One series; None is a gap. ``style`` is a class of the style sheet, ``area`` fills below."""

    name: str
    style: str
    values: Sequence[float | None]
    area: bool = False


class Mark(NamedTuple):
    """A limit across the chart, or a value on the axis of a distribution."""

    value: float
    text: str
    style: str = "limit"


class Band(NamedTuple):
    """A stretch of the time axis with a name; ``faint`` ones are not measured."""

    begin: float
    end: float
    text: str
    faint: bool


class Axis(NamedTuple):
    """From data to pixels. ``log`` needs ``low`` > 0."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of ``value``; what is outside lies on the edge."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        share = (value - low) / (high - low) if high > low else 0.0
        return self.begin + min(max(share, 0.0), 1.0) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Round values to be written beside the axis."""
        return decades(self.low, self.high) if self.log else steps(self.low, self.high)


def steps(low: float, high: float, about: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within ``low`` … ``high``."""
    if high <= low:
        return [low]
    raw = (high - low) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 in every decade of ``low`` … ``high``, fewer where those would be many."""
    span = math.log10(high / low)
    for multiples in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [
            multiple * 10.0**exponent
            for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for multiple in multiples
            if low * 0.999 <= multiple * 10.0**exponent <= high * 1.001
        ]
        if len(found) <= 10:
            break
    return found if len(found) > 1 or span < 1e-9 else steps(low, high)


def over_time(
    title: str,
    times: Sequence[float],
    lines: Sequence[Line],
    *,
    label: Label,
    clock: Label,
    width: float = 1.0,
    height: int = 250,
    stacked: bool = False,
    bands: Sequence[Band] = (),
    limits: Sequence[Mark] = (),
    top: float | None = None,
) -> str:
    """Lines over time, or areas upon each other. ``width`` is the longest tick in seconds.

    Latencies that differ thirtyfold are drawn on a log axis, which the page says beside the title.
    """
    if not times:
        return ""
    if stacked:
        lines = _stack(lines)
    known = [value for line in lines for value in line.values if value is not None]
    most = top or max([*known, *(mark.value for mark in limits)], default=0) or 1.0
    log = not stacked and use_log(lines)
    low = min(value for value in known if value > 0) * 0.8 if log else 0.0
    bottom = height - BOTTOM
    across = Axis(
        min(times[0], *(band.begin for band in bands)) if bands else times[0],
        max(times[-1], *(band.end for band in bands)) if bands else times[-1],
        LEFT,
        WIDTH - RIGHT,
    )
    up = Axis(low, most * (1.25 if log else 1.08), bottom, TOP, log)
    parts = [_open(title, height), _bands(bands, across, bottom), _grid(up, label)]
    parts.append(_below(across, bottom, _clock_ticks(across), clock))
    floor = [(across.at(time), float(bottom)) for time in times]
    strokes = []
    for line in lines:
        for piece in _pieces(times, line.values):
            path = " ".join(f"{_n(across.at(x))},{_n(up.at(y))}" for x, y in piece)
            if line.area:
                begin, end = across.at(piece[0][0]), across.at(piece[-1][0])
                below = [f"{_n(x)},{_n(y)}" for x, y in reversed(floor) if begin <= x <= end]
                parts.append(
                    f'<polygon class="area {line.style}" points="{path} {" ".join(below)}"/>'
                )
            if len(piece) == 1:
                x, y = path.split(",")
                strokes.append(f'<circle class="dot {line.style}" cx="{x}" cy="{y}" r="2.2"/>')
            else:
                strokes.append(f'<polyline class="line {line.style}" points="{path}"/>')
        if stacked:
            floor = [
                (across.at(time), up.at(value or 0))
                for time, value in zip(times, line.values, strict=True)
            ]
    # The lowest of a stack last: where nothing lies on it, it is what is seen.
    parts += reversed(strokes) if stacked else strokes
    for mark in limits:
        parts.append(_limit(mark, up))
    parts.append(_hover(times, lines, across, bottom, label, clock, width, stacked))
    return "".join([*parts, "</svg>"])


def distribution(
    title: str,
    bars: Sequence[tuple[float, float, float]],
    marks: Sequence[Mark],
    *,
    label: Label,
    count: Label,
    height: int = 250,
) -> str:
    """Bars (low, high, count) on a log axis, with values marked on it."""
    if not bars:
        return ""
    bottom = height - BOTTOM
    head = TOP + 10
    # From the least to the largest, and to the limits: how far away they are is the news.
    inside = [mark.value for mark in marks if mark.value > 0]
    low, high = min([bars[0][0], *inside]), max([bars[-1][1], *inside])
    across = Axis(low, high * (1.05 if high > bars[-1][1] else 1), LEFT, WIDTH - RIGHT, True)
    up = Axis(0.0, max(bar[2] for bar in bars) * 1.05, bottom, head)
    parts = [_open(title, height), _grid(up, count)]
    parts.append(_below(across, bottom, across.ticks(), label))
    for begin, end, number in bars:
        if number <= 0:
            continue
        left, right = across.at(begin), across.at(end)
        said = escape(f"{label(begin)} – {label(end)}: {count(number)}")
        y = min(up.at(number), bottom - 0.8)
        parts.append(
            f'<rect class="bar" x="{_n(left)}" y="{_n(y)}" height="{_n(bottom - y)}" '
            f'width="{_n(max(right - left - 1, 0.6))}"><title>{said}</title></rect>'
        )
    row_end = [-1e9, -1e9]
    for mark in sorted(marks, key=lambda mark: mark.value):
        x = across.at(mark.value)
        size = 7.2 * len(mark.text)
        anchor, begin = ("end", x - size) if x + size > WIDTH - 4 else ("start", x)
        row = 0 if begin > row_end[0] + 8 else 1
        if begin <= row_end[row] + 2:
            continue
        row_end[row] = begin + size
        parts.append(
            f'<line class="mark {mark.style}" x1="{_n(x)}" x2="{_n(x)}" y1="{TOP - 12 + 14 * row}" '
            f'y2="{bottom}"/><text class="marktext {mark.style}" '
            f'x="{_n(x + (4 if anchor == "start" else -4))}" y="{TOP - 3 + 14 * row}" '
            f'text-anchor="{anchor}">{escape(mark.text)}</text>'
        )
    return "".join([*parts, "</svg>"])


def use_log(lines: Sequence[Line]) -> bool:
    """Whether the lines differ so much that a linear axis would flatten the lower ones."""
    known = [value for line in lines for value in line.values if value is not None and value > 0]
    return bool(known) and not any(line.area for line in lines) and max(known) > 30 * min(known)


def _stack(lines: Sequence[Line]) -> list[Line]:
    below = [0.0] * len(lines[0].values) if lines else []
    stacked = []
    for line in lines:
        below = [base + (value or 0) for base, value in zip(below, line.values, strict=True)]
        stacked.append(line._replace(values=list(below), area=True))
    return stacked


def _open(title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    )


def _bands(bands: Sequence[Band], across: Axis, bottom: float) -> str:
    parts = []
    for band in bands:
        left, right = across.at(band.begin), across.at(band.end)
        if band.faint:
            parts.append(
                f'<rect class="faint" x="{_n(left)}" y="{TOP}" width="{_n(right - left)}" '
                f'height="{_n(bottom - TOP)}"/>'
            )
        elif left > LEFT + 1:
            parts.append(
                f'<line class="phase" x1="{_n(left)}" x2="{_n(left)}" y1="{TOP}" y2="{bottom}"/>'
            )
        room = int((right - left - 8) / 7)
        # Of many short phases the rests of names would tell nothing.
        if len(bands) > 1 and room >= min(len(band.text), _LEAST_NAME):
            text = band.text if len(band.text) <= room else band.text[: room - 1] + "…"
            parts.append(
                f'<text class="phasename" x="{_n(left + 1)}" y="{TOP - 8}">{escape(text)}</text>'
            )
    return "".join(parts)


def _grid(up: Axis, label: Label) -> str:
    parts = []
    for value in up.ticks():
        y = _n(up.at(value))
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y}" dy=".34em" text-anchor="end">'
            f"{escape(label(value))}</text>"
        )
    return "".join(parts)


def _below(across: Axis, bottom: float, ticks: Sequence[float], label: Label) -> str:
    parts = [f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>']
    for value in ticks:
        x = across.at(value)
        anchor = "end" if x > WIDTH - RIGHT - 12 else "middle"
        parts.append(
            f'<line class="axis" x1="{_n(x)}" x2="{_n(x)}" y1="{bottom}" y2="{bottom + 4}"/>'
            f'<text class="tick" x="{_n(x)}" y="{bottom + 18}" text-anchor="{anchor}">'
            f"{escape(label(value))}</text>"
        )
    return "".join(parts)


def _clock_ticks(across: Axis) -> list[float]:
    """Round times: of seconds, minutes or hours."""
    length = across.high - across.low
    for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600):
        if length / step <= 10:
            break
    else:
        step = 43200
    if length < 2:
        return steps(across.low, across.high)
    first = math.ceil(across.low / step)
    return [float(i * step) for i in range(first, math.floor(across.high / step) + 1)]


def _limit(mark: Mark, up: Axis) -> str:
    y = up.at(mark.value)
    return (
        f'<line class="mark {mark.style}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_n(y)}" '
        f'y2="{_n(y)}"/><text class="marktext {mark.style}" x="{WIDTH - RIGHT - 4}" '
        f'y="{_n(y - 5)}" text-anchor="end">{escape(mark.text)}</text>'
    )


def _hover(
    times: Sequence[float],
    lines: Sequence[Line],
    across: Axis,
    bottom: float,
    label: Label,
    clock: Label,
    width: float,
    stacked: bool,
) -> str:
    """A strip for every tick that shows its figures under the mouse, without any script."""
    parts = ['<g class="hover">']
    for i, time in enumerate(times):
        left, right = across.at(time - width / 2), across.at(time + width / 2)
        figures = []
        for at, line in enumerate(lines):
            value = line.values[i]
            if stacked and at and value is not None:
                value -= lines[at - 1].values[i] or 0
            if value is not None:
                figures.append(f"{line.name} {label(value)}")
        text = escape(f"{clock(time)}: " + ", ".join(figures))
        parts.append(
            f'<rect x="{_n(left)}" y="{TOP}" width="{_n(max(right - left, 0.5))}" '
            f'height="{_n(bottom - TOP)}"><title>{text}</title></rect>'
        )
    return "".join([*parts, "</g>"])


def _pieces(
    times: Sequence[float], values: Sequence[float | None]
) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for at, value in zip(times, values, strict=True):
        if value is not None:
            pieces[-1].append((at, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _n(value: float) -> str:
    """A pixel to a tenth, without idle zeros."""
    return f"{value:.1f}".removesuffix(".0")
