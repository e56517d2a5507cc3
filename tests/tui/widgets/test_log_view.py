from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from rich.color import Color
from textual import events
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from opsconsole.errors import OpsError
from opsconsole.logs import Filter, Pattern
from opsconsole.tui.theme import DARK, LIGHT, THEMES
from opsconsole.tui.widgets.log_view import LogView
from opsconsole.tui.widgets.log_view_lines import WRAP_ROWS, ShownLine, sgr_style
from tests.logs.corpus import HOSTILE, SGR, dangerous
from tests.tui.render import screen_text, wait_for, widget_lines


class LogApp(App[None]):
    """A log view that fills the screen, and what it has said."""

    def __init__(self, max_lines: int = 100_000) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name
        self.view = LogView(max_lines=max_lines)
        self.said: list[Message] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        self.view.focus()

    def on_copy_requested(self, message: LogView.CopyRequested) -> None:
        self.said.append(message)

    def on_prompt_requested(self, message: LogView.PromptRequested) -> None:
        self.said.append(message)

    def on_older_requested(self, message: LogView.OlderRequested) -> None:
        self.said.append(message)

    def on_line_opened(self, message: LogView.LineOpened) -> None:
        self.said.append(message)

    def rows(self) -> list[str]:
        return widget_lines(self.view)


def numbered(start: int, stop: int, pattern: bytes = b"line %d") -> list[bytes]:
    return [pattern % number for number in range(start, stop)]


async def fed(pilot: Pilot[None], view: LogView, lines: list[bytes], source: str = "a") -> None:
    """Feed and wait until the view has looked at everything."""
    held = view.buffer.end + len(lines)
    view.feed(source, lines)
    await wait_for(
        pilot,
        lambda: view.buffer.end == held and view._timer is None and not view.state.working,
    )


async def settled(pilot: Pilot[None], view: LogView) -> None:
    await pilot.pause()
    await wait_for(pilot, lambda: view._timer is None and not view.state.working)


def cursor_line(app: LogApp) -> str:
    return next(row for row in app.rows() if row.startswith("▌"))


# what it shows


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_the_end_is_shown_and_followed(size: tuple[int, int]) -> None:
    app = LogApp()
    async with app.run_test(size=size) as pilot:
        await fed(pilot, app.view, numbered(0, 500))
        assert app.rows()[-1].startswith("   line 499")
        assert app.rows()[0].startswith(f"   line {500 - size[1]}")
        await fed(pilot, app.view, numbered(500, 510))
        assert app.rows()[-1].startswith("   line 509")
        assert app.view.state.following


async def test_a_short_log_stands_at_the_top() -> None:
    app = LogApp()
    async with app.run_test(size=(40, 12)) as pilot:
        await settled(pilot, app.view)
        assert "no lines yet" in screen_text(app)
        await fed(pilot, app.view, [b"only one"])
        assert app.rows()[0].startswith("   only one")


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_nothing_hostile_reaches_the_strips(size: tuple[int, int], wrap: bool) -> None:
    app = LogApp()
    async with app.run_test(size=size) as pilot:
        app.view.wrap = wrap
        await fed(pilot, app.view, [*HOSTILE.values()], "evil\x1b]52;c;eA==\x07[/x]")
        await fed(pilot, app.view, [b"last"], "b\u202e")
        await pilot.press("g")
        seen = set()
        for _ in range(200):
            await settled(pilot, app.view)
            for y in range(app.view.size.height):
                strip = app.view.render_line(y)
                assert dangerous(strip.text) == []
                assert strip.cell_length == app.view.scrollable_content_region.width
                for segment in strip:
                    assert segment.control is None
                    assert segment.style is not None
                    assert segment.style.link is None
                    assert not segment.style.meta
            seen |= set(app.view._window.visible)
            if app.view.following:
                break
            app.view.action_page_down()
        assert {number for number, _ in seen} == set(range(len(HOSTILE) + 1))
        text = screen_text(app)
        assert dangerous(text.replace("\n", "")) == []


async def test_markup_is_text() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 5)) as pilot:
        await fed(
            pilot, app.view, [b"[@click=app.quit]press[/] [/x] [on red]x[/on red] [$primary]"]
        )
        assert "[@click=app.quit]press[/] [/x] [on red]x[/on red] [$primary]" in app.rows()[0]
        await pilot.click(LogView, offset=(10, 0))
        await pilot.pause()
        assert app.is_running


