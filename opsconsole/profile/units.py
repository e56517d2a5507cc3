"""Durations, shares and sizes as people write them in a profile: ``500ms``, ``99%``, ``10MB``."""

from __future__ import annotations

import math
import re

_DURATION = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_TEXT = re.compile(r"(?:\d+(?:\.\d+)?(?:us|ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")
_SIZE = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_SHORT = 8
"""Characters of a number that nobody wants written in another unit."""
_RATE_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")
_SIZE_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?i?B)")


def parse_duration(value: object) -> float:
    """Seconds from ``"500ms"``, ``"30s"``, ``"2m"``, ``"1h30m"``.

    Raises:
        ValueError: no unit, an unknown unit, or negative. A bare number is refused because nobody
            can know whether milliseconds or seconds were meant.
    """
    if isinstance(value, str) and _DURATION_TEXT.fullmatch(value.strip()):
        return sum(float(n) * _DURATION[unit] for n, unit in _DURATION_PART.findall(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"a duration needs a unit, such as {value:g}s or {value:g}ms")
    raise ValueError("expected a duration such as 500ms, 30s, 2m or 1h30m")


def parse_ratio(value: object) -> float:
    """A share in 0..1 from ``"99%"`` or ``0.99``.

    Raises:
        ValueError: outside 0..1 (a bare ``99`` is refused: write ``99%``).
    """
    ratio: float | None = None
    if isinstance(value, str) and re.fullmatch(r"\s*\d+(\.\d+)?\s*%\s*", value):
        ratio = float(value.strip().rstrip("%")) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        ratio = float(value)
    if ratio is None or not 0 <= ratio <= 1:
        raise ValueError("expected a share such as 99% or 0.99")
    return ratio


def parse_size(value: object) -> int:
    """Bytes from ``"10MB"`` (10^6), ``"64MiB"`` (2^20) or a whole number of bytes.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE_TEXT.fullmatch(value.strip())):
        return int(float(match[1]) * _SIZE[match[2]])
    raise ValueError("expected a size such as 10MB, 64MiB or a number of bytes")


def parse_rate(value: object) -> float:
    """A number a second from ``50``, ``"50/s"``, ``"600/m"``, ``"36000/h"``.

    Raises:
        ValueError: anything else, or more than a million a second.
    """
    rate: float | None = None
    if isinstance(value, str) and (match := _RATE_TEXT.fullmatch(value.strip())):
        rate = float(match[1]) / _DURATION[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        rate = float(value)
    if rate is None or not 0 <= rate <= 1e6:
        raise ValueError("expected a rate such as 50/s or 600/m, at most 1000000/s")
    return rate


def format_duration(seconds: float) -> str:
    """The shortest exact way to write a duration in a profile: ``0.5`` → ``500ms``."""
    if seconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s", "ms", "us"):
        amount = seconds / _DURATION[unit]
        if amount >= 1 and abs(amount - round(amount)) < 1e-9:
            return f"{round(amount)}{unit}"
    return f"{seconds:g}s"


def format_ratio(ratio: float) -> str:
    """A share as people write it: ``0.995`` → ``99.5%``."""
    return f"{ratio * 100:.10g}%"


def format_rate(rate: float) -> str:
    """A number a second as people write it: ``50/s``, ``12.5/s``; ``50/m`` where that is shorter
    than the fraction."""
    for unit in ("s", "m", "h"):
        number = _plain(amount := rate * _DURATION[unit])
        if len(number) <= _SHORT and math.isclose(float(number), amount, rel_tol=1e-12):
            return f"{number}/{unit}"
    return f"{_plain(rate)}/s"


def _plain(number: float) -> str:
    """Ten figures at most, without an exponent."""
    text = f"{number:.10g}"
    if "e" in text:
        text = f"{number:.12f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_size(size: int) -> str:
    """Bytes in the largest unit that keeps them exact: ``10000000`` → ``10MB``."""
    for unit in ("GiB", "GB", "MiB", "MB", "KiB", "kB"):
        if size and size % _SIZE[unit] == 0:
            return f"{size // _SIZE[unit]}{unit}"
    return f"{size}B"
