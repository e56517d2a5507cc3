"""The last gate of an ASCII terminal: whatever a widget draws leaves as ASCII."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

# One cell for one cell, so that nothing shifts. What is not here and not ASCII becomes `?`.
_GLYPHS = {
    "▔─━═╌╍┄┅—–‐‑⎯": "-",
    "│┃║▏▎▍▌▐▕▊▋╎╏┆": "|",
    "┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝": "+",
    "█▉▇▆▓⣿■": "#",
    "▄▅▃▀": "=",
    "▁▂_": "_",
    "░▒": ".",
    "●•": "*",
    "○◌◯": "o",
    "◐◑": "~",
    "▲△!": "!",
    "×✗✘": "x",
    "✓✔": "v",
    "…⏎": ".",
    "·∙": ".",
    "→▶▸›»": ">",
    "←◀◂‹«": "<",
    "↑⭘": "^",
    "↓▾▼": "v",
    "’‘": "'",
    "“”": '"',
    "µμ": "u",
    "°": " ",
    "≤": "<",
    "≥": ">",
    "Σ": "S",
    "\u2800": " ",
}
_TABLE: dict[int, str] = {
    ord(glyph): plain for glyphs, plain in _GLYPHS.items() for glyph in glyphs
}
_TABLE[ord("🔎")] = "> "  # two cells, before what is searched for


def to_ascii(text: str) -> str:
    """``text`` in ASCII, of the same width in cells."""
    if text.isascii():
        return text
    from rich.cells import cell_len

    text = text.translate(_TABLE)
    if text.isascii():
        return text
    return "".join(c if c.isascii() else "?" * cell_len(c) for c in text)


class AsciiFilter(LineFilter):
    """Textual's own scroll bars, borders and cursors are not ASCII; this makes them so."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(to_ascii(segment.text), *segment[1:])
            for segment in segments
        ]
