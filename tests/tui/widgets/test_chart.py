from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from opsconsole.tui.theme import DARK, LIGHT, THEMES
from opsconsole.tui.widgets.chart import Chart, Mark, Series, Threshold
from opsconsole.tui.widgets.chart_axis import elapsed, time_row, time_ticks, value_scale
from opsconsole.tui.widgets.raster import SymbolSet
from tests.tui.render import screen_lines

NOON = time.mktime((2026, 11, 21, 12, 0, 0, 0, 0, -1))
TIMES = [NOON + n for n in range(300)]


class ChartApp(App[None]):
    """A chart that fills the screen."""

    CSS = "Screen { background: $background; }"

    def __init__(self, symbols: SymbolSet = "braille", theme: str = DARK.name) -> None:
        super().__init__()
        for each in THEMES:
            self.register_theme(each)
        self.theme = theme
        self.chart = Chart(
            title="latency", format_value=lambda value: f"{value:,.0f} ms", symbols=symbols
        )

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    def compose(self) -> ComposeResult:
        yield self.chart


def wave(low: float, high: float) -> list[float]:
    return [low + (high - low) * (1 + math.sin(n / 20)) / 2 for n in range(300)]


def three() -> list[Series]:
    return [
        Series("p50", TIMES, wave(15, 20), "good"),
        Series("p95", TIMES, wave(30, 50), "warn"),
        Series("p99", TIMES, wave(60, 95), "bad"),
    ]


async def shown(
    show: Callable[[Chart], None],
    size: tuple[int, int] = (80, 24),
    symbols: SymbolSet = "braille",
) -> list[str]:
    app = ChartApp(symbols)
    async with app.run_test(size=size) as pilot:
        show(app.chart)
        await pilot.pause()
        return screen_lines(app)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
@pytest.mark.parametrize("symbols", ["braille", "block", "ascii"])
async def test_axes_times_legend_and_level(size: tuple[int, int], symbols: SymbolSet) -> None:
    lines = await shown(
        lambda chart: chart.show(three(), thresholds=[Threshold(80, "SLO 80 ms")]), size, symbols
    )
    text = "\n".join(lines)
    assert len(lines) == size[1]
    assert lines[1].strip().startswith("100 ms")
    assert any(line.strip().startswith("0 ms") for line in lines)
    assert "12:00" in lines[-1]
    assert all(name in lines[0] for name in ("p50", "p95", "p99"))
    assert "SLO 80 ms" in text
    if symbols == "ascii":
        assert text.isascii()
    if size[0] >= 80:
        assert "latency" in lines[0]
        assert "p99 " + f"{three()[2].last:,.0f} ms" in lines[0]


async def test_a_level_far_above_is_named_and_does_not_press_the_lines_flat() -> None:
    lines = await shown(
        lambda chart: chart.show(three(), thresholds=[Threshold(2000, "SLO 2 s")]), (100, 20)
    )
    assert "SLO 2 s ↑" in lines[0]
    assert lines[1].strip().startswith("100 ms")


async def test_a_level_above_is_named_whole_or_not_at_all() -> None:
    level = Threshold(2000, "p95 <= 800ms")
    named = []
    for width in range(24, 90, 3):
        lines = await shown(
            lambda chart: chart.show(three(), thresholds=[level]), (width, 12), "ascii"
        )
        named.append("p95 <= 800ms ^" in lines[0])
        assert named[-1] or "<=" not in lines[0], width
    assert named == sorted(named)
    assert set(named) == {False, True}


async def test_without_data_it_says_so() -> None:
    gaps = Series("p50", TIMES[:3], [None, math.nan, math.inf])
    for series in ([], [Series("p50", [], [])], [gaps]):
        lines = await shown(lambda chart, s=series: chart.show(s), (40, 9))  # type: ignore[misc]
        assert "no data" in "\n".join(lines)


async def test_a_single_value_and_a_flat_zero_can_be_seen() -> None:
    for values in ([5.0], [0.0]):
        lines = await shown(
            lambda chart, v=values: chart.show([Series("a", TIMES[:1], v)]),  # type: ignore[misc]
            (40, 8),
            "ascii",
        )
        assert "*" in "\n".join(lines[1:])


async def test_foreign_names_cannot_do_anything() -> None:
    evil = "\x1b]52;c;eA==\x07[@click=app.quit]x[/] [/x]\x1b[2J"
    series = [Series(evil, TIMES, wave(1, 2)), Series("b", TIMES, wave(1, 2))]
    lines = await shown(lambda chart: chart.show(series, thresholds=[Threshold(1.5, evil)]))
    text = "\n".join(lines)
    assert "[@click=app.quit]" in text
    assert all(c.isprintable() for line in lines for c in line)


