"""Local daemons: started, watched, restarted and stopped, outliving the console.

Names resolve on first use, so that the keeper, which lives in this package, stays a few MB.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsconsole.daemon.command import log_path
    from opsconsole.daemon.control import adopt, restart, rolling_restart, start, stop
    from opsconsole.daemon.observe import DaemonStatus, status
    from opsconsole.daemon.states import DaemonState

__all__ = [
    "DaemonState",
    "DaemonStatus",
    "adopt",
    "log_path",
    "restart",
    "rolling_restart",
    "start",
    "status",
    "stop",
]

_HOMES = {
    "DaemonState": "states",
    "DaemonStatus": "observe",
    "log_path": "command",
    "status": "observe",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'control')}")
    value = getattr(module, name)
    globals()[name] = value
    return value
