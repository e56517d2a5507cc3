"""Strict readings of environment variables: nonsense is refused by name, never guessed at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args, overload

from opsconsole.errors import UsageError

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_MOST_SECONDS = 86_400


class Environment:
    """Variables by name. An empty one, or one of blanks, counts as unset.

    Every reading raises :class:`UsageError` that names variable, value and what was expected.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def get(self, name: str) -> str | None:
        """As it stands, without the blanks around it."""
        return self._environ.get(name, "").strip() or None

    def text(self, name: str, default: str) -> str:
        """Printable text of at most 255 characters."""
        value = self.get(name) or default
        if not value.isprintable() or len(value) > 255:
            raise wrong(name, value, "printable text of at most 255 characters")
        return value

    @overload
    def integer(self, name: str, default: int, least: int, most: int) -> int: ...

    @overload
    def integer(self, name: str, default: None, least: int, most: int) -> int | None: ...

    def integer(self, name: str, default: int | None, least: int, most: int) -> int | None:
        """A whole number in decimal digits."""
        value = self.get(name)
        if value is None:
            return default
        # int() would also take "1_0", "+5" and digits of other scripts.
        plain = value.isascii() and value.isdigit() and len(value) < 16
        if not plain or not least <= int(value) <= most:
            raise wrong(name, value, f"a whole number from {least} to {most}")
        return int(value)

    def seconds(self, name: str, default: float, *, positive: bool = False) -> float:
        """Seconds, up to a day; ``positive`` refuses 0, which would let nothing happen."""
        value = self.get(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= _MOST_SECONDS or (positive and number == 0):
            least = "more than 0" if positive else "0"
            raise wrong(name, value, f"seconds from {least} to {_MOST_SECONDS}, such as 0.5")
        return number

    @overload
    def flag(self, name: str, default: bool) -> bool: ...

    @overload
    def flag(self, name: str, default: None) -> bool | None: ...

    def flag(self, name: str, default: bool | None) -> bool | None:
        """``true`` or ``false``, and what people write for them."""
        value = self.get(name)
        if value is None:
            return default
        if value.lower() in _TRUE:
            return True
        if value.lower() in _FALSE:
            return False
        raise wrong(name, value, "true or false")

    def choice(self, name: str, default: str, choices: Any) -> str:
        """One word of the ``Literal`` ``choices``, in any case."""
        value = self.get(name)
        word = (value or default).lower()
        if word not in get_args(choices):
            raise wrong(name, value, "one of " + ", ".join(get_args(choices)))
        return word

    def words(self, name: str) -> tuple[str, ...]:
        """Printable words with commas between them, each once."""
        words = [word.strip() for word in (self.get(name) or "").split(",")]
        if not all(word.isprintable() for word in words):
            raise wrong(name, self.get(name), "printable words separated by commas")
        return tuple(dict.fromkeys(word for word in words if word))


def wrong(name: str, value: object, expected: str) -> UsageError:
    """The error for a variable that holds nonsense. Never for a variable that holds a secret."""
    return UsageError(f"{name} is {value!r}, expected {expected}", where="environment")
