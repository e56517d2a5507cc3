"""Checks: what they found, what it adds up to, and how it is told.

Names are imported when they are first asked for: the screen needs no verdict to paint.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsconsole.checks.diagnosis import Finding, diagnose
    from opsconsole.checks.formats import FORMATS, as_text
    from opsconsole.checks.result import CheckResult, CheckState, exit_code, worst
    from opsconsole.checks.verdict import check, select

__all__ = [
    "FORMATS",
    "CheckResult",
    "CheckState",
    "Finding",
    "as_text",
    "check",
    "diagnose",
    "exit_code",
    "select",
    "worst",
]
_HOMES = {
    "diagnosis": ("Finding", "diagnose"),
    "formats": ("FORMATS", "as_text"),
    "result": ("CheckResult", "CheckState", "exit_code", "worst"),
    "verdict": ("check", "select"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
