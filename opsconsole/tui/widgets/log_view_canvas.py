"""The drawn part of a log view: it takes lines in and paints the rows of its window."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import ClassVar, Literal

from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.strip import Strip

from opsconsole.logs import Level, LogBuffer, LogLine, Pattern, merge_by_time
from opsconsole.text import clean_line
from opsconsole.tui.widgets.log_search import LogSearch
from opsconsole.tui.widgets.log_view_lines import Palette
from opsconsole.tui.widgets.log_view_messages import LogState, OlderRequested, StateChanged
from opsconsole.tui.widgets.log_view_paint import LinePainter
from opsconsole.tui.widgets.log_view_window import LogWindow, Row

_SOURCE_STYLES = 6
_PARTS = ("cursor", "dim", "match", "current-match", "mark", "rule")
_LEVELS: tuple[Level, ...] = ("error", "warning", "info", "debug")
_FRAME = 0.05
"""Seconds between two drawings of new lines."""
_SLICE = 0.003
"""Seconds of looking at lines after which keys come first."""
_PAUSE = 0.001


class LogCanvas(ScrollView, inherit_bindings=False):
    """Lines of one or several logs on the line API.

    Raw lines stay raw until they are drawn; batches are taken in one step and drawn together at
    most twenty times a second; filters and searches run in slices. All methods belong on the
    app's thread.

    Args:
        max_lines: Most lines held.
        max_bytes: Most bytes held.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    LogCanvas {
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        scrollbar-background: $background;
        scrollbar-background-hover: $panel;
        scrollbar-background-active: $panel;
        scrollbar-color: $rule;
        scrollbar-color-hover: $dim;
        scrollbar-color-active: $accent;
    }
    LogCanvas > .log-view--cursor { background: $cursor; }
    LogCanvas > .log-view--dim { color: $dim; }
    LogCanvas > .log-view--error { color: $error; text-style: bold; }
    LogCanvas > .log-view--warning { color: $warning; text-style: bold; }
    LogCanvas > .log-view--info { color: $success; }
    LogCanvas > .log-view--debug { color: $dim; }
    LogCanvas > .log-view--match { color: $warning; text-style: reverse; }
    LogCanvas > .log-view--current-match { color: $accent; text-style: reverse bold; }
    LogCanvas > .log-view--mark { color: $accent; text-style: bold; }
    LogCanvas > .log-view--rule { color: $rule; }
    LogCanvas > .log-view--source-1 { color: $accent; }
    LogCanvas > .log-view--source-2 { color: $secondary; }
    LogCanvas > .log-view--source-3 { color: $success; }
    LogCanvas > .log-view--source-4 { color: $warning; }
    LogCanvas > .log-view--source-5 { color: $error; }
    LogCanvas > .log-view--source-6 { color: $bright; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"log-view--{name}" for name in _PARTS),
        *(f"log-view--{level}" for level in _LEVELS),
        *(f"log-view--source-{number + 1}" for number in range(_SOURCE_STYLES)),
    }

    wrap: var[bool] = var(False)
    """Wrap long lines instead of scrolling sideways."""
    ascii: var[bool] = var(False)
    """Draw around the text with ASCII characters only."""

    def __init__(
        self,
        *,
        max_lines: int = 100_000,
        max_bytes: int = 64 << 20,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.buffer = LogBuffer(max_lines, max_bytes)
        self.empty = "no lines yet"
        """What stands there while there are no lines."""
        self.state = LogState()
        """What the last :class:`StateChanged` said."""
        self._search = LogSearch(self.buffer)
        self._painter = LinePainter(self.buffer)
        self._window = LogWindow(self.buffer, self._painter.rows_of)
        self._marks: dict[int, LogLine] = {}
        self._note = ""
        self._older: Literal["unknown", "asked", "none"] = "unknown"
        self._preview: Pattern | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._working = False
        self._return_to_cursor = False
        self._drawn = 0.0
        self._painted: list[Row] = []

    # lines in

    def feed(self, source: str, lines: Sequence[bytes]) -> None:
        """Add raw lines of a source; costs next to nothing until they are drawn."""
        if lines:
            self.buffer.extend(source, lines)
            self._wake()

    def load(self, batches: Mapping[str, Sequence[bytes]]) -> None:
        """Add what several logs hold already, merged by the times in the lines."""
        for source, lines in merge_by_time(batches):
            self.feed(source, lines)

    def feed_older(self, batches: Mapping[str, Sequence[bytes]]) -> None:
        """Put lines from further back before the first; nothing at all means there are no more."""
        stop, room = self.buffer.first, True
        for source, lines in reversed(list(merge_by_time(batches))):
            if self.buffer.prepend(source, lines) < len(lines):
                room = False
                break
        self._search.take_older(stop)
        taken = stop - self.buffer.first
        if taken and room:
            self._older, self._note = "unknown", f"{taken:,} older lines"
        else:
            self._older = "none"
            self._note = "the beginning of the log" if room else "no room for older lines"
        self._wake()

    def clear(self) -> None:
        """Forget all lines, and the marks on them."""
        self.buffer.clear()
        self._marks.clear()
        self._search.restart()
        self._window.index = self._search.shown
        self._window.follow()
        self._older, self._note = "unknown", ""
        self._redraw()

    # from lines to rows

    def _wake(self) -> None:
        """See to it that new lines are drawn soon, but not more than twenty times a second."""
        if self._timer is None and self.is_running:
            wait = _PAUSE if self._working else self._drawn + _FRAME - monotonic()
            # not set_timer: in Textual 8.2.8 a one-shot timer is lost when the process is held up
            # for its delay between two lines of Timer._run, and this view would stand still
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(_PAUSE, wait), self.call_next, self._look)

    def _look(self) -> None:
        """Look at lines for a slice of time; draw when that is done, or a frame is due."""
        self._timer = None
        self._search.evict()
        self._working = not self._search.advance(_SLICE)
        found, note = self._search.landed()
        if found is not None:
            self._window.go_to(found)
            self._stale()
        if note:
            self._note = note
        if len(self._painter.named) != len(self.buffer.sources):
            self._stale()
        if not self._working and self._window.settle():
            self._stale()
        if not self._working and self._return_to_cursor:
            self._return_to_cursor = False
            if not self._window.following and self._window.cursor is not None:
                self._window.go_to(self._window.cursor)
        if not self._working or found is not None or monotonic() - self._drawn >= _FRAME:
            self._drawn = monotonic()
            self._lay_out()
        if self._working:
            self._wake()

    def _stale(self) -> None:
        """What is on the screen does not count any more."""
        self._painter.reset()
        self._painted = []

    def _lay_out(self) -> None:
        """Work out the rows; draw them when they are others than those on the screen."""
        rows = self._window.layout()
        if rows != self._painted or not rows:
            self._painted = list(rows)
            self.refresh()
            self._show_position()
        self._show_state()

    def _redraw(self) -> None:
        """Draw all rows again: a search, a style, the cursor or the width has changed."""
        self._painter.pattern = self._preview or self._search.pattern
        if self.is_running:
            self._painter.width = self.scrollable_content_region.width
        self._painter.reset()
        if self.is_running:
            self._painted = list(self._window.layout())
            self.refresh()
            self._show_position()
            self._show_state()
            self._wake()

    def _show_position(self) -> None:
        top, end = self._window.top_positions()
        height = self._window.height
        # not through the reactives: a log that grows must not lay out the whole screen anew
        self.set_reactive(LogCanvas.virtual_size, Size(self.size.width, end + height))
        self.set_scroll(0, top)
        if self.show_vertical_scrollbar and self.styles.scrollbar_size_vertical:
            self.vertical_scrollbar.window_virtual_size = end + height
            self.vertical_scrollbar.window_size = height
            self.vertical_scrollbar.position = top

    def _show_state(self) -> None:
        window, search = self._window, self._search
        hits, current = search.hits, window.current
        on_hit = hits is not None and not window.following and hits.after(current - 1) == current
        state = LogState(
            following=window.following,
            new=window.new_lines,
            held=len(self.buffer),
            shown=window.count,
            dropped=self.buffer.dropped,
            filter=clean_line(search.filter.describe(), 200),
            search=clean_line(str(search.pattern), 80) if search.pattern else "",
            hit=hits.position(current) + 1 if hits is not None and on_hit else 0,
            hits=len(hits) if hits is not None else 0,
            working=not search.current,
            marked=len(self._marks),
            wrap=self.wrap,
            note=self._note,
        )
        if state != self.state:
            self.state = state
            self.post_message(StateChanged(self, state))

    # drawing

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        painter, rows = self._painter, self._painted
        if painter.palette is None:
            painter.palette = self._palette()
        if y < len(rows) and self.buffer.first <= rows[y][0] < self.buffer.end:
            number = rows[y][0]
            cursor = number == self._window.cursor and not self._window.following
            return painter.strip(rows[y], cursor=cursor, marked=number in self._marks)
        return painter.note(self._emptiness() if y == 0 and not rows else "")

    def _emptiness(self) -> str:
        if not len(self.buffer):
            return self.empty
        if not self._search.current:
            return "looking"
        return f"none of {len(self.buffer):,} lines: {clean_line(self._search.filter.describe())}"

    def _palette(self) -> Palette:
        def part(name: str) -> Style:
            return self.get_component_rich_style(f"log-view--{name}", partial=True)

        return Palette(
            text=self.rich_style,
            cursor=part("cursor"),
            dim=part("dim"),
            levels={level: part(level) for level in _LEVELS},
            match=part("match"),
            current_match=part("current-match"),
            mark=part("mark"),
            rule=part("rule"),
            sources=[part(f"source-{number + 1}") for number in range(_SOURCE_STYLES)],
            dark=self.app.current_theme.dark,
        )

    def _resize(self) -> None:
        self._window.height = max(1, self.size.height)
        self._painter.width = self.scrollable_content_region.width

    # what Textual tells

    def notify_style_update(self) -> None:
        """Colours have changed."""
        super().notify_style_update()
        self._painter.palette = None
        self._stale()
        self._wake()

    def on_mount(self) -> None:
        self._resize()
        self._wake()

    def on_unmount(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def on_resize(self) -> None:
        self._resize()
        self._redraw()

    def watch_wrap(self, wrap: bool) -> None:
        self._painter.wrap = wrap
        self._redraw()

    def watch_ascii(self, ascii_only: bool) -> None:
        self.styles.scrollbar_size_vertical = 0 if ascii_only else 1
        self._painter.ascii = ascii_only
        self._redraw()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Nothing: the window says where the scrollbar stands, not the other way round."""

    def _on_scroll_to(self, message: ScrollTo) -> None:
        message.prevent_default().stop()
        if message.y is not None:
            self._window.scroll_to_position(round(message.y))
            self._moved()

    def _on_scroll_up(self, event: ScrollUp) -> None:
        event.prevent_default().stop()
        self._window.page(-1)
        self._moved()

    def _on_scroll_down(self, event: ScrollDown) -> None:
        event.prevent_default().stop()
        self._window.page(1)
        self._moved()

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.prevent_default().stop()
        self._window.scroll(3)
        self._moved()

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.prevent_default().stop()
        self._window.scroll(-3)
        self._moved()

    def _moved(self) -> None:
        """After a movement: draw, and ask for older lines when the first one is reached."""
        self._note = ""
        self._redraw()
        if not self._window.following and self._window.at_first:
            if self._older == "unknown":
                self._older = "asked"
                self.post_message(OlderRequested(self))
            elif self._older == "none":
                self._note = "the first line there is"
                self._show_state()
