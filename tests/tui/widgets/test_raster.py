from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opsconsole.tui.widgets.raster import MARKERS, Canvas, SymbolSet, envelope
from opsconsole.tui.widgets.sparkline import spark

VALUES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=300)
SYMBOLS: list[SymbolSet] = ["braille", "block", "ascii"]


def drawn(canvas: Canvas) -> list[str]:
    return ["".join(text for text, _ in runs) for runs in canvas.rows()]


def draw(
    values: list[float | None], width: int, height: int, symbols: SymbolSet, series: int = 0
) -> list[str]:
    known = [value for value in values if value is not None]
    canvas = Canvas(width, height, symbols)
    times = list(range(len(values)))
    bins = envelope(times, values, 0, max(1, len(values) - 1), canvas.columns)
    canvas.line(series, bins, min(known, default=0.0), max(known, default=1.0))
    return drawn(canvas)


@given(VALUES, st.integers(1, 400))
def test_decimation_keeps_the_extremes_of_every_column(
    values: list[float | None], columns: int
) -> None:
    times = [float(n) for n in range(len(values))]
    stop = max(1.0, times[-1])
    bins = envelope(times, values, 0.0, stop, columns)
    assert len(bins) == columns
    known = [value for value in values if value is not None]
    found = [b for b in bins if b is not None]
    assert bool(found) == bool(known)
    if known:
        assert min(b.low for b in found) == min(known)
        assert max(b.high for b in found) == max(known)
        assert found[0].first == known[0]
        assert found[-1].last == known[-1]
        assert not found[0].from_left
    for b in found:
        assert b.low <= min(b.first, b.last) <= max(b.first, b.last) <= b.high


@given(VALUES)
def test_values_apart_by_a_gap_are_not_joined(values: list[float | None]) -> None:
    times = [float(n) for n in range(len(values))]
    # a column for each value: the line goes on exactly where both neighbours are values
    bins = envelope(times, values, 0.0, float(len(values)), len(values))
    assert [b is None for b in bins] == [value is None for value in values]
    for (before, after), b in zip(pairwise(values), bins[1:], strict=True):
        if b is not None:
            assert b.from_left == (before is not None and after is not None)


def test_values_outside_the_span_do_not_count() -> None:
    bins = envelope([0.0, 1.0, 2.0, 3.0], [100.0, 1.0, 2.0, 100.0], 1.0, 2.0, 4)
    assert [b.high for b in bins if b is not None] == [1.0, 2.0]


@pytest.mark.parametrize("symbols", SYMBOLS)
@pytest.mark.parametrize("series", [0, 1, 2, 3])
def test_a_peak_one_value_wide_reaches_the_top(symbols: SymbolSet, series: int) -> None:
    for place in range(50, 60):  # in whichever part of a dash it falls
        values: list[float | None] = [0.0] * 3000
        values[place * 37] = 1.0
        rows = draw(values, 60, 10, symbols, series)
        assert rows[0].strip(), f"peak at {place}"
        assert rows[-1].strip()


@pytest.mark.parametrize("symbols", SYMBOLS)
def test_a_gap_is_blank_and_few_values_are_joined(symbols: SymbolSet) -> None:
    rows = draw([0.0, 1.0, None, None, 1.0, 0.0], 30, 5, symbols)
    columns = ["".join(row[x] for row in rows).strip() for x in range(30)]
    assert all(columns[1:5])
    assert not any(columns[8:22])
    assert all(columns[-5:-1])


@example([0.0, 1e-308], "braille", 1, 1)
@given(VALUES, st.sampled_from(SYMBOLS), st.integers(1, 40), st.integers(1, 12))
def test_any_values_draw_within_the_canvas(
    values: list[float | None], symbols: SymbolSet, width: int, height: int
) -> None:
    rows = draw(values, width, height, symbols)
    assert len(rows) == height
    assert {len(row) for row in rows} == {width}
    if symbols == "ascii":
        assert all(row.isascii() for row in rows)


def test_series_differ_without_colour() -> None:
    for symbols in SYMBOLS:
        lines = {tuple(draw([0.5] * 200, 40, 1, symbols, series)) for series in range(3)}
        assert len(lines) == 3
    canvas = Canvas(10, 3, "ascii")
    for series, value in ((0, 0.0), (1, 1.0)):
        canvas.line(series, envelope([0, 9], [value, value], 0, 9, 10), 0.0, 1.0)
    rows = drawn(canvas)
    assert rows[0] == MARKERS[1] * 10
    assert rows[2] == MARKERS[0] * 10


def test_a_later_series_covers_an_earlier_one() -> None:
    canvas = Canvas(8, 1, "block")
    bins = envelope([0, 7], [1.0, 1.0], 0, 7, 8)
    canvas.line(0, bins, 0.0, 1.0)
    canvas.line(1, [bins[0], *[None] * 7], 0.0, 1.0)
    assert [(text, owner) for text, owner in next(canvas.rows())] == [("▀", 1), ("▀" * 7, 0)]


@pytest.mark.parametrize(("symbols", "full", "low"), [("block", "█", "▁"), ("ascii", "*:", "*")])
def test_areas_stand_on_the_bottom(symbols: SymbolSet, full: str, low: str) -> None:
    canvas = Canvas(2, 2, symbols)
    canvas.area(0, envelope([0, 1], [10.0, 0.0], 0, 2, 2), 0.0, 10.0)
    rows = drawn(canvas)
    assert rows[0][0] + rows[1][0] == (full * 2)[:2]
    assert rows[0][1] + rows[1][1] == " " + low


def test_sparklines() -> None:
    assert spark([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert spark([7], 4) == "   █"
    assert spark([None, 0, None], 3) == " ▁ "
    assert spark([0, 7], 2, "ascii") == "_@"
    assert spark([5, 10], 2, top=10) == "▅█"
    assert spark([20], 1, top=10) == "█"
    assert spark([0, 0], 2) == "▁▁"
    assert spark([], 3) == "   "
    assert spark([float("nan"), float("inf"), 1.0], 3) == "  █"
    assert spark([1], 0) == ""


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), max_size=300), st.integers(1, 40))
def test_a_sparkline_has_its_width_and_keeps_the_peak(
    values: list[float | None], width: int
) -> None:
    for symbols in SYMBOLS:
        text = spark(values, width, symbols)
        assert len(text) == width
        known = [value for value in values if value is not None]
        if max(known, default=0.0) > 0:
            assert ("@" if symbols == "ascii" else "█") in text
        assert bool(text.strip()) == bool(known)
