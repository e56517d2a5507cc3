"""Watching servers: polling, and what follows from the polls."""

from opsconsole.fleet.fetch import Answer, FetchError, client_for, fetch
from opsconsole.fleet.history import Figures, FleetFigures, History, Point, aggregate
from opsconsole.fleet.poller import poll, watch
from opsconsole.fleet.quantile import delta, merge, quantile
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
