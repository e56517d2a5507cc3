"""Checks: what they found, what it adds up to, and how it is told.

The verdict, which speaks HTTP, is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from opsconsole.checks.diagnosis import Finding, diagnose
from opsconsole.checks.result import CheckResult, CheckState, exit_code, worst

if TYPE_CHECKING:
    from opsconsole.checks.formats import FORMATS, as_text
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
_HOMES = {"FORMATS": "formats", "as_text": "formats", "check": "verdict", "select": "verdict"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
