"""All that a server's health route says, for whoever wants more of it than a poll keeps."""

from __future__ import annotations

import asyncio
from typing import Any

from opsconsole.errors import OpsError
from opsconsole.fleet.http import FetchError, client_for, fetch
from opsconsole.profile import Server


async def health_of(server: Server) -> dict[str, Any]:
    """The JSON of its ``/health``; empty when it does not answer with any."""
    try:
        async with client_for(server) as client, asyncio.timeout(server.timeout):
            answer = await fetch(client, "/health")
            found: dict[str, Any] = answer.json(dict[str, Any])
    except (FetchError, OpsError, TimeoutError):
        return {}
    return found
