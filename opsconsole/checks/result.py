"""What a check found, and what a set of them adds up to."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from opsconsole.errors import ExitCode


class CheckState(StrEnum):
    """UNKNOWN means that the check could not be made; it never counts as passed."""

    PASS = "pass"  # noqa: S105
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class CheckResult(Struct, frozen=True, kw_only=True):
    """One check of one server.

    Attributes:
        check: Its name: process, health, backend, rerank, latency.
        observed: What was seen, one line.
        expected: What it was measured against; empty when the name says it.
        hint: What to do; empty when it passed.
        value: The measured number for performance data, in ``unit``.
        limit: The number that ``value`` was measured against.
    """

    server: str
    check: str
    state: CheckState
    observed: str
    expected: str = ""
    hint: str = ""
    seconds: float = 0.0
    value: float | None = None
    limit: float | None = None
    unit: str = ""


_EXIT = {
    CheckState.PASS: ExitCode.OK,
    CheckState.WARN: ExitCode.WARNING,
    CheckState.FAIL: ExitCode.CRITICAL,
    CheckState.UNKNOWN: ExitCode.UNKNOWN,
}
# For a gate, not knowing is worse than a warning.
_WORST = (CheckState.FAIL, CheckState.UNKNOWN, CheckState.WARN, CheckState.PASS)


def worst(states: Iterable[CheckState]) -> CheckState:
    """The state of several checks together; UNKNOWN when there are none."""
    present = set(states)
    return next((state for state in _WORST if state in present), CheckState.UNKNOWN)


def exit_code(results: Iterable[CheckResult]) -> ExitCode:
    """The exit code of a verdict: 0 ok, 1 warning, 2 critical, 3 unknown or nothing checked."""
    return _EXIT[worst(result.state for result in results)]
