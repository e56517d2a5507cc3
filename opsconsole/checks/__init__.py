"""Checks: what they found, what it adds up to, and how it is told."""

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
