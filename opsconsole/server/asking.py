"""What a request asks for in its headers: by when, and how urgent beside others."""

from __future__ import annotations

import re
import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import msgspec

from opsconsole.engine.records import Options
from opsconsole.server.body import header
from opsconsole.server.errors import RequestError
from opsconsole.server.wire.computing import HIGH, LOW, NORMAL

if TYPE_CHECKING:
    from opsconsole.server.settings import ServerSettings

TIMEOUT = "x-request-timeout"
PRIORITY = "x-request-priority"
WEIGHTS: dict[str, float] = {"high": HIGH, "normal": NORMAL, "low": LOW}
"""Share of the device by the word in ``x-request-priority``."""
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
# No sign, exponent, "inf" or digits of other scripts, which float() would take.
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12}) ?(ms|s|m)?")


class Terms(msgspec.Struct, frozen=True):
    """What the headers said."""

    weight: float | None
    """``None`` without ``x-request-priority``: the body may say it, or it is 1."""
    deadline: float
    """``time.monotonic()`` after which nobody wants the answer; there always is one."""

    def of(self, options: Options) -> Options:
        """Options of a body, on these terms."""
        weight = options.weight if self.weight is None else self.weight
        return msgspec.structs.replace(options, weight=weight, deadline=self.deadline)


def read(scope: MutableMapping[str, Any], settings: ServerSettings) -> Terms:
    """The terms of a request that has just come.

    Raises:
        RequestError: 422, a header says nothing that can be understood.
    """
    seconds = settings.max_deadline
    given = header(scope, b"x-request-timeout")
    if given is not None:
        seconds = min(seconds, _duration(given))
    word = header(scope, b"x-request-priority")
    weight = None if word is None else _weight(word)
    return Terms(weight, time.monotonic() + seconds)


def _duration(value: bytes) -> float:
    found = _DURATION.fullmatch(value.decode("latin-1").strip().lower())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not seconds:
        raise _wrong(TIMEOUT, "seconds over 0, such as 2.5, 500ms, 2s or 1m")
    return seconds


def _weight(value: bytes) -> float:
    weight = WEIGHTS.get(value.decode("latin-1").strip().lower())
    if weight is None:
        raise _wrong(PRIORITY, f"one of {', '.join(WEIGHTS)}")
    return weight


def _wrong(field: str, expected: str) -> RequestError:
    return RequestError(422, "invalid_request", f"{field}: expected {expected}", field=field)
