"""Scroll bars of a terminal that has neither blocks nor, perhaps, colours."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.segment import Segment, Segments
from textual.scrollbar import ScrollBar, ScrollBarRender

_THUMB, _TRACK = "#", ":"


class PlainBar(ScrollBarRender):
    """Whole cells, each with a character of its own; Textual's are parts of blocks, and colour."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "]
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "]

    @classmethod
    def render_bar(cls, *args: Any, **options: Any) -> Segments:
        bar = super().render_bar(*args, **options)
        return Segments([_plain(segment) for segment in bar.segments], new_lines=bar.new_lines)


def _plain(segment: Segment) -> Segment:
    if segment.text.strip(" ") or segment.style is None:
        return segment  # the end of a line
    glyph = _THUMB if segment.style.reverse else _TRACK
    return Segment(glyph * len(segment.text), segment.style)


def use_plain(plain: bool) -> None:
    """Draw all scroll bars in ASCII, or as Textual does."""
    ScrollBar.renderer = PlainBar if plain else ScrollBarRender