async def test_a_huge_line_is_only_looked_at_as_far_as_it_shows() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await fed(pilot, app.view, [b"x" * (1 << 20)] * 30)
        assert len(app.view._painter.shown(29).text) < 2000
        assert app.rows()[0].endswith("x›")
        app.view.wrap = True
        await settled(pilot, app.view)
        assert app.view._painter.rows_of(29) == WRAP_ROWS
        assert len(app.view._painter.shown(29).text) < 80 * WRAP_ROWS + 100
        assert app.rows()[-1].rstrip("▁▂▃▄▅▆▇█ ").endswith("… 1,048,576 bytes")


async def test_long_lines_scroll_sideways_as_far_as_they_go() -> None:
    app = LogApp()
    async with app.run_test(size=(40, 6)) as pilot:
        await fed(pilot, app.view, [b"0123456789" * 6, "界".encode() * 40, b"short"])
        assert app.rows()[0].rstrip("▁▂▃▄▅▆▇█ ").endswith("›")
        await pilot.press("right")
        await settled(pilot, app.view)
        assert app.rows()[0].startswith("   ‹789012345")
        assert app.rows()[1].startswith("   ‹ 界界") or app.rows()[1].startswith("   ‹界")
        for _ in range(20):
            await pilot.press("right")
        await settled(pilot, app.view)
        assert app.view._painter.column == 64  # the last step that shows something of a line
        await pilot.press("0")
        await settled(pilot, app.view)
        assert app.rows()[0].startswith("   0123456789")


async def test_wrapped_lines_show_all_of_their_text() -> None:
    app = LogApp()
    async with app.run_test(size=(40, 10)) as pilot:
        line = "".join(chr(ord("a") + n % 26) for n in range(100))
        await fed(pilot, app.view, [b"before", line.encode(), "é界".encode() * 30])
        await pilot.press("z")
        await settled(pilot, app.view)
        text = "".join(row[3:].rstrip("▁▂▃▄▅▆▇█ ") for row in app.rows())
        assert line in text
        assert "é界" * 30 in text
        assert app.view.state.wrap


async def test_levels_have_a_sign_and_colours_become_styles() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 8)) as pilot:
        lines = [b"ERROR bad", b"WARN hm", b"INFO ok", b"DEBUG dull", SGR]
        await fed(pilot, app.view, lines)
        rows = app.rows()
        assert [row[:3] for row in rows[:5]] == [" × ", " ▲ ", "   ", "   ", "   "]
        red = next(s for s in app.view.render_line(4) if s.text == "red")
        assert red.style is not None
        assert red.style.bold
        assert red.style.color == Color.from_ansi(1)
        hidden = next(s for s in app.view.render_line(4) if s.text == "rgb")
        assert hidden.style is not None
        assert hidden.style.color == app.view.rich_style.color  # near black on black is left out


def test_sgr_cannot_hide_text() -> None:
    assert sgr_style("8", True).conceal is None
    assert sgr_style("5", True).blink is None
    assert sgr_style("41", True).bgcolor is None
    assert sgr_style("48;5;1;1", True).bold
    assert sgr_style("38;5;0", True).color is None
    assert sgr_style("38;5;0", False).color is not None
    assert sgr_style("38;2;255;255;255", False).color is None
    assert sgr_style("1;22", True).bold is False
    assert sgr_style("31;39", True).color is None
    assert sgr_style("38", True) == sgr_style("38;5", True) == sgr_style("", True)


async def test_our_json_lines_are_short_and_sources_have_names() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 6)) as pilot:
        record = {"time": 1763728867, "level": "warning", "message": "queue full", "waiting": 64}
        await fed(pilot, app.view, [json.dumps(record).encode()], "reranker-1")
        assert " WARNING queue full waiting=64" in app.rows()[0]
        assert "reranker-1" not in screen_text(app)
        await fed(pilot, app.view, [b"other"], "tei")
        assert app.rows()[0].startswith(" ▲ reranker-1 │ ")
        assert app.rows()[1].startswith("   tei        │ other")
        colours = [list(app.view.render_line(y))[3].style for y in (0, 1)]
        assert colours[0] != colours[1]


