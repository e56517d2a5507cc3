from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.logs import Filter, LineIndex, LogBuffer, Pattern
from opsconsole.tui.widgets.log_view_window import LogWindow


def make(lines: int = 100, height: int = 5, max_lines: int = 1000, rows: int = 1) -> LogWindow:
    buffer = LogBuffer(max_lines)
    buffer.extend("a", [b"%d" % n for n in range(lines)])
    window = LogWindow(buffer, lambda number: rows)
    window.height = height
    window.layout()
    return window


def numbers(window: LogWindow) -> list[int]:
    return [number for number, _ in window.layout()]


def add(window: LogWindow, count: int) -> None:
    window.buffer.extend("a", [b"new"] * count)


def test_following_keeps_the_end_at_the_bottom() -> None:
    window = make()
    assert numbers(window) == [95, 96, 97, 98, 99]
    add(window, 3)
    assert numbers(window) == [98, 99, 100, 101, 102]


def test_moving_up_pauses_and_new_lines_move_nothing() -> None:
    window = make()
    window.move(-1)
    assert (window.following, window.cursor) == (False, 98)
    add(window, 50)
    assert numbers(window) == [95, 96, 97, 98, 99]
    assert window.new_lines == 50
    window.move(1)
    window.move(1)
    assert window.cursor == 100
    assert numbers(window) == [96, 97, 98, 99, 100]


def test_moving_past_the_last_line_follows_again() -> None:
    window = make()
    window.move(-1)
    window.move(1)
    assert not window.following
    window.move(1)
    assert window.following
    assert window.cursor is None


def test_a_paused_viewport_stays_put_while_older_lines_are_evicted() -> None:
    window = make(lines=100, max_lines=100)
    window.move(-1)
    window.scroll(-40)
    held = numbers(window)
    assert held == [55, 56, 57, 58, 59]
    add(window, 55)
    assert numbers(window) == held
    assert window.buffer.first == 55
    add(window, 3)  # now lines of the viewport go: what is left of it stays at the top
    assert numbers(window) == [58, 59, 60, 61, 62]


def test_pages_move_cursor_and_viewport() -> None:
    window = make()
    window.page(-1)
    assert numbers(window) == [90, 91, 92, 93, 94]
    assert window.cursor == 94
    window.page(-0.5)
    assert numbers(window)[0] == 88
    window.to_first()
    assert numbers(window) == [0, 1, 2, 3, 4]
    assert window.at_first
    window.page(-1)
    assert window.cursor == 0
    window.page(1)
    assert numbers(window) == [5, 6, 7, 8, 9]


def test_a_jump_far_away_comes_to_the_middle_and_a_near_one_moves_nothing() -> None:
    window = make()
    window.go_to(50)
    assert numbers(window) == [48, 49, 50, 51, 52]
    window.go_to(52)
    assert numbers(window) == [48, 49, 50, 51, 52]
    assert window.cursor == 52


def test_wrapped_lines_scroll_by_rows() -> None:
    window = make(rows=3)
    assert window.layout() == [(98, 1), (98, 2), (99, 0), (99, 1), (99, 2)]
    window.scroll(-1)
    assert window.layout() == [(98, 0), (98, 1), (98, 2), (99, 0), (99, 1)]
    window.scroll(-4)
    assert window.layout()[0] == (96, 2)
    window.move(-1)
    window.move(-1)
    assert window.cursor == 96
    assert window.layout()[0] == (96, 0)
    window.scroll(1000)
    assert window.following


def test_a_line_taller_than_the_viewport_can_be_read_whole() -> None:
    window = make(rows=12)
    window.go_to(50)
    window.scroll_to_position(50)
    seen = set(window.layout())
    for _ in range(12):
        window.scroll(1)
        seen |= set(window.layout())
    assert {(50, row) for row in range(12)} <= seen


def test_a_filter_keeps_the_place() -> None:
    window = make()
    window.go_to(50)
    window.index = LineIndex(window.buffer, Filter(include=(Pattern("[05]$"),)).test)
    window.index.advance(10)
    assert numbers(window) == [50, 55, 60, 65, 70]
    window.move(1)
    assert window.cursor == 55
    window.cursor = 57
    assert window.settle()
    assert window.cursor == 60
    assert not window.settle()
    window.index = None
    window.go_to(60)
    assert numbers(window) == [58, 59, 60, 61, 62]


