"""Any HTTP server: up when its health path answers with 2xx."""

from __future__ import annotations

from opsconsole.fleet.adapters.own import status_error
from opsconsole.fleet.adapters.reading import Reading
from opsconsole.fleet.http import Client, fetch
from opsconsole.fleet.snapshot import ServerState


async def read(client: Client, path: str) -> Reading:
    """Up, or :class:`~opsconsole.fleet.http.FetchError` saying why not."""
    answer = await fetch(client, path)
    if not 200 <= answer.status < 300:
        raise status_error(answer)
    return Reading(state=ServerState.UP)
