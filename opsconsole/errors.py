"""The one error that users see: what is wrong, where, and what to do."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command. 0-3 follow the Nagios plugin contract."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3
    USAGE = 64
    INTERRUPTED = 130


class OpsError(Exception):
    """An error an operator can act on.

    Args:
        what: What is wrong, one sentence without a full stop.
        where: The place: ``file:line``, a server, an item. Empty when there is none.
        hint: What to do about it. Empty when nothing sensible can be said.
        code: The exit code that a command ends with.
    """

    def __init__(
        self, what: str, *, where: str = "", hint: str = "", code: ExitCode = ExitCode.CRITICAL
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.code = code

    def about(self, name: str) -> str:
        """The message with ``name`` before it, unless it names the place already."""
        return str(self) if name in self.where else f"{name}: {self}"

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head} ({self.hint})" if self.hint else head


class UsageError(OpsError):
    """A mistake in the command line or in a profile: exit code 64."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint, code=ExitCode.USAGE)
