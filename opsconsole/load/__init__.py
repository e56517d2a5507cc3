"""Load tests: plans, the generator process, verdicts, stored runs.

Names are imported when they are first asked for: the generator process needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsconsole.load import exports, report, store
    from opsconsole.load.modes import plan_for
    from opsconsole.load.plan import DIALECTS, MODES, Plan
    from opsconsole.load.records import Judgement, PhaseResult, Run, Tick, Totals
    from opsconsole.load.run import LoadRun

__all__ = [
    "DIALECTS",
    "MODES",
    "Judgement",
    "LoadRun",
    "PhaseResult",
    "Plan",
    "Run",
    "Tick",
    "Totals",
    "exports",
    "plan_for",
    "report",
    "store",
]
_HOMES = {
    "modes": ("plan_for",),
    "plan": ("DIALECTS", "MODES", "Plan"),
    "records": ("Judgement", "PhaseResult", "Run", "Tick", "Totals"),
    "run": ("LoadRun",),
}


def __getattr__(name: str) -> object:
    if name in ("exports", "report", "store"):
        return import_module(f"{__name__}.{name}")
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
