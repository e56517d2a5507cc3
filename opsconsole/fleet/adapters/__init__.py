"""One file per kind of server; :func:`read` picks it."""

from __future__ import annotations

import msgspec.structs

from opsconsole.fleet.adapters import http, own
from opsconsole.fleet.adapters.reading import Reading
from opsconsole.fleet.http import Client, FetchError
from opsconsole.profile import Server

__all__ = ["Reading", "read"]


async def read(server: Server, client: Client, *, metrics: bool = True) -> Reading:
    """One reading of ``server``; its health alone without ``metrics``.

    Raises:
        FetchError: its health route brought no usable answer.
    """
    if server.kind == "http":
        return await http.read(client, server.health)
    health = await own.read_health(client, server.health)
    if not metrics:
        return health
    try:
        counters = await own.read_counters(client)
    except FetchError as error:
        # Metrics that fail do not make a healthy server sick: shown as absent, with the class.
        return msgspec.structs.replace(
            health,
            metrics_failure=error.failure,
            detail=health.detail or f"metrics: {error.detail}",
        )
    return msgspec.structs.replace(health, counters=counters)
