"""Finding the settings that serve best, by measuring them on a daemon of this machine."""

from opsconsole.tuning.kept import as_json, keep
from opsconsole.tuning.records import Doing, Event, Goal, Report, Settings, Trial
from opsconsole.tuning.request import BUDGET, CLIENTS, REPEAT, Request
from opsconsole.tuning.steps import PRESETS
from opsconsole.tuning.tuning import Tuning, left_behind, restore

__all__ = [
    "BUDGET",
    "CLIENTS",
    "PRESETS",
    "REPEAT",
    "Doing",
    "Event",
    "Goal",
    "Report",
    "Request",
    "Settings",
    "Trial",
    "Tuning",
    "as_json",
    "keep",
    "left_behind",
    "restore",
]
