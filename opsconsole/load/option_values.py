"""The keys of a load test as a command line writes them: texts and numbers → values."""

from __future__ import annotations

import functools
import math
import re
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET

from opsconsole.errors import UsageError
from opsconsole.load_words import MOST_CLIENTS
from opsconsole.profile.loads import AbortDoc, LoadDoc, StageDoc, parse_abort, parse_lengths
from opsconsole.profile.problems import nearest
from opsconsole.profile.read import unwrap
from opsconsole.profile.threshold import parse_threshold
from opsconsole.profile.units import parse_duration, parse_rate, parse_ratio
from opsconsole.text import clean_line

_STAGE = re.compile(r"(?P<first>\d+(?:\.\d+)?)(?:\.\.(?P<to>\d+(?:\.\d+)?))?(?P<rate>/s)?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE]\d+)?")


def option_value(key: str, value: Any) -> Any:
    """A value of the command line as a profile would hold it.

    What may be written is said in :func:`~opsconsole.load.modes.plan_for`.

    Raises:
        UsageError: no such key, or no such value of it.
    """
    check_text(value, key)
    hints = _hints()
    if key not in hints:
        raise UsageError(f"there is no option {key!r}", hint=nearest(key, hints))
    wanted, meta = unwrap(hints[key])
    kind = next((m.extra["kind"] for m in meta if m.extra and "kind" in m.extra), None)
    try:
        if key == "stages":
            return tuple(_stage(item) for item in value)
        if key == "abort_on":
            return tuple(_abort(item) for item in value)
        if key == "thresholds":
            return tuple(parse_threshold(item).text for item in value)
        if kind in ("rate", "ratio") and isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        if kind in _PARSERS:
            if kind == "duration" and isinstance(value, int | float):
                return _seconds(float(value))
            return _PARSERS[kind](value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return msgspec.convert(value, Annotated[(wanted, *meta)] if meta else wanted)
    except msgspec.ValidationError as error:
        raise UsageError(f"{str(error)[0].lower()}{str(error)[1:]}", where=key) from None
    except ValueError as error:
        raise UsageError(str(error), where=key) from None


def number_of(key: str, text: str) -> Any:
    """A number that stands without its option, as it is typed: ``100``, and where it is a rate
    ``50/s``.

    Raises:
        UsageError: it is none.
    """
    check_text(text, key)
    if key == "rate":
        try:
            return option_value(key, text)
        except UsageError as error:
            shown = clean_line(text, 60)
            raise UsageError(f"{error.what}, got {shown!r}", where=key) from None
    number = float(text) if _NUMBER.fullmatch(text.strip()) else 0.5
    if not number.is_integer():
        shown = clean_line(text, 60)
        raise UsageError(f"expected a whole number, such as 100, got {shown!r}", where=key)
    return int(number)


@functools.cache
def _hints() -> dict[str, Any]:
    """The types of the keys: evaluating them takes milliseconds, and a form asks at each key."""
    return typing.get_type_hints(LoadDoc, include_extras=True)


def check_text(value: Any, where: str) -> None:
    """Refuse what is not Unicode text in a value, or anywhere in it: bytes of the command line that
    are no UTF-8 arrive as halves of characters, which no request and no stored run can hold.

    Raises:
        UsageError: it holds such a half; ``where`` names the value.
    """
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(
                "it is not Unicode text", where=where, hint="write it in UTF-8"
            ) from None
    elif isinstance(value, Mapping):
        check_text([*value, *value.values()], where)
    elif isinstance(value, list | tuple):
        for each in value:
            check_text(each, where)


def _seconds(value: float) -> float:
    if not 0 <= value < math.inf:
        raise ValueError(f"expected a time of 0s or more, got {value:g}")
    return value


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "duration": parse_duration,
    "rate": parse_rate,
    "ratio": parse_ratio,
    "lengths": parse_lengths,
}


def _stage(value: Any) -> StageDoc:
    if isinstance(value, StageDoc):
        return value
    law, _, duration = str(value).strip().partition(" ")
    match = _STAGE.fullmatch(law)
    if match is None or not duration:
        raise ValueError(f"{value!r} is no stage: write 10/s 30s, 10..50/s 1m, or 8 1m for clients")
    to: Any = float(match["to"]) if match["to"] else UNSET
    seconds = parse_duration(duration.strip())
    if match["rate"]:
        return StageDoc(seconds, rate=parse_rate(float(match["first"])), to=to)
    return StageDoc(seconds, concurrency=_clients(match["first"]), to=to)


def _clients(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_CLIENTS:
        raise ValueError(f"expected a number of clients from 1 to {MOST_CLIENTS}, got {text}")
    return int(text)


def _abort(value: Any) -> AbortDoc:
    if isinstance(value, AbortDoc):
        return value
    return parse_abort(str(value))
