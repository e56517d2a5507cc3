"""One question to a reranker in the dialect of Cohere and Jina, its answer checked."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

from msgspec import Struct

from opsconsole.fleet.http import Client, FetchError, fetch
from opsconsole.fleet.snapshot import Failure

_SHOWN = 300


class Ranked(Struct, frozen=True):
    """A reranker's answer.

    Attributes:
        model: As the server calls it.
        results: (document index, relevance score), best first; each document once.
        seconds: From asking to the whole answer.
    """

    model: str
    results: tuple[tuple[int, float], ...]
    seconds: float


class _Result(Struct):
    index: int
    relevance_score: float


class _Answer(Struct):
    results: list[_Result]
    model: str = "—"


async def rerank(client: Client, query: str, documents: Sequence[str], *, timeout: float) -> Ranked:
    """Ask ``/v1/rerank`` and check what comes.

    Args:
        timeout: Seconds for all of it; longer than a poll may take.

    Raises:
        FetchError: no answer, another status than 200, or an answer that is not a ranking of
            these documents by finite, falling scores.
    """
    body = {"query": query, "documents": list(documents), "return_documents": False}
    start = time.perf_counter()
    try:
        async with asyncio.timeout(timeout):
            answer = await fetch(client, "/v1/rerank", method="POST", json=body)
    except TimeoutError:
        raise _wrong(f"no answer within {timeout:g} s") from None
    seconds = time.perf_counter() - start
    if answer.status != 200:
        raise _wrong(f"HTTP {answer.status}: {answer.body[:_SHOWN].decode('utf-8', 'replace')}")
    found: _Answer = answer.json(_Answer)
    scores = [result.relevance_score for result in found.results]
    if sorted(result.index for result in found.results) != list(range(len(documents))):
        raise _wrong(f"{len(scores)} results for {len(documents)} documents, or wrong indices")
    if not all(map(math.isfinite, scores)):
        raise _wrong("a score is not a finite number")
    if scores != sorted(scores, reverse=True):
        raise _wrong("the results are not sorted by score")
    return Ranked(found.model, tuple((r.index, r.relevance_score) for r in found.results), seconds)


def _wrong(detail: str) -> FetchError:
    return FetchError(Failure.SHAPE, detail)