async def test_ascii_draws_with_ascii_only() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        app.view.ascii = True
        await fed(pilot, app.view, [b"ERROR bad", b"WARN " + b"x" * 100, b"y" * 5000])
        await fed(pilot, app.view, [b"third"], "b")
        await pilot.press("k", "k", "space", "right", "z")
        await settled(pilot, app.view)
        assert screen_text(app).isascii()
        assert any(row.startswith("> ") for row in app.rows())


async def test_without_colour_the_signs_and_words_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, [b"INFO ok", b"ERROR bad", b"WARN hm"])
        await pilot.press("k")
        app.view.search(Pattern("bad"))
        await settled(pilot, app.view)
        assert app.rows()[1].startswith("▌× ERROR bad")
        match = next(s for s in app.view.render_line(1) if s.text == "bad")
        assert match.style is not None
        assert match.style.reverse


async def test_a_theme_changes_the_colours() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 5)) as pilot:
        await fed(pilot, app.view, [b"ERROR bad"])
        before = [segment.style for segment in app.view.render_line(0)]
        app.theme = LIGHT.name
        await settled(pilot, app.view)
        assert [segment.style for segment in app.view.render_line(0)] != before


# follow and pause


async def test_scrolling_up_pauses_and_says_how_much_is_new() -> None:
    app = LogApp(max_lines=1000)
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 1000))
        await pilot.press("k")
        await settled(pilot, app.view)
        before = app.rows()
        assert before[-2].startswith("▌  line 998")
        await fed(pilot, app.view, numbered(1000, 1900))  # evicts nearly everything above
        assert [row[:12] for row in app.rows()] == [row[:12] for row in before]
        assert app.view.state.describe() == "paused, 900 new · 1,000 lines · 900 older dropped"
        await pilot.press("f")
        await settled(pilot, app.view)
        assert app.rows()[-1].startswith("   line 1899")


@pytest.mark.parametrize("key", ["end", "G", "f"])
async def test_three_keys_follow_again(key: str) -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 100))
        await pilot.press("g", key)
        await settled(pilot, app.view)
        assert app.view.following
        assert app.rows()[-1].startswith("   line 99")


async def test_keys_of_less_and_vim_move() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 100))
        for keys, line in (
            (("g",), 0),
            (("j", "j"), 2),
            (("ctrl+d",), 7),
            (("ctrl+u",), 2),
            (("pagedown",), 12),
            (("k", "up"), 10),
            (("home",), 0),
        ):
            await pilot.press(*keys)
            await settled(pilot, app.view)
            assert cursor_line(app).split()[-1].rstrip("▁▂▃▄▅▆▇█") in (str(line), "")
            assert app.view._window.cursor == line


async def test_the_wheel_pauses_and_its_end_follows() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 100))
        wheel = (5, 5, 0, 0, 0, False, False, False)
        app.view.post_message(events.MouseScrollUp(app.view, *wheel))
        await settled(pilot, app.view)
        assert not app.view.following
        assert app.rows()[0].startswith("   line 87")
        app.view.post_message(events.MouseScrollDown(app.view, *wheel))
        await settled(pilot, app.view)
        assert app.view.following
        await pilot.click(LogView, offset=(5, 3))
        await settled(pilot, app.view)
        assert app.view._window.cursor == 93


async def test_the_scrollbar_is_where_the_view_is() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 1000))
        bar = app.view.vertical_scrollbar
        assert (bar.window_virtual_size, bar.window_size, bar.position) == (1000, 10, 990)
        from textual.scrollbar import ScrollTo

        app.view.post_message(ScrollTo(y=500.4))
        await settled(pilot, app.view)
        assert app.rows()[0].startswith("   line 500")
        assert bar.position == 500
        app.view.post_message(ScrollTo(y=990))
        await settled(pilot, app.view)
        assert app.view.following


# search, filter, jumps


