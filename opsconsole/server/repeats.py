"""Refusals by the thousand in the log: the first of a kind one by one, the others as a number."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from opsconsole.server.logs import JsonLog
    from opsconsole.server.settings import LogLevel

WINDOW = 5.0
"""Seconds in which refusals of one kind are taken together."""
MOST = 10
"""Lines of a kind in that time."""
FEW = 20
"""Kinds at a time that have so many lines; each further one has a single line."""
KINDS = 200
"""Kinds at a time that are told apart by where and why, too."""
FAILURES = frozenset({"engine_error", "internal_error", "out_of_memory"})
"""Types of errors that are no refusals: each has a cause of its own, and its line."""
_DETAIL = 40
_WHERE = 100
_DIGITS = re.compile(r"\d+")


class _Kind(NamedTuple):
    error: str
    status: int
    client: str | None
    level: LogLevel
    where: str = ""
    detail: str = ""
    """How it begins; its numbers, which are others each time, are as one."""


class _Count:
    __slots__ = ("detail", "first", "held", "last", "left", "timer")

    def __init__(self, timer: asyncio.TimerHandle, most: int) -> None:
        self.timer = timer
        self.left = most
        """Lines that it may still have."""
        self.held = 0
        """How many have no line."""
        self.detail = ""
        self.first = ""
        self.last = ""
        """Ids of the first and last of those."""


class Repeats:
    """Decides which refusals get a line, so that a client without patience does not push what
    matters out of the log. For one event loop; the metrics count every one all the same.

    Of one kind are those of one type and status to one client, on one path and for one reason.
    Whoever sends something else each time does not get a line each: above :data:`KINDS` kinds,
    path and reason do not count, so that there are as many more as types of errors times names
    of keys.

    Args:
        log: Where the numbers go. At its level ``debug`` every refusal is told.
        window: Seconds.
        most: Lines of a kind in a window.
    """

    def __init__(self, log: JsonLog, window: float = WINDOW, most: int = MOST) -> None:
        self._log = log
        self._window = window
        self._most = most
        self._counts: dict[_Kind, _Count] = {}

    def tells(
        self, error: str, status: int, client: str | None = None, level: LogLevel = "info",
        where: str = "", detail: str = "", request_id: str = "",
    ) -> bool:  # fmt: skip
        """Whether this refusal gets its line; counted if not.

        Args:
            error: The type of its error.
            status: HTTP status of its answer.
            client: The name of its key.
            level: Of the line, and of the number's.
            where: The path of its request; of what was none, the address it came from.
            detail: Why, in words.
            request_id: Empty where there is none.
        """
        if error in FAILURES or self._log.enabled("debug"):
            return True
        # Twice the length: what is left of its numbers is shorter.
        why = _DIGITS.sub("0", detail[: 2 * _DETAIL])[:_DETAIL]
        kind = _Kind(error, status, client, level, where[:_WHERE], why)
        count = self._counts.get(kind)
        if count is None and len(self._counts) >= KINDS:
            kind = _Kind(error, status, client, level)
            count = self._counts.get(kind)
        if count is None:
            timer = asyncio.get_running_loop().call_later(self._window, self._over, kind)
            most = self._most if len(self._counts) < FEW or not kind.where else 1
            count = self._counts[kind] = _Count(timer, most)
        if count.left:
            count.left -= 1
            return True
        if not count.held:
            count.first, count.detail = request_id, detail[:_DETAIL]
        count.last = request_id
        count.held += 1
        return False

    def flush(self) -> None:
        """Tell what was held back: the log ends."""
        for kind in list(self._counts):
            self._counts[kind].timer.cancel()
            self._over(kind)

    def _over(self, kind: _Kind) -> None:
        count = self._counts.pop(kind)
        if not count.held:
            return
        is_path = kind.where[:1] in ("/", "*")
        self._log.write(
            kind.level, f"and {count.held:,} more in {self._window:g} s",
            path=kind.where if is_path else None, peer=None if is_path else kind.where or None,
            status=kind.status, client=kind.client, error=kind.error,
            detail=(kind.detail and count.detail) or None, count=count.held,
            request_id=count.first or None, last_request_id=count.last or None,
        )  # fmt: skip