async def test_smallest_sizes_draw_something() -> None:
    for size in ((1, 1), (5, 2), (12, 3), (19, 4)):
        assert len(await shown(lambda chart: chart.show(three()), size)) == size[1]


async def test_colours_follow_the_theme() -> None:
    app = ChartApp()
    async with app.run_test(size=(60, 10)) as pilot:
        app.chart.show(three())
        await pilot.pause()
        styles = []
        for theme in (DARK, LIGHT):
            app.theme = theme.name
            await pilot.pause()
            strip = app.chart.render_line(0)
            styles.append([segment.style for segment in strip])
        assert styles[0] != styles[1]
        app.chart.symbols = "ascii"
        await pilot.pause()
        assert "\n".join(screen_lines(app)).isascii()


@given(st.floats(0, 1e12), st.integers(1, 15))
def test_scales_hold_the_values_and_have_round_ends(high: float, parts: int) -> None:
    scale = value_scale(0.0, high, parts)
    assert scale.low == 0
    assert scale.high >= high * (1 - 1e-9)
    assert scale.high <= max(1.0, high * 1.51)
    assert len(scale.ticks) == len(set(scale.ticks))
    assert 2 <= len(scale.ticks) <= parts + 1
    digits = f"{scale.high:.6e}".split("e")[0].rstrip("0").rstrip(".")
    assert len(digits.replace(".", "")) <= 2


@given(st.floats(-1e9, -1e-3), st.floats(-1e9, 1e9), st.integers(1, 15))
def test_scales_below_zero(low: float, span: float, parts: int) -> None:
    high = low + abs(span)
    scale = value_scale(low, high, parts)
    assert scale.low <= low * (1 - 1e-9) or math.isclose(scale.low, low, rel_tol=1e-6)
    assert scale.high >= min(high, 0.0)
    assert scale.high >= high or math.isclose(scale.high, high, rel_tol=1e-6)
    assert len(scale.ticks) <= parts + 3


@given(st.floats(0.5, 4e7), st.integers(5, 250))
def test_time_labels_fit_and_are_round(span: float, columns: int) -> None:
    ticks = time_ticks(NOON, NOON + span, columns)
    assert sum(len(label) + 1 for _, label in ticks) <= columns + 20
    assert all(NOON <= moment <= NOON + span for moment, _ in ticks)


def test_time_labels_read_well() -> None:
    assert [label for _, label in time_ticks(NOON + 5, NOON + 605, 60)] == [
        "12:02",
        "12:04",
        "12:06",
        "12:08",
        "12:10",
    ]
    assert [label for _, label in time_ticks(NOON, NOON + 60, 60, NOON)][:3] == [
        "0 s",
        "10 s",
        "20 s",
    ]
    assert [elapsed(0)(s) for s in (0, 40, 60, 90, 150, 3600)] == [
        "0 s",
        "40 s",
        "1 m",
        "90 s",
        "2m30",
        "60 m",
    ]


def test_a_series_checks_its_length() -> None:
    with pytest.raises(ValueError, match="2 times for 1 values"):
        Series("a", [1.0, 2.0], [1.0])


@pytest.mark.parametrize("symbols", ["braille", "block", "ascii"])
async def test_a_mark_parts_what_is_before_it_at_every_size(symbols: SymbolSet) -> None:
    def show(chart: Chart) -> None:
        low = Series("p50", [NOON + n for n in range(30)], [10.0] * 30, "good")
        high = Series("p99", [NOON + n for n in range(30)], [90.0] * 30, "bad")
        chart.show([low, high], origin=NOON, span=(NOON, NOON + 30), mark=Mark(NOON + 3, "warm-up"))

    glyph, arrow = (":", "<") if symbols == "ascii" else ("┊", "◂")
    for size in ((60, 24), (28, 8), (160, 10)):
        lines = await shown(show, size, symbols)
        columns = {line.index(glyph) for line in lines if glyph in line}
        assert len(columns) == 1
        assert sum(glyph in line for line in lines) >= 3
        [column] = columns
        if size[0] == 160:
            assert "warm-up" in lines[-1][:column]
        else:
            assert lines[-1].index(f"{arrow}warm-up") == column


def test_the_label_of_a_mark_goes_before_those_of_the_axis() -> None:
    assert time_row((0, 30), 8, 32, 40, 0, (1, "warm-up"), ascii_=True) == (
        "         <warm-up          20 s     30 s"
    )
    assert "warm-up" in time_row((0, 30), 8, 32, 40, 0, (30, "warm-up"))
    assert "warm-up" not in time_row((0, 30), 2, 6, 8, 0, (1, "warm-up"))
    assert time_row((0, 30), 8, 32, 40, 0, (None, "warm-up")) == time_row((0, 30), 8, 32, 40, 0)
