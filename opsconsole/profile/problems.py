"""Everything that is wrong with a profile, each with its line and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from msgspec import Struct

from opsconsole.errors import UsageError


class Problem(Struct, frozen=True):
    """One mistake. ``line`` and ``column`` count from 1; 0 when the place is the whole file."""

    message: str
    line: int = 0
    column: int = 0
    key: str = ""
    hint: str = ""

    def describe(self, file: str) -> str:
        """``file:line:column: key: message (hint)``."""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {key}{self.message}{hint}"


class ProfileError(UsageError):
    """A profile that cannot be used. ``problems`` holds all of its mistakes, top to bottom."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = sorted(problems, key=lambda p: (p.line, p.column))
        lines = [problem.describe(file) for problem in self.problems]
        super().__init__("\n".join(lines))


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to ``word``, or all of them when none is close."""
    choices = list(known)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(choices)
