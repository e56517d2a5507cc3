"""``/rerank`` and ``/v1/rerank``: ``documents`` make a body Cohere's, ``texts`` make it TEI's."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from opsconsole.server.errors import RequestError
from opsconsole.server.wire.cohere import AskedDocuments, Query, RerankAnswer, Top, top
from opsconsole.server.wire.computing import Computing, Count
from opsconsole.server.wire.documents import Documents, kept, text_of, text_of_fields
from opsconsole.server.wire.reading import check_count, check_query, check_texts, decode, wrong
from opsconsole.server.wire.request import Asked, Limits, RankRequest
from opsconsole.server.wire.tei import AskedTexts, Rank


class RerankBody(Computing, kw_only=True):
    """A query with `documents` (Cohere's, Jina's, Infinity's, vLLM's and llama.cpp's question) or
    with `texts` (TEI's); which of them decides on the shape of the answer."""

    query: Query
    documents: Documents | None = None
    texts: Annotated[
        list[str] | None, Meta(description="In place of `documents`: the answer is TEI's list.")
    ] = None
    top_n: Top = None
    top_k: Annotated[Count | None, Meta(description="Another name of `top_n`, which wins.")] = None
    return_documents: Annotated[
        bool | None,
        Meta(description="Whether `documents` come back; default: on `/rerank` only."),
    ] = None
    return_text: Annotated[
        bool | None, Meta(description="Whether `texts` come back; default: no.")
    ] = None
    rank_fields: Annotated[
        list[str] | None,
        Meta(description="The fields of document objects that count, in place of `text`."),
    ] = None


_DECODER = msgspec.json.Decoder(RerankBody)
_BODIES: list[dict[str, Any]] = [
    {
        "title": "Documents",
        "required": ["documents"],
        "properties": {
            "documents": {"type": "array", "items": {"required": ["text"]}},
            "rank_fields": {"anyOf": [{"type": "null"}, {"maxItems": 0}]},
            "texts": {"type": "null"},
        },
    },
    {
        "title": "Documents of which some fields count",
        "required": ["documents", "rank_fields"],
        "properties": {
            "documents": {"type": "array", "items": {"minProperties": 1}},
            "rank_fields": {"type": "array", "minItems": 1},
            "texts": {"type": "null"},
        },
    },
    {
        "title": "Texts",
        "required": ["texts"],
        "properties": {"texts": {"type": "array", "minItems": 1}, "documents": {"type": "null"}},
    },
]
"""What the types do not say: which fields exclude or want one another. ``required`` and
``minProperties`` are about objects: a document that is a string fulfils them."""


class RerankDialect:
    """``/rerank``, ``/v1/rerank`` and their aliases.

    Args:
        return_documents: Whether documents come back unasked.
    """

    body: Any = Annotated[
        RerankBody,
        Meta(extra_json_schema={"anyOf": _BODIES}),
    ]
    answers: tuple[Any, ...] = (RerankAnswer, list[Rank])

    def __init__(self, *, return_documents: bool) -> None:
        self._return_documents = return_documents

    def read(self, body: bytes, limits: Limits) -> Asked:
        given = decode(_DECODER, body)
        if given.texts is not None:
            return self._texts(given, given.texts, limits)
        if given.documents is None:
            raise wrong("documents", "required, but missing")
        check_query(given.query, limits)
        check_count(len(given.documents), limits, "documents")
        if given.rank_fields:
            texts = text_of_fields(body, given.rank_fields)
        else:
            texts = text_of(given.documents)
        check_texts(texts, limits, "documents[{}]".format)
        back = given.return_documents
        if back is None:
            back = self._return_documents
        return AskedDocuments(
            RankRequest(given.query, texts, top(given.top_n, given.top_k), given.options()),
            kept(given.documents, body) if back else None,
        )

    def _texts(self, given: RerankBody, texts: list[str], limits: Limits) -> AskedTexts:
        if given.documents is not None:
            raise wrong("texts", "expected either documents or texts, got both")
        check_query(given.query, limits)
        if not texts:  # as TEI does; Cohere's documents may be none
            raise RequestError(
                400, "invalid_request", "texts: expected one or more, got none", field="texts"
            )
        check_count(len(texts), limits, "texts")
        check_texts(texts, limits, "texts[{}]".format)
        return AskedTexts(
            RankRequest(
                given.query, texts, top(given.top_n, given.top_k), given.options("sigmoid")
            ),
            return_text=bool(given.return_text),
        )
