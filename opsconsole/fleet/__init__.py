"""Watching servers: polling, and what follows from the polls.

What speaks HTTP is imported when it is first asked for: the screen paints before it polls.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from opsconsole.fleet.history import Figures, FleetFigures, History, Point, aggregate
from opsconsole.fleet.quantile import delta, merge, quantile
from opsconsole.fleet.snapshot import (
    Counters,
    Failure,
    Histogram,
    Identity,
    ServerState,
    Snapshot,
)

if TYPE_CHECKING:
    from opsconsole.fleet.http import Answer, FetchError, client_for, fetch
    from opsconsole.fleet.poller import poll, watch

__all__ = [
    "Answer",
    "Counters",
    "Failure",
    "FetchError",
    "Figures",
    "FleetFigures",
    "Histogram",
    "History",
    "Identity",
    "Point",
    "ServerState",
    "Snapshot",
    "aggregate",
    "client_for",
    "delta",
    "fetch",
    "merge",
    "poll",
    "quantile",
    "watch",
]
_HOMES = {
    "Answer": "http",
    "FetchError": "http",
    "client_for": "http",
    "fetch": "http",
    "poll": "poller",
    "watch": "poller",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