def test_keys_between_a_flood_and_the_next_frame_do_no_harm() -> None:
    for act in (
        lambda w: w.move(-1),
        lambda w: w.scroll(-1),
        lambda w: w.page(-1),
        lambda w: w.go_to(3),
        lambda w: w.to_first(),
        lambda w: w.scroll_to_position(2),
        lambda w: w.settle(),
        lambda w: w.top_positions(),
    ):
        for paused in (False, True):
            window = make(lines=100, max_lines=100)
            window.index = LineIndex(window.buffer, Filter(include=(Pattern("5"),)).test)
            window.index.advance(10)
            window.layout()
            if paused:
                window.move(-2)
            add(window, 200)  # every line that was shown has gone, and no other is known yet
            act(window)
            assert window.layout() == []


def test_an_empty_log_can_be_driven() -> None:
    window = make(lines=0)
    for act in (
        window.pause,
        window.follow,
        window.to_first,
        lambda: window.move(-1),
        lambda: window.scroll(-1),
        lambda: window.page(1),
        lambda: window.scroll_to_position(5),
    ):
        act()
        assert window.layout() == []
    assert window.top_positions() == (0, 0)
    assert window.following


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 40)),
        st.tuples(st.just("flood"), st.integers(1, 120)),
        st.tuples(st.just("go"), st.integers(-20, 200)),
        st.tuples(st.just("move"), st.integers(-9, 9)),
        st.tuples(st.just("scroll"), st.integers(-20, 20)),
        st.tuples(st.just("page"), st.sampled_from([-1, -0.5, 0.5, 1])),
        st.tuples(st.just("first"), st.just(0)),
        st.tuples(st.just("follow"), st.just(0)),
        st.tuples(st.just("drag"), st.integers(0, 60)),
        st.tuples(st.just("older"), st.integers(1, 10)),
        st.tuples(st.just("height"), st.integers(1, 9)),
        st.tuples(st.just("filter"), st.sampled_from(["", "3", "nothing"])),
    ),
    max_size=40,
)


@pytest.mark.parametrize("tall", [False, True])
@given(OPERATIONS)
def test_whatever_is_done_the_rows_are_consecutive_and_the_cursor_visible(
    tall: bool, operations: list[tuple[str, float]]
) -> None:
    buffer = LogBuffer(max_lines=50)
    window = LogWindow(buffer, lambda number: 1 + number % 4 if tall else 1)
    window.height = 5
    for name, amount in operations:
        stop = buffer.first
        if name == "add":
            buffer.extend("a", [b"%d" % n for n in range(int(amount))])
        elif name == "flood":  # and the next key comes before anything was laid out
            buffer.extend("a", [b"%d" % n for n in range(int(amount))])
            continue
        elif name == "go":
            window.go_to(int(amount))
        elif name == "move":
            window.move(int(amount))
        elif name == "scroll":
            window.scroll(int(amount))
        elif name == "page":
            window.page(amount)
        elif name == "first":
            window.to_first()
        elif name == "follow":
            window.follow()
        elif name == "drag":
            window.scroll_to_position(int(amount))
        elif name == "older":
            buffer.prepend("a", [b"3"] * int(amount))
            if window.index is not None:
                window.index.extend_front(stop)
        elif name == "height":
            window.height = int(amount)
        elif amount:
            test = Filter(include=(Pattern(str(amount)),)).test
            window.index = LineIndex(buffer, test)
        else:
            window.index = None
        if window.index is not None:
            window.index.advance(10)
        window.settle()

        rows = window.layout()
        shown = [window.number_at(position) for position in range(window.count)]
        every = [(n, row) for n in shown for row in range(1 + n % 4 if tall else 1)]
        assert len(rows) == min(window.height, len(every))
        if rows:
            start = every.index(rows[0])
            assert rows == every[start : start + len(rows)]
        if window.following:
            assert rows == every[len(every) - len(rows) :]
        elif name in ("move", "page", "first", "go") and rows:
            assert window.cursor in {number for number, _ in rows}
        top, end = window.top_positions()
        assert 0 <= top <= max(top, end) <= len(shown)
