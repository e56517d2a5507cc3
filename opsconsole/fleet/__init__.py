"""Watching servers: polling, and what follows from the polls.

Names are imported when they are first asked for: the screen paints before it polls, and a verdict
needs no history.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsconsole.fleet.buckets import delta, merge, quantile
    from opsconsole.fleet.health import health_of
    from opsconsole.fleet.history import Figures, FleetFigures, History, Point, aggregate
    from opsconsole.fleet.http import (
        Answer,
        Client,
        FetchError,
        client_for,
        fetch,
        header_value,
    )
    from opsconsole.fleet.poller import poll, watch
    from opsconsole.fleet.reranking import Ranked, rerank
    from opsconsole.fleet.snapshot import (
        Counters,
        Failure,
        Histogram,
        Identity,
        ServerState,
        Snapshot,
    )

__all__ = [
    "Answer",
    "Client",
    "Counters",
    "Failure",
    "FetchError",
    "Figures",
    "FleetFigures",
    "Histogram",
    "History",
    "Identity",
    "Point",
    "Ranked",
    "ServerState",
    "Snapshot",
    "aggregate",
    "client_for",
    "delta",
    "fetch",
    "header_value",
    "health_of",
    "merge",
    "poll",
    "quantile",
    "rerank",
    "watch",
]
_HOMES = {
    "health": ("health_of",),
    "history": ("Figures", "FleetFigures", "History", "Point", "aggregate"),
    "http": ("Answer", "Client", "FetchError", "client_for", "fetch", "header_value"),
    "poller": ("poll", "watch"),
    "reranking": ("Ranked", "rerank"),
    "buckets": ("delta", "merge", "quantile"),
    "snapshot": ("Counters", "Failure", "Histogram", "Identity", "ServerState", "Snapshot"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
