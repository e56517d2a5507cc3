"""Local daemons: started, watched, restarted and stopped, outliving the console.

Names resolve on first use, so that the keeper, which lives in this package, stays a few MB.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsconsole.daemon.control import (
        adopt,
        log_path,
        restart,
        rolling_restart,
        start,
        status,
        stop,
    )
    from opsconsole.daemon.states import DaemonState
    from opsconsole.daemon.status import DaemonStatus

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

_HOMES = {"DaemonState": "states", "DaemonStatus": "status"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'control')}")
    value = getattr(module, name)
    globals()[name] = value
    return value