async def test_search_highlights_and_n_and_capital_n_go_through_the_matches() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 300))
        app.view.answer("search", "ne 1?5$")
        await settled(pilot, app.view)
        assert app.view._window.cursor == 15  # upwards, from the end that was followed
        assert app.view.state.search == "ne 1?5$"
        assert (app.view.state.hit, app.view.state.hits) == (2, 2)
        match = [s.text for s in app.view.render_line(5) if s.style and s.style.reverse]
        assert match == ["ne 15"]
        await pilot.press("n")
        await settled(pilot, app.view)
        assert app.view.state.note == "no later match"
        await pilot.press("N")
        await settled(pilot, app.view)
        assert app.view._window.cursor == 5
        assert app.view.state.hit == 1
        await fed(pilot, app.view, numbered(15, 16))
        assert app.view.state.hits == 3
        await pilot.press("n", "n")
        await settled(pilot, app.view)
        assert app.view._window.cursor == 300
        app.view.answer("search", "")
        await pilot.press("n")
        await settled(pilot, app.view)
        assert app.view.state.note == "nothing is searched for"


async def test_a_bad_pattern_says_so_and_changes_nothing() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 20))
        app.view.answer("search", "line")
        for question in ("search", "filter_in", "filter_out"):
            with pytest.raises(OpsError) as caught:
                app.view.answer(question, "a(b")  # type: ignore[arg-type]
            assert caught.value.where == "column 2"
        assert app.view.pattern == Pattern("line")
        assert app.view.filter == Filter()


async def test_what_is_typed_is_highlighted_at_once() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 20))

        def highlighted() -> list[str]:
            return [s.text for s in app.view.render_line(9) if s.style and s.style.reverse]

        app.view.preview("search", "li")
        await settled(pilot, app.view)
        assert highlighted() == ["li"]
        app.view.preview("search", "li(")
        assert highlighted() == ["li"]
        app.view.preview("search", "")
        await settled(pilot, app.view)
        assert highlighted() == []


async def test_filters_in_and_out_and_back() -> None:
    app = LogApp()
    async with app.run_test(size=(70, 10)) as pilot:
        lines = [b"GET /health 200", b"POST /rerank 503", b"POST /rerank 200"] * 50
        await fed(pilot, app.view, lines)
        app.view.answer("filter_in", "rerank")
        await settled(pilot, app.view)
        assert app.view.state.shown == 100
        app.view.answer("filter_out", '"503"')
        await settled(pilot, app.view)
        assert {row[3:19] for row in app.rows()} == {"POST /rerank 200"}
        assert app.view.state.describe().startswith(
            'following · 50 of 150 lines · & rerank  ! "503"'
        )
        await fed(pilot, app.view, lines)
        assert app.view.state.shown == 100
        await pilot.press("backspace")
        await settled(pilot, app.view)
        assert app.view.state.shown == 200
        app.view.answer("filter_in", "nowhere")
        await settled(pilot, app.view)
        assert "none of 300 lines: & rerank  & nowhere" in app.rows()[0]
        await pilot.press("a")
        await settled(pilot, app.view)
        assert app.view.state.shown == 300


async def test_taking_a_filter_back_shows_the_lines_around_the_cursor() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 9)) as pilot:
        await fed(pilot, app.view, numbered(0, 500))
        app.view.answer("filter_in", "5$")
        await settled(pilot, app.view)
        await pilot.press("g", "j", "j", "j")
        await settled(pilot, app.view)
        assert cursor_line(app).startswith("▌  line 35")
        await pilot.press("backspace")
        await settled(pilot, app.view)
        assert app.view._window.cursor == 35
        assert [row[3:10] for row in app.rows()] == [f"line {n}" for n in range(31, 40)]


async def test_the_level_threshold_keeps_tracebacks() -> None:
    app = LogApp()
    async with app.run_test(size=(70, 10)) as pilot:
        await fed(
            pilot,
            app.view,
            [b"DEBUG a", b"INFO b", b"  more b", b"WARN c", b"ERROR d", b"  File x", b"INFO e"],
        )
        shown = []
        for _ in range(5):
            await pilot.press("t")
            await settled(pilot, app.view)
            shown.append(app.view.state.shown)
        assert shown == [7, 6, 3, 2, 7]


async def test_jumps_to_errors_and_warnings() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        lines = numbered(0, 400)
        for number in (50, 200):
            lines[number] = b"ERROR %d" % number
            lines[number + 1] = b"  File of the traceback"
            lines[number + 10] = b"WARN %d" % number
        await fed(pilot, app.view, lines)
        for key, place in (("E", 200), ("E", 50), ("e", 200), ("w", 210), ("W", 60), ("w", 210)):
            await pilot.press(key)
            await settled(pilot, app.view)
            assert app.view._window.cursor == place
        await pilot.press("e")
        await settled(pilot, app.view)
        assert app.view.state.note == "no later error"


