"""The rows of the fleet table: model in, cells out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from opsconsole.figures import DASH, ago, latency, percent, rate
from opsconsole.fleet import FleetFigures, Point, ServerState
from opsconsole.profile import Server
from opsconsole.text import clean_line
from opsconsole.tui.model import FleetModel
from opsconsole.tui.symbols import Symbols, look
from opsconsole.tui.widgets.sparkline import spark
from opsconsole.tui.widgets.table import Cell, Column, Row

COLUMNS = (
    Column("state", "STATE", 13),
    Column("server", "SERVER", 11, flex=True),
    Column("kind", "KIND", 4, priority=5),
    Column("device", "DEV", 6, priority=4),
    Column("rate", "req/s", 5, right=True, priority=1),
    Column("p50", "p50", 5, right=True, priority=3),
    Column("p95", "p95", 5, right=True, priority=1),
    Column("p99", "p99", 5, right=True, priority=6),
    Column("errors", "err%", 4, right=True, priority=2),
    Column("queue", "queue", 5, right=True, priority=2),
    Column("trend", "60s", 10, priority=3, flex=True),
    Column("model", "MODEL", 16, priority=8, flex=True),
    Column("memory", "RSS", 8, right=True, priority=9),
    Column("up", "UP", 7, right=True, priority=7),
)
SORTS = ("profile order", "state", "p95", "rate", "errors", "name")
_RANK = {
    ServerState.DOWN: 0,
    ServerState.UNKNOWN: 1,
    ServerState.DEGRADED: 2,
    ServerState.DRAINING: 3,
    ServerState.LOADING: 4,
    ServerState.UP: 5,
}
_BAD_ERRORS = 0.01


class FleetRows:
    """Makes the rows, and makes again only those that have changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[object, ...], Row]] = {}

    def make(
        self, model: FleetModel, symbols: Symbols, servers: Sequence[Server], sort: str, trend: int
    ) -> list[Row]:
        """One row a server in the order of ``sort``, and the sum line when there are several.

        ``trend`` is the width of the trend column in cells; 0 when it is not shown.
        """
        second = int(time.time())  # rows say how long ago
        rows = []
        for server in _sorted(model, servers, sort):
            name = server.name
            state: tuple[object, ...] = (
                id(model), model.seen(name), second, trend, symbols, model.daemons.get(name),
                model.busy.get(name),
            )  # fmt: skip
            known = self._known.get(name)
            if known is None or known[0] != state:
                known = self._known[name] = (state, _row(model, symbols, server, trend))
            rows.append(known[1])
        if len(rows) > 1:
            rows.append(_sum_row(model.fleet(), symbols))
        return rows


def _sorted(model: FleetModel, servers: Sequence[Server], sort: str) -> list[Server]:
    def state(server: Server) -> int:
        last = model.snapshot(server.name)
        return _RANK[last.state] if last else 1

    # Servers that tell nothing go to the end; the profile's order breaks ties, so rows rest.
    keys = {
        "state": state,
        "p95": lambda s: -(model.figures(s.name).p95 or 0.0),
        "rate": lambda s: -(model.figures(s.name).request_rate or 0.0),
        "errors": lambda s: -(model.figures(s.name).error_share or 0.0),
        "name": lambda s: s.name,
    }
    return sorted(servers, key=keys[sort]) if sort in keys else list(servers)


def _row(model: FleetModel, symbols: Symbols, server: Server, trend: int) -> Row:
    name = server.name
    snapshot, daemon = model.snapshot(name), model.daemons.get(name)
    history, figures = model.histories[name], model.figures(name)
    seen = look(symbols, server, snapshot, daemon)
    busy = model.busy.get(name)
    word, style = (busy, "accent") if busy else (seen.word, seen.style)
    mark = symbols.half if busy else seen.mark
    since = history.state_since
    if not busy and seen.style == "bad" and since is not None:
        word += f" {ago(time.time() - since).split()[0]}"
    identity = snapshot.identity if snapshot else None
    counters = snapshot.counters if snapshot else None
    limit = server.service_level.p95
    slow = limit is not None and figures.p95 is not None and figures.p95 > limit
    share = figures.error_share
    allowed = server.service_level.success_rate
    failing = share is not None and share > (1 - allowed if allowed is not None else _BAD_ERRORS)
    queue, queue_style = DASH, "dim"
    if counters and counters.waiting is not None and counters.max_queue is not None:
        queue = f"{counters.waiting:.0f}/{counters.max_queue:.0f}"
        queue_style = "warn" if counters.waiting >= 0.8 * counters.max_queue > 0 else ""
    started = daemon.started_at if daemon and daemon.pid else None
    if started is None and identity is not None:
        started = identity.started_at
    alive = snapshot is not None and snapshot.failure is None
    cells = {
        "state": Cell(f"{mark} {word}", style),
        "server": Cell(clean_line(name), "bright"),
        "kind": Cell(server.kind, "dim"),
        "device": _known(clean_line(identity.device, 12) if identity and identity.device else None),
        "rate": _figure(rate(figures.request_rate)),
        "p50": _figure(latency(figures.p50)),
        "p95": _figure(latency(figures.p95), "warn" if slow else ""),
        "p99": _figure(latency(figures.p99)),
        "errors": _figure(percent(share), "bad" if failing else ""),
        "queue": Cell(queue, queue_style),
        "trend": Cell(_trend(history.points, symbols, trend), "accent"),
        "model": _known(clean_line(identity.model, 60) if identity and identity.model else None),
        "memory": _memory(counters.resident_bytes if counters else None),
        "up": _figure(ago(time.time() - started) if started and alive else DASH),
    }
    return Row(name, cells)


def _sum_row(fleet: FleetFigures, symbols: Symbols) -> Row:
    return Row(
        "\0sum",
        {
            "state": Cell(f"{symbols.sum} fleet", "dim"),
            "server": Cell(f"{fleet.up}/{fleet.total} up", "dim"),
            "rate": Cell(rate(fleet.request_rate), "bright"),
            "p50": _figure(latency(fleet.p50)),
            "p95": _figure(latency(fleet.p95)),
            "p99": _figure(latency(fleet.p99)),
            "errors": _figure(percent(fleet.error_share)),
        },
        selectable=False,
    )


def _figure(text: str, style: str = "") -> Cell:
    return Cell(text, "dim" if text == DASH else style)


def _known(text: str | None) -> Cell:
    return Cell(text, "dim") if text else Cell(DASH, "dim")


def _memory(amount: float | None) -> Cell:
    if amount is None:
        return Cell(DASH, "dim")
    return Cell(f"{amount / 2**20:.0f} MiB" if amount < 2**30 else f"{amount / 2**30:.1f} GiB")


def _trend(points: Sequence[Point], symbols: Symbols, width: int) -> str:
    """The request rate of the last minute; the newest at the right."""
    values = [point.rate for point in points]
    return spark(values, width, symbols.chart) if any(v is not None for v in values) else ""
