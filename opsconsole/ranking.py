"""One query ranked by one side: a server over HTTP, or the embedded engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from opsconsole.errors import OpsError
from opsconsole.fleet import FetchError, client_for, rerank
from opsconsole.profile import Server

if TYPE_CHECKING:
    from opsconsole.engine.client import EngineClient

EMBEDDED = ""
TIMEOUT = 60.0


class Ranking(Struct, frozen=True, kw_only=True):
    """What one side made of a query.

    Attributes:
        source: The server's name; :data:`EMBEDDED` for the engine inside opsconsole.
        results: (document index, relevance score), best first.
        seconds: From asking to the whole answer.
        error: Why there are no results; empty when there are.
    """

    source: str
    model: str = "—"
    results: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0
    error: str = ""

    def places(self) -> dict[int, int]:
        """Document index → place, counted from 1."""
        return {index: place for place, (index, _) in enumerate(self.results, 1)}


async def rank_server(server: Server, query: str, documents: Sequence[str]) -> Ranking:
    """Ask a server on ``/v1/rerank``. Never raises for what the server does."""
    try:
        async with client_for(server) as client:
            client.timeout = TIMEOUT
            ranked = await rerank(client, query, documents, timeout=TIMEOUT)
    except FetchError as error:
        return Ranking(source=server.name, error=error.detail)
    except OpsError as error:
        return Ranking(source=server.name, error=str(error))
    return Ranking(
        source=server.name, model=ranked.model, results=ranked.results, seconds=ranked.seconds
    )


async def rank_embedded(client: EngineClient, query: str, documents: Sequence[str]) -> Ranking:
    """Ask the embedded engine; an engine that failed is said in ``error``."""
    start = time.perf_counter()
    try:
        scores = await client.score(query, documents)
    except OpsError as error:
        return Ranking(source=EMBEDDED, error=str(error))
    order = sorted(enumerate(scores.values), key=lambda item: (-item[1], item[0]))
    return Ranking(
        source=EMBEDDED,
        model=client.info.name if client.info else "—",
        results=tuple(order),
        seconds=time.perf_counter() - start,
    )
