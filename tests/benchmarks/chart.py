"""Milliseconds a frame of the chart against plotext, in one run.

    python tests/benchmarks/chart.py            # about 20 s
    python tests/benchmarks/chart.py --points 600 --repeat 50

Both draw the same braille lines in 120x40 cells. Ours is timed twice: the rasteriser alone
(decimation, lines and rows of text), and the widget's whole frame with axes, legend and styles in
a headless app. The order alternates from round to round and the median is reported.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from textual.app import App, ComposeResult

from opsconsole.tui.theme import DARK
from opsconsole.tui.widgets.chart import Chart, Series, Threshold
from opsconsole.tui.widgets.raster import Canvas, envelope

WIDTH, HEIGHT = 120, 40
START = 1_763_728_800.0


class ChartApp(App[None]):
    """One chart that fills the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    def compose(self) -> ComposeResult:
        yield Chart(title="latency", format_value=lambda value: f"{value:,.0f} ms")


def latency(points: int, series: int) -> tuple[list[float], list[list[float]]]:
    """Times and noisy values, with a spike that is one point wide."""
    noise = random.Random(7)
    times = [START + n for n in range(points)]
    lines = [
        [20 * (s + 1) + 8 * math.sin(n / 90 + s) + noise.random() * 9 for n in range(points)]
        for s in range(series)
    ]
    lines[-1][points // 3] = 400.0
    return times, lines


def raster(times: list[float], lines: list[list[float]]) -> None:
    """Everything from numbers to rows of braille."""
    canvas = Canvas(WIDTH, HEIGHT)
    for number, values in enumerate(lines):
        bins = envelope(times, values, times[0], times[-1], canvas.columns)
        canvas.line(number, bins, 0.0, 400.0)
    list(canvas.rows())


def with_plotext(times: list[float], lines: list[list[float]]) -> Callable[[], object]:
    """A frame of plotext 6 of the same size."""
    import plotext

    figure = plotext.figure

    def frame() -> object:
        figure.clear()
        figure.plot_size(WIDTH, HEIGHT)
        for values in lines:
            figure.draw(figure.signal(times, values, marker="braille").lines())
        return figure.build()

    return frame


def milliseconds(frame: Callable[[], object]) -> float:
    begin = time.perf_counter()
    frame()
    return (time.perf_counter() - begin) * 1000


async def measure(points: int, series: int, repeat: int) -> list[float]:
    """Medians: rasteriser, whole widget, plotext."""
    times, lines = latency(points, series)
    app = ChartApp()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        await pilot.pause()
        chart = app.query_one(Chart)
        drawn = [Series(f"p{n}", times, values) for n, values in enumerate(lines)]
        levels = [Threshold(300.0, "SLO 300 ms")]

        def widget() -> None:
            chart.show(drawn, thresholds=levels)
            for row in range(HEIGHT):
                chart.render_line(row)

        frames: list[Callable[[], object]] = [
            lambda: raster(times, lines),
            widget,
            with_plotext(times, lines),
        ]
        taken: list[list[float]] = [[] for _ in frames]
        for number in range(repeat + 1):
            order = list(enumerate(frames))
            for place, frame in order if number % 2 else reversed(order):
                spent = milliseconds(frame)
                if number:  # the first round fills caches
                    taken[place].append(spent)
    return [statistics.median(column) for column in taken]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--points", type=int, default=3000)
    options.add_argument("--repeat", type=int, default=15)
    chosen = options.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, {WIDTH}x{HEIGHT} braille\n"
    )
    print(f"{'series x points':<18}{'raster ms':>11}{'per series':>12}{'widget ms':>11}", end="")
    print(f"{'plotext ms':>12}{'ratio':>8}")
    for series in (1, 3):
        for points in sorted({chosen.points // 10, chosen.points}):
            ours, widget, other = asyncio.run(measure(points, series, chosen.repeat))
            print(
                f"{f'{series} x {points:,}':<18}{ours:>11.2f}{ours / series:>12.2f}{widget:>11.2f}"
                f"{other:>12.1f}{other / widget:>7.0f}x"
            )
    print("\nratio: plotext's frame to the widget's whole frame")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
