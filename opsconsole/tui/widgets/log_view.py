"""The log view: lines of one or several logs, followed, searched, filtered, copied."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from opsconsole.errors import OpsError
from opsconsole.logs import Filter, Level, LogLine, Pattern
from opsconsole.text import clean_line
from opsconsole.tui.widgets import log_view_messages as messages
from opsconsole.tui.widgets.log_search import Target
from opsconsole.tui.widgets.log_view_canvas import LogCanvas
from opsconsole.tui.widgets.log_view_lines import MAX_SHOWN
from opsconsole.tui.widgets.log_view_messages import LogState, Question

__all__ = ["LogState", "LogView", "Question"]

_THRESHOLDS: tuple[Level | None, ...] = (None, "debug", "info", "warning", "error")
_MAX_COPY = 4 << 20
_SIDEWAYS = 16


class LogView(LogCanvas, can_focus=True):
    """A :class:`LogCanvas` that an operator drives.

    It asks its screen for what it has not: a line of input (:class:`PromptRequested`), the
    clipboard (:class:`CopyRequested`), lines from further back (:class:`OlderRequested`).
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow", id="logs.follow"),
        Binding("slash", "search", "search", key_display="/", id="logs.search"),
        Binding("ampersand", "filter_in", "only", key_display="&", id="logs.filter_in"),
        Binding("exclamation_mark", "filter_out", "hide", key_display="!", id="logs.filter_out"),
        Binding("t", "level", "level", id="logs.level"),
        Binding("e", "next_error", "error", id="logs.next_error"),
        Binding("E", "previous_error", "error before", show=False, id="logs.previous_error"),
        Binding("w", "next_warning", "warning", show=False, id="logs.next_warning"),
        Binding("W", "previous_warning", "warning before", show=False, id="logs.previous_warning"),
        Binding("n", "next_match", "match", show=False, id="logs.next_match"),
        Binding("N", "previous_match", "match before", show=False, id="logs.previous_match"),
        Binding("a", "clear_filters", "all", show=False, id="logs.clear_filters"),
        Binding("backspace", "undo_filter", "filter back", show=False, id="logs.undo_filter"),
        Binding("z", "wrap", "wrap", id="logs.wrap"),
        Binding("space,m", "mark", "mark", show=False, id="logs.mark"),
        Binding("u", "unmark", "unmark", show=False, id="logs.unmark"),
        Binding("c", "copy", "copy", id="logs.copy"),
        Binding("enter", "open", "open", show=False, id="logs.open"),
        Binding("j,down", "down", "down", show=False, id="logs.down"),
        Binding("k,up", "up", "up", show=False, id="logs.up"),
        Binding("ctrl+d", "half_down", "half page down", show=False, id="logs.half_down"),
        Binding("ctrl+u", "half_up", "half page up", show=False, id="logs.half_up"),
        Binding("pagedown", "page_down", "page down", show=False, id="logs.page_down"),
        Binding("pageup", "page_up", "page up", show=False, id="logs.page_up"),
        Binding("g,home", "first", "first line", show=False, id="logs.first"),
        Binding("G,end", "last", "last line", show=False, id="logs.last"),
        Binding("left", "left", "left", show=False, id="logs.left"),
        Binding("right", "right", "right", show=False, id="logs.right"),
        Binding("0", "line_start", "line start", show=False, id="logs.line_start"),
    ]

    StateChanged = messages.StateChanged
    PromptRequested = messages.PromptRequested
    CopyRequested = messages.CopyRequested
    OlderRequested = messages.OlderRequested
    LineOpened = messages.LineOpened

    # filter and search

    @property
    def filter(self) -> Filter:
        """Which lines are shown."""
        return self._search.filter

    @filter.setter
    def filter(self, chosen: Filter) -> None:
        if chosen != self._search.filter:
            self._search.set_filter(chosen)
            self._window.index = self._search.shown
            self._preview, self._note = None, ""
            self._return_to_cursor = True  # with other lines around it than before
            self._redraw()

    @property
    def pattern(self) -> Pattern | None:
        """What is searched for."""
        return self._search.pattern

    @property
    def following(self) -> bool:
        """Whether the end is shown and kept in view."""
        return self._window.following

    def search(self, pattern: Pattern | None) -> None:
        """Highlight a pattern and go to a match: upwards while following, else downwards."""
        self._preview = None
        self._note = ""
        window = self._window
        self._search.set_pattern(pattern)
        if pattern is not None and window.following:
            self._search.jump("match", False, self.buffer.end)
        elif pattern is not None:
            self._search.jump("match", True, window.current - 1)
        self._redraw()

    def preview(self, question: Question, text: str) -> None:
        """Highlight what is being typed; half a regular expression changes nothing."""
        try:
            self._preview = Pattern.typed(text)
        except OpsError:
            return
        self._redraw()

    def answer(self, question: Question, text: str) -> None:
        """Take what was typed after :class:`PromptRequested`; an empty answer clears.

        Raises:
            OpsError: not a regular expression; nothing has changed.
        """
        self._preview = None
        pattern = Pattern.typed(text)
        if question == "search":
            self.search(pattern)
        elif question == "filter_in":
            chosen = self.filter.including(pattern) if pattern else replace(self.filter, include=())
            self.filter = chosen
        else:
            chosen = self.filter.excluding(pattern) if pattern else replace(self.filter, exclude=())
            self.filter = chosen

    def action_search(self) -> None:
        """Ask what to search for."""
        self._ask("search", "search /")

    def action_filter_in(self) -> None:
        """Ask which lines to show only."""
        self._ask("filter_in", "only &")

    def action_filter_out(self) -> None:
        """Ask which lines to hide."""
        self._ask("filter_out", "hide !")

    def _ask(self, question: Question, lead: str) -> None:
        value = str(self.pattern) if question == "search" and self.pattern else ""
        self.post_message(self.PromptRequested(self, question, lead, value))

    def action_clear_filters(self) -> None:
        """Show all lines again, without a search."""
        self._preview = None
        self._search.set_pattern(None)
        self.filter = Filter(sources=self.filter.sources)
        self._redraw()

    def action_undo_filter(self) -> None:
        """Take back the search, else the last pattern filtered by, else the level."""
        chosen = self.filter
        if self.pattern is not None:
            self.search(None)
        elif chosen.exclude:
            self.filter = replace(chosen, exclude=chosen.exclude[:-1])
        elif chosen.include:
            self.filter = replace(chosen, include=chosen.include[:-1])
        else:
            self.filter = replace(chosen, level=None)

    def action_level(self) -> None:
        """Raise the lowest level shown: all, debug, info, warning, error, and all again."""
        place = _THRESHOLDS.index(self.filter.level)
        self.filter = replace(self.filter, level=_THRESHOLDS[(place + 1) % len(_THRESHOLDS)])

    # jumps

    def _jump(self, target: Target, forward: bool) -> None:
        self._note = ""
        if not self._search.jump(target, forward, self._origin(forward)):
            self._note = "nothing is searched for"
        self._redraw()

    def _origin(self, forward: bool) -> int:
        if self._window.following and not forward:
            return self.buffer.end
        return self._window.current

    def action_next_match(self) -> None:
        """Go to the next match of the search."""
        self._jump("match", True)

    def action_previous_match(self) -> None:
        """Go to the match before."""
        self._jump("match", False)

    def action_next_error(self) -> None:
        """Go to the next error."""
        self._jump("error", True)

    def action_previous_error(self) -> None:
        """Go to the error before."""
        self._jump("error", False)

    def action_next_warning(self) -> None:
        """Go to the next warning."""
        self._jump("warning", True)

    def action_previous_warning(self) -> None:
        """Go to the warning before."""
        self._jump("warning", False)

    # movement

    def action_follow(self) -> None:
        """Pause, or follow the end again."""
        if self._window.following:
            self._window.pause()
        else:
            self._window.follow()
        self._moved()

    def action_last(self) -> None:
        """Follow the end."""
        self._window.follow()
        self._moved()

    def action_first(self) -> None:
        """Go to the first line there is."""
        self._window.to_first()
        self._moved()

    def action_down(self) -> None:
        """One line down."""
        self._window.move(1)
        self._moved()

    def action_up(self) -> None:
        """One line up."""
        self._window.move(-1)
        self._moved()

    def action_half_down(self) -> None:
        """Half a page down."""
        self._window.page(0.5)
        self._moved()

    def action_half_up(self) -> None:
        """Half a page up."""
        self._window.page(-0.5)
        self._moved()

    def action_page_down(self) -> None:
        """A page down."""
        self._window.page(1)
        self._moved()

    def action_page_up(self) -> None:
        """A page up."""
        self._window.page(-1)
        self._moved()

    def action_left(self) -> None:
        """Scroll left."""
        self._to_column(self._painter.column - _SIDEWAYS)

    def action_right(self) -> None:
        """Scroll right, as far as a visible line goes."""
        self._to_column(self._painter.column + _SIDEWAYS)

    def action_line_start(self) -> None:
        """Scroll all the way to the left."""
        self._to_column(0)

    def _to_column(self, column: int) -> None:
        painter = self._painter
        before, painter.column = painter.column, max(0, min(column, MAX_SHOWN))
        if painter.column > before:
            widest = max((painter.shown(n).width for n, _ in self._window.layout()), default=0)
            if widest <= painter.column:
                painter.column = before
        self._redraw()

    def action_wrap(self) -> None:
        """Wrap long lines, or scroll sideways."""
        self.wrap = not self.wrap

    # marks and copies

    def action_mark(self) -> None:
        """Mark or unmark the current line and go on to the next."""
        if self._window.following:
            self._window.pause()
        number = self._window.cursor
        if number is not None and self.buffer.first <= number < self.buffer.end:
            if self._marks.pop(number, None) is None:
                self._marks[number] = self.buffer.line(number)
            if self._window.position_of(number) < self._window.count - 1:
                self._window.move(1)
        self._moved()

    def action_unmark(self) -> None:
        """Unmark all lines."""
        self._marks.clear()
        self._redraw()

    def action_copy(self) -> None:
        """Copy the marked lines, or else the visible ones."""
        if self._marks:
            lines = [self._marks[number] for number in sorted(self._marks)]
        else:
            numbers = dict.fromkeys(number for number, _ in self._window.layout())
            lines = [self.buffer.line(number) for number in numbers]
        if not lines:
            self._note = "nothing to copy"
            self._redraw()
            return
        self.post_message(self.CopyRequested(self, self._copied(lines), len(lines)))

    def _copied(self, lines: list[LogLine]) -> str:
        several, room = len(self.buffer.sources) > 1, _MAX_COPY
        out: list[str] = []
        for line in lines:
            text = line.head(room)
            out.append(f"{clean_line(line.source)} {text}" if several else text)
            room -= len(text)
            if room <= 0:
                break
        return "\n".join(out)

    def action_open(self) -> None:
        """Show the current line whole."""
        number = self._window.cursor
        if number is not None and self.buffer.first <= number < self.buffer.end:
            self.post_message(self.LineOpened(self, self.buffer.line(number)))

    def on_click(self, event: events.Click) -> None:
        if 0 <= event.y < len(self._painted):
            self._window.go_to(self._painted[event.y][0])
            self._moved()
            if event.chain == 2:
                self.action_open()
