"""Cohere's question and its two answers; Jina's, Infinity's and vLLM's rerank are the first one.

Source: docs.cohere.com/v1/reference/rerank and /v2/reference/rerank, jina.ai/reranker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from opsconsole.server.wire.answers import ENCODER, Usage, usage, warnings
from opsconsole.server.wire.computing import Computing, Count
from opsconsole.server.wire.documents import DocumentText, TextDocuments, text_of
from opsconsole.server.wire.reading import (
    Question,
    check_count,
    check_query,
    check_texts,
    decode,
)
from opsconsole.server.wire.request import Limits, Ranking, RankRequest

Query = Annotated[
    Question, Meta(description="What to rank by.", examples=["How many people live in Berlin?"])
]
Top = Annotated[
    Count | None, Meta(description="Results wanted; 0, missing or more than there are: all.")
]


class Result(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One document's place in the ranking."""

    index: Annotated[int, Meta(description="Of the document in the request.")]
    relevance_score: float
    document: DocumentText | None = None


class InputTokens(msgspec.Struct, frozen=True):
    input_tokens: int


class ApiVersion(msgspec.Struct, frozen=True):
    version: str


class AnswerMeta(msgspec.Struct, frozen=True):
    api_version: ApiVersion
    tokens: InputTokens
    warnings: list[str]


class RerankAnswer(msgspec.Struct, frozen=True):
    """Cohere's (v1) and Jina's answer in one: the union of their fields."""

    id: str
    model: str
    results: list[Result]
    usage: Usage
    meta: AnswerMeta


class RerankV2Answer(msgspec.Struct, frozen=True):
    """Cohere's (v2) answer."""

    id: str
    results: list[Result]
    meta: AnswerMeta


class RerankV2Body(Computing, kw_only=True):
    """Cohere's (v2) question."""

    query: Query
    documents: TextDocuments
    top_n: Top = None
    top_k: Annotated[Count | None, Meta(description="Another name of `top_n`, which wins.")] = None


_V1, _V2 = ApiVersion("1"), ApiVersion("2")
_DECODER = msgspec.json.Decoder(RerankV2Body)


class AskedDocuments:
    """A body with documents, read.

    Args:
        request: What to rank.
        back: The documents to give back, by index; ``None`` gives none back.
        v2: The answer is Cohere's v2.
    """

    __slots__ = ("_back", "_v2", "requests")

    def __init__(self, request: RankRequest, back: list[Any] | None, *, v2: bool = False) -> None:
        self.requests = (request,)
        self._back = back
        self._v2 = v2

    def place(self, request: int, document: int | None) -> str:
        return "query" if document is None else f"documents[{document}]"

    def answer(self, rankings: Sequence[Ranking]) -> bytes:
        (ranking,) = rankings
        scores, back = ranking.scores, self._back
        if back is None:
            results = [Result(i, scores[i]) for i in ranking.order]
        else:
            results = [Result(i, scores[i], back[i]) for i in ranking.order]
        meta = AnswerMeta(_V2 if self._v2 else _V1, InputTokens(ranking.tokens), warnings(ranking))
        if self._v2:
            return ENCODER.encode(RerankV2Answer(ranking.request_id, results, meta))
        return ENCODER.encode(
            RerankAnswer(ranking.request_id, ranking.model, results, usage(rankings), meta)
        )


def top(top_n: int | None, top_k: int | None) -> int | None:
    """Results wanted, from either name; ``None`` for all."""
    return (top_k if top_n is None else top_n) or None


class CohereV2Dialect:
    """``/v2/rerank``."""

    body: Any = RerankV2Body
    answers: tuple[Any, ...] = (RerankV2Answer,)

    def read(self, body: bytes, limits: Limits) -> AskedDocuments:
        given = decode(_DECODER, body)
        check_query(given.query, limits)
        check_count(len(given.documents), limits, "documents")
        texts = text_of(given.documents)
        check_texts(texts, limits, "documents[{}]".format)
        request = RankRequest(given.query, texts, top(given.top_n, given.top_k), given.options())
        return AskedDocuments(request, None, v2=True)