async def test_a_search_in_many_lines_lands_although_it_is_cut_into_slices() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        app.view.feed("a", [b"needle", *numbered(0, 90_000)])
        app.view.search(Pattern("needle"))
        await wait_for(pilot, lambda: app.view._window.cursor == 0)
        assert app.view.state.hit == 1


# marks, copies, older lines


async def test_marked_lines_are_copied_even_after_they_were_dropped() -> None:
    app = LogApp(max_lines=100)
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, [*numbered(0, 99), b"\x1b]52;c;eA==\x07evil\x00"])
        await pilot.press("k", "k", "space", "j", "space")
        await settled(pilot, app.view)
        assert app.view.state.marked == 2
        assert [row[1] for row in app.rows()[-3:]] == ["◆", " ", "◆"]
        await fed(pilot, app.view, numbered(100, 400))
        await pilot.press("c")
        await pilot.pause()
        message = app.said[-1]
        assert isinstance(message, LogView.CopyRequested)
        assert (message.text, message.lines) == ("line 97\nevil␀", 2)
        await pilot.press("u")
        await settled(pilot, app.view)
        assert app.view.state.marked == 0


async def test_without_marks_the_visible_lines_are_copied() -> None:
    app = LogApp()
    async with app.run_test(size=(40, 4)) as pilot:
        await pilot.press("c")
        await settled(pilot, app.view)
        assert app.view.state.note == "nothing to copy"
        long = b"x" * 500
        await fed(pilot, app.view, [*numbered(0, 10), long])
        await fed(pilot, app.view, [b"other"], "b")
        await pilot.press("c")
        await pilot.pause()
        message = app.said[-1]
        assert isinstance(message, LogView.CopyRequested)
        assert message.text.split("\n") == ["a line 8", "a line 9", f"a {long.decode()}", "b other"]


async def test_the_first_line_asks_for_older_ones_until_there_are_none() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(100, 200))
        app.view.filter = Filter(exclude=(Pattern("5$"),))
        await settled(pilot, app.view)
        await pilot.press("g", "k", "k")
        await settled(pilot, app.view)
        assert [type(m) for m in app.said] == [LogView.OlderRequested]
        before = app.rows()
        app.view.feed_older({"a": numbered(0, 100)})
        await settled(pilot, app.view)
        assert app.view.state.note == "100 older lines"
        assert [row[:11] for row in app.rows()] == [row[:11] for row in before]
        assert app.view.state.shown == 180
        await pilot.press("k")
        await settled(pilot, app.view)
        assert cursor_line(app).startswith("▌  line 99")
        await pilot.press("g")
        await settled(pilot, app.view)
        assert len(app.said) == 2
        app.view.feed_older({})
        await settled(pilot, app.view)
        await pilot.press("k", "g")
        await settled(pilot, app.view)
        assert len(app.said) == 2
        assert app.view.state.note == "the first line there is"


async def test_older_lines_of_several_logs_come_in_order_of_time() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        app.view.load({"a": [b"2026-11-21 12:00:09 a9"], "b": [b"2026-11-21 12:00:08 b8"]})
        app.view.feed_older(
            {
                "a": [b"2026-11-21 12:00:01 a1", b"2026-11-21 12:00:03 a3"],
                "b": [b"2026-11-21 12:00:02 b2"],
            }
        )
        await settled(pilot, app.view)
        assert [row.split()[-1].rstrip("▁▂▃▄▅▆▇█") for row in app.rows()[:5]] == [
            "a1",
            "b2",
            "a3",
            "b8",
            "a9",
        ]


async def test_enter_opens_a_line_and_prompts_are_asked_for() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, [b"first", b"second"])
        app.view.search(Pattern("sec"))
        await settled(pilot, app.view)
        await pilot.press("enter", "slash", "ampersand", "exclamation_mark")
        await pilot.pause()
        opened, *asked = app.said[-4:]
        assert isinstance(opened, LogView.LineOpened)
        assert opened.line.raw == b"second"
        assert [
            (m.question, m.lead, m.value) for m in asked if isinstance(m, LogView.PromptRequested)
        ] == [
            ("search", "search /", "sec"),
            ("filter_in", "only &", ""),
            ("filter_out", "hide !", ""),
        ]


