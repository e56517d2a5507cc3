"""What a log view tells the screen that it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.message import Message

from opsconsole.logs import LogLine

if TYPE_CHECKING:
    from opsconsole.tui.widgets.log_view_canvas import LogCanvas

Question = Literal["search", "filter_in", "filter_out"]


@dataclass(frozen=True)
class LogState:
    """What a status line says about a log view."""

    following: bool = True
    new: int = 0
    """Shown lines that came since the pause."""
    held: int = 0
    shown: int = 0
    """Lines after the filter."""
    dropped: int = 0
    """Lines that had to go because newer ones came."""
    filter: str = ""
    search: str = ""
    hit: int = 0
    """Number of the current match from 1; 0 when the cursor is on none."""
    hits: int = 0
    working: bool = False
    """A filter or search still has lines to look at."""
    marked: int = 0
    wrap: bool = False
    note: str = ""
    """What the last key could not do, or what it did."""

    def describe(self, separator: str = " · ") -> str:
        """In words, the most important first; safe to show."""
        parts = ["following" if self.following else f"paused, {self.new:,} new"]
        if self.note:
            parts.append(self.note)
        if self.filter:
            parts += [f"{self.shown:,} of {self.held:,} lines", self.filter]
        else:
            parts.append(f"{self.held:,} lines")
        if self.search:
            place = f"{self.hit:,} of {self.hits:,}" if self.hit else f"{self.hits:,} matches"
            parts.append(f"/{self.search} {place}")
        if self.working:
            parts.append("looking")
        if self.marked:
            parts.append(f"{self.marked:,} marked")
        if self.wrap:
            parts.append("wrapped")
        if self.dropped:
            parts.append(f"{self.dropped:,} older dropped")
        return separator.join(parts)


class LogMessage(Message):
    """A message of a log view."""

    def __init__(self, view: LogCanvas) -> None:
        super().__init__()
        self.view = view

    @property
    def control(self) -> LogCanvas:
        return self.view


class StateChanged(LogMessage):
    """Something that a status line shows has changed."""

    def __init__(self, view: LogCanvas, state: LogState) -> None:
        super().__init__(view)
        self.state = state

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, StateChanged) and message.view is self.view


class PromptRequested(LogMessage):
    """A key asks for a line of input, to be handed to :meth:`LogView.answer`.

    ``lead`` is what stands before the line, ``value`` what stands in it already.
    """

    def __init__(self, view: LogCanvas, question: Question, lead: str, value: str) -> None:
        super().__init__(view)
        self.question: Question = question
        self.lead = lead
        self.value = value


class CopyRequested(LogMessage):
    """Text for the clipboard: safe text, one line for each log line; ``lines`` counts them."""

    def __init__(self, view: LogCanvas, text: str, lines: int) -> None:
        super().__init__(view)
        self.text = text
        self.lines = lines


class OlderRequested(LogMessage):
    """The first line is reached; :meth:`LogView.feed_older` answers, with lines or without."""


class LineOpened(LogMessage):
    """Enter, or a double click, on a line."""

    def __init__(self, view: LogCanvas, line: LogLine) -> None:
        super().__init__(view)
        self.line = line
