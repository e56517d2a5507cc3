"""Requests and answers as they travel, and the one form in which the server thinks of them.

A dialect reads its body into a :class:`RankRequest` and writes a :class:`Ranking` as its answer;
nothing else knows about fields.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from opsconsole.server.errors import RequestError, invalid


class RankRequest(msgspec.Struct, frozen=True):
    """A query and the documents to rank by it."""

    query: str
    documents: list[str]
    top_n: int | None
    """Results wanted; ``None`` for all."""
    return_documents: bool


class Ranking(msgspec.Struct, frozen=True):
    """The answer to a :class:`RankRequest`: the best ``top_n``, best first."""

    request_id: str
    model: str
    request: RankRequest
    order: list[int]
    """Indices of documents."""
    scores: list[float]
    """One for each document, in the order of the request."""
    tokens: int
    truncated: int


class Dialect(Protocol):
    """One way to put the question and the answer."""

    def read(self, body: bytes, max_documents: int) -> RankRequest:
        """Decode a body; raises :class:`RequestError`."""

    def write(self, ranking: Ranking) -> bytes:
        """Encode the answer."""


def best_first(scores: list[float], top_n: int | None) -> list[int]:
    """Indices by falling score; equal scores keep the order of the request."""
    order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
    return order if top_n is None else order[:top_n]


class _DocumentObject(msgspec.Struct, gc=False):  # a body may hold a million of them
    text: str


class _Body(msgspec.Struct):
    query: str
    documents: list[str | _DocumentObject]
    top_n: int | None = None
    top_k: int | None = None
    return_documents: bool | None = None
    model: str | None = None
    """Which model the client thinks it talks to; the answer names the one it does."""


class DocumentText(msgspec.Struct, frozen=True):
    text: str


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    index: int
    relevance_score: float
    document: DocumentText | None = None


class Usage(msgspec.Struct, frozen=True):
    total_tokens: int
    prompt_tokens: int


class InputTokens(msgspec.Struct, frozen=True):
    input_tokens: int


class ApiVersion(msgspec.Struct, frozen=True):
    version: str = "1"


class Meta(msgspec.Struct, frozen=True):
    api_version: ApiVersion
    tokens: InputTokens
    warnings: list[str]


class RerankAnswer(msgspec.Struct, frozen=True):
    """Cohere's (v1) and Jina's answer in one: the union of their fields."""

    id: str
    model: str
    results: list[Result]
    usage: Usage
    meta: Meta


_DECODER = msgspec.json.Decoder(_Body)
_ENCODER = msgspec.json.Encoder()


class CohereDialect:
    """``/rerank`` and ``/v1/rerank``: they differ in whether documents come back unasked.

    Decoding happens on the event loop: msgspec holds the interpreter's lock, so a thread would
    stall it just as long (19 ms for 32 MB of 10,000 documents, 0.3 s for the worst such body).
    """

    def __init__(self, *, return_documents: bool) -> None:
        self._return_documents = return_documents

    def read(self, body: bytes, max_documents: int) -> RankRequest:
        """Decode a body.

        Raises:
            RequestError: 400 it is not JSON, 413 too many documents, 422 a field is wrong.
        """
        try:
            given = _DECODER.decode(body)
        except msgspec.ValidationError as error:
            raise invalid(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(400, "invalid_json", _why_not_json(error, body)) from None
        if len(given.documents) > max_documents:
            raise RequestError(
                413,
                "too_many_documents",
                f"{len(given.documents)} documents, at most {max_documents} are taken",
                field="documents",
            )
        if not given.query.strip():
            raise RequestError(
                422, "invalid_request", "query: expected text, got none", field="query"
            )
        for name in ("top_n", "top_k"):
            value = getattr(given, name)
            if value is not None and value < 0:
                raise RequestError(
                    422,
                    "invalid_request",
                    f"{name}: expected 0 (all) or more, got {value}",
                    field=name,
                )
        back = given.return_documents
        top = given.top_k if given.top_n is None else given.top_n
        return RankRequest(
            given.query,
            [d if isinstance(d, str) else d.text for d in given.documents],
            top or None,
            self._return_documents if back is None else back,
        )

    def write(self, ranking: Ranking) -> bytes:
        """Encode the answer."""
        documents = ranking.request.documents if ranking.request.return_documents else None
        results = [
            Result(i, ranking.scores[i], DocumentText(documents[i]) if documents else None)
            for i in ranking.order
        ]
        warnings = []
        if ranking.truncated:
            warnings.append(f"documents cut to the model's length limit: {ranking.truncated}")
        return _ENCODER.encode(
            RerankAnswer(
                ranking.request_id,
                ranking.model,
                results,
                Usage(ranking.tokens, ranking.tokens),
                Meta(ApiVersion(), InputTokens(ranking.tokens), warnings),
            )
        )


def _why_not_json(error: Exception, body: bytes) -> str:
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    if not body:
        return "the body is empty, expected a JSON object"
    return f"the body is not JSON: {str(error).removeprefix('JSON is malformed: ')}"
