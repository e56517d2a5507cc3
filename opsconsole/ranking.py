"""One query ranked by one side: a server over HTTP, or the embedded engine."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from opsconsole.errors import OpsError
from opsconsole.fleet import FetchError, client_for, fetch
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


class _Item(Struct):
    index: int
    relevance_score: float


class _Answer(Struct):
    results: list[_Item]
    model: str = "—"


async def rank_server(server: Server, query: str, documents: Sequence[str]) -> Ranking:
    """Ask a server on ``/v1/rerank``. Never raises for what the server does."""
    body = {"query": query, "documents": list(documents), "return_documents": False}
    start = time.perf_counter()
    try:
        async with client_for(server) as client, asyncio.timeout(TIMEOUT):
            client.timeout = TIMEOUT
            answer = await fetch(client, "/v1/rerank", method="POST", json=body)
        if answer.status != 200:
            text = answer.body[:300].decode("utf-8", "replace")
            return Ranking(source=server.name, error=f"HTTP {answer.status}: {text}")
        found: _Answer = answer.json(_Answer)
    except FetchError as error:
        return Ranking(source=server.name, error=error.detail)
    except TimeoutError:
        return Ranking(source=server.name, error=f"no answer within {TIMEOUT:g} s")
    except OpsError as error:
        return Ranking(source=server.name, error=str(error))
    seconds = time.perf_counter() - start
    valid = all(0 <= r.index < len(documents) and math.isfinite(r.relevance_score)
                for r in found.results)  # fmt: skip
    if not valid:
        return Ranking(source=server.name, error="the answer has wrong indices or scores")
    return Ranking(
        source=server.name,
        model=found.model,
        results=tuple((r.index, r.relevance_score) for r in found.results),
        seconds=seconds,
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
