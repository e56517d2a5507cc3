"""What the parts of a run's picture are written with: colours of the theme, glyphs, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from opsconsole.profile.threshold import Threshold, format_value
from opsconsole.tui.symbols import Symbols


class Ink(NamedTuple):
    """Styles by meaning. ``colors``: the theme's variables."""

    colors: Mapping[str, str]
    symbols: Symbols

    @property
    def dim(self) -> str:
        return self.colors["dim"]

    @property
    def bright(self) -> str:
        return f"bold {self.colors['bright']}"

    @property
    def good(self) -> str:
        return self.colors["success"]

    @property
    def warn(self) -> str:
        return self.colors["warning"]

    @property
    def bad(self) -> str:
        return self.colors["error"]

    @property
    def accent(self) -> str:
        return self.colors["accent"]

    @property
    def rule(self) -> str:
        return self.colors["rule"]

    @property
    def gap(self) -> str:
        """What stands between two facts."""
        return " - " if self.symbols.plain else " · "

    @property
    def kept(self) -> str:
        """The mark of a threshold that holds."""
        return "+" if self.symbols.plain else "✓"

    def plain(self, words: str) -> str:
        """Words of this console in the glyphs of the terminal."""
        if not self.symbols.plain:
            return words
        for glyph, stand_in in _STAND_INS:
            words = words.replace(glyph, stand_in)
        return words


_STAND_INS = (
    ("→", "->"), ("·", "-"), ("—", "-"), ("×", "x"), ("µ", "u"), ("∞", "inf"), ("–", "-"),
    ("…", "~"), ("↑", "^"), ("≈", "~"),
)  # fmt: skip


class Cell(NamedTuple):
    """Part of a line: clean text and its style."""

    text: str
    style: str = ""


def line(cells: Sequence[Cell], width: int) -> Text:
    """The cells behind each other, cut to ``width``."""
    text = Text(no_wrap=True, overflow="crop", end="")
    left = width
    for cell in cells:
        size = cell_len(cell.text)
        if size > left:
            text.append(set_cell_size(cell.text, max(0, left)), cell.style)
            break
        text.append(cell.text, cell.style)
        left -= size
    return text


def fit(text: str, width: int, *, ascii_: bool = False) -> str:
    """Exactly ``width`` cells of ``text``; what is cut says so."""
    if cell_len(text) <= width:
        return text + " " * (width - cell_len(text))
    return set_cell_size(text, max(0, width - 1)) + ("~" if ascii_ else "…") if width else ""


def stacked(lines: Sequence[Text]) -> Text:
    """Lines under each other."""
    return Text("\n", no_wrap=True, overflow="crop", end="").join(lines)


def facts(ink: Ink, lead: str, named: Sequence[tuple[str, str, str]], width: int) -> Text:
    """Names with values and their styles, one behind the other; what does not fit whole is left
    out."""
    cells = [Cell(lead, ink.bright)] if lead else []
    used = cell_len(lead)
    for name, value, style in named:
        value = ink.plain(value)
        gap = "  " if cells else ""
        size = len(gap) + cell_len(name) + 1 + cell_len(value)
        if used + size > width:
            break
        cells += [Cell(f"{gap}{name} ", ink.dim), Cell(value, style)]
        used += size
    return line(cells, width)


def limit_words(threshold: Threshold) -> str:
    """A limit without its metric, its window and its server: ``< 500ms``."""
    sign = ("<" if threshold.below else ">") + "=" * threshold.inclusive
    return f"{sign} {format_value(threshold.metric, threshold.limit)}"
