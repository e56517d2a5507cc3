"""What an operator types to find lines: patterns, filters in and out, a level threshold."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from opsconsole.errors import OpsError
from opsconsole.logs.line import SEVERITY, Level, LogLine, detect_level

MATCH_LIMIT = 1 << 16
"""Characters of a line that are looked at; what stands after them is not found."""
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_META = re.compile(r"[\\.^$*+?{}\[\]|()]")

LineTest = Callable[[str, bytes], bool]
"""Says of (source, raw line) whether it matches; called in order, it may remember lines."""


class Pattern:
    """A text or regular expression, matched against the safe text of a line.

    Smart case: a pattern without capitals ignores case.

    Args:
        expression: What the operator typed.
        regex: False takes every character for itself.

    Raises:
        OpsError: not a regular expression; ``where`` says the column, counted from 1.
    """

    __slots__ = ("_literal", "_regex", "expression", "regex")

    def __init__(self, expression: str, *, regex: bool = True) -> None:
        self.expression = expression
        self.regex = regex
        bare = _ESCAPED.sub("", expression) if regex else expression
        ignore_case = re.IGNORECASE if bare == bare.lower() else re.NOFLAG
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "possible nested set" is not the operator's worry
                self._regex = re.compile(
                    expression if regex else re.escape(expression), ignore_case
                )
        except re.error as error:
            column = 1 if error.pos is None else error.pos + 1
            raise OpsError(
                f"not a regular expression: {error.msg}",
                where=f"column {column}",
                hint="put \\ before special characters, or double quotes around plain text",
            ) from error
        except (RecursionError, OverflowError) as error:
            raise OpsError("not a regular expression: too large", where="column 1") from error
        self._literal: re.Pattern[bytes] | None = None
        if expression.isascii() and not (regex and _META.search(expression)):
            self._literal = re.compile(re.escape(expression.encode()), ignore_case)

    @classmethod
    def typed(cls, text: str) -> Pattern | None:
        """What stands in a search line: a regular expression, or plain text in double quotes.

        Returns:
            None for nothing.

        Raises:
            OpsError: not a regular expression.
        """
        if len(text) > 2 and text[0] == text[-1] == '"':
            return cls(text[1:-1], regex=False)
        return cls(text) if text else None

    def __str__(self) -> str:
        return self.expression if self.regex else f'"{self.expression}"'

    def __repr__(self) -> str:
        return f"Pattern({self.expression!r}, regex={self.regex})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and (self.expression, self.regex) == (
            other.expression,
            other.regex,
        )

    def __hash__(self) -> int:
        return hash((self.expression, self.regex))

    def finditer(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of each match that is not empty."""
        return (match.span() for match in self._regex.finditer(text) if match.end() > match.start())

    def in_text(self, text: str) -> bool:
        """Whether safe text matches."""
        return self._regex.search(text) is not None

    def matches(self, raw: bytes) -> bool:
        """Whether a raw line matches as it would be shown."""
        return self.in_text(shown_text(raw))

    def may_match(self, block: bytes) -> bool:
        """False when no line of a block can match: spares a search the look at each line."""
        if self._literal is None or b"\x1b" in block or b"\n{" in block or block[:1] == b"{":
            return True  # the text shown is not the text in the file
        return self._literal.search(block) is not None


def shown_text(raw: bytes) -> str:
    """The text of a raw line that patterns look at."""
    if raw[:1] != b"{" and len(raw) <= MATCH_LIMIT and raw.isascii():
        text = raw.decode("ascii")
        if text.isprintable():  # most lines, most of the time
            return text
    return LogLine("", raw).head(MATCH_LIMIT)


@dataclass(frozen=True)
class Filter:
    """Which lines are shown: those that match all of ``include`` and none of ``exclude``."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    level: Level | None = None
    """Lines at or above this; a line without a level takes that of the line before it."""
    sources: frozenset[str] | None = field(default=None)
    """Only these sources; None for all."""

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude or self.level or self.sources is not None)

    def including(self, pattern: Pattern) -> Filter:
        """Narrower by a pattern that lines must match."""
        if pattern in self.include:
            return self
        return replace(self, include=(*self.include, pattern))

    def excluding(self, pattern: Pattern) -> Filter:
        """Narrower by a pattern that lines must not match."""
        if pattern in self.exclude:
            return self
        return replace(self, exclude=(*self.exclude, pattern))

    def test(self) -> LineTest:
        """A test for lines in order, from any line on."""
        include, exclude, sources = self.include, self.exclude, self.sources
        least = SEVERITY[self.level] if self.level else 0
        inherited: dict[str, int] = {}

        def matches(source: str, raw: bytes) -> bool:
            if sources is not None and source not in sources:
                return False
            if least:
                level = detect_level(raw)
                if level is not None:
                    inherited[source] = severity = SEVERITY[level]
                else:  # a traceback belongs to the error that it follows
                    severity = inherited.get(source, 0)
                if severity < least:
                    return False
            if include or exclude:
                text = shown_text(raw)
                return all(p.in_text(text) for p in include) and not any(
                    p.in_text(text) for p in exclude
                )
            return True

        return matches

    def describe(self) -> str:
        """In words for a status line: ``& timeout  ! /health  warning and above``."""
        parts = [f"& {p}" for p in self.include]
        parts += [f"! {p}" for p in self.exclude]
        if self.level:
            parts.append(f"{self.level} and above" if self.level != "error" else "errors only")
        if self.sources is not None:
            parts.append("only " + ", ".join(sorted(self.sources)))
        return "  ".join(parts)


def level_test(level: Level) -> LineTest:
    """A test for lines that state exactly this level themselves."""
    return lambda _source, raw: detect_level(raw) == level


def pattern_test(pattern: Pattern) -> LineTest:
    """A test for lines that match a pattern."""
    return lambda _source, raw: pattern.matches(raw)