async def test_clearing_forgets_the_lines() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 10)) as pilot:
        await fed(pilot, app.view, numbered(0, 50))
        app.view.answer("filter_in", "line")
        await pilot.press("k")
        app.view.clear()
        await settled(pilot, app.view)
        assert "no lines yet" in app.rows()[0]
        await fed(pilot, app.view, [b"line anew"])
        assert app.rows()[0].startswith("   line anew")


async def test_resizing_keeps_the_place() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await fed(pilot, app.view, numbered(0, 300))
        await pilot.press("pageup", "pageup")
        await settled(pilot, app.view)
        top = app.view._window.visible[0]
        await pilot.resize_terminal(40, 12)
        await settled(pilot, app.view)
        assert app.view._window.visible[0] == top
        assert len(app.rows()) == 12
        await pilot.resize_terminal(200, 60)
        await settled(pilot, app.view)
        assert len(app.view._window.visible) == 60


@pytest.mark.parametrize("size", [(1, 1), (4, 2), (12, 3)])
async def test_the_smallest_sizes_do_no_harm(size: tuple[int, int]) -> None:
    app = LogApp()
    async with app.run_test(size=size) as pilot:
        await fed(pilot, app.view, [b"ERROR " + b"x" * 50, "界界".encode()] * 5)
        await fed(pilot, app.view, [b"y"], "another")
        await pilot.press("k", "right", "z", "g", "E", "space")
        await settled(pilot, app.view)
        for y in range(app.view.size.height):
            width = app.view.scrollable_content_region.width
            assert app.view.render_line(y).cell_length == width


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_order_of_keys_floods_and_answers_is_survived(seed: int) -> None:
    """Keys come between a flood and the frame that shows it; a stale line number once crashed."""
    chance = random.Random(seed)
    lines = [line[:200_000] for line in HOSTILE.values()] + numbered(0, 3000)
    actions = [binding.action for binding in LogView.BINDINGS]  # type: ignore[union-attr]
    app = LogApp(max_lines=chance.choice([50, 2000]))
    async with app.run_test(size=(60, 12)) as pilot:
        for _ in range(250):
            kind = chance.random()
            if kind < 0.45:
                start = chance.randrange(len(lines))
                batch = lines[start : start + chance.choice([1, 10, 500])]
                app.view.feed(chance.choice("abc"), batch)
            elif kind < 0.52:
                question = chance.choice(["search", "filter_in", "filter_out"])
                app.view.answer(question, chance.choice(["", "line", "7$"]))  # type: ignore[arg-type]
            elif kind < 0.55:
                app.view.feed_older({"a": lines[: chance.choice([0, 1, 300])]})
            elif kind < 0.56:
                app.view.clear()
            elif kind < 0.58:
                await pilot.resize_terminal(chance.choice([10, 60]), chance.choice([3, 20]))
            else:
                getattr(app.view, f"action_{chance.choice(actions)}")()
            if chance.random() < 0.3:
                await pilot.pause()
        await pilot.resize_terminal(60, 12)
        app.view.action_clear_filters()
        app.view.action_line_start()
        app.view.wrap = False
        await fed(pilot, app.view, [b"the last"])
        app.view.action_last()
        await settled(pilot, app.view)
        assert app.rows()[-1].rstrip("▁▂▃▄▅▆▇█ ").endswith("the last")


def test_every_key_has_an_action_and_an_id() -> None:
    ids = [binding.id for binding in LogView.BINDINGS]  # type: ignore[union-attr]
    assert len(set(ids)) == len(ids)
    for binding in LogView.BINDINGS:
        assert binding.id == f"logs.{binding.action}"  # type: ignore[union-attr]
        action: Callable[[], None] | None = getattr(LogView, f"action_{binding.action}")  # type: ignore[union-attr]
        assert callable(action)


def test_a_shown_line_never_splits_a_wide_character() -> None:
    from opsconsole.logs import LogLine

    line = ShownLine(LogLine("a", "a界b界c".encode()), 100)
    assert line.width == 7
    assert line.cut(0, 2) == (0, 1, 0)
    assert line.cut(2, 3) == (2, 4 - 1, 1)
    assert line.breaks(3) == [0, 2, 4, 5]
    assert line.breaks(1)[-1] <= 5
