"""How each kind of server is asked to rank, and the shape of its answer.

Source: `opsconsole/server/wire/`, which names the documents of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from opsconsole.load.work.checking import Shape


class Wire(Struct, frozen=True, kw_only=True):
    """A dialect of rerankers.

    Attributes:
        shape: Of its answers.
        query, documents: The fields' names; other names that a replayed body may use follow.
        wrapped: Texts travel as ``{"text": …}``.
        top_n: It takes the number of results wanted.
        constant: Fields of every body: what not every server of the kind does by default.
    """

    route: str
    shape: Shape
    query: str = "query"
    documents: tuple[str, ...] = ("documents",)
    wrapped: bool = False
    top_n: bool = False
    constant: dict[str, Any] = {}


WIRES: dict[str, Wire] = {
    "own": Wire(route="/v1/rerank", shape="results", top_n=True),
    "cohere": Wire(route="/v2/rerank", shape="results", top_n=True),
    "jina": Wire(
        route="/v1/rerank", shape="results", top_n=True, constant={"return_documents": False}
    ),
    "tei": Wire(route="/rerank", shape="texts", documents=("texts",), constant={"truncate": True}),
    "vllm": Wire(
        route="/score",
        shape="scores",
        query="text_1",
        documents=("text_2", "documents", "items", "data_2"),
    ),
    "nim": Wire(
        route="/v1/ranking",
        shape="rankings",
        documents=("passages",),
        wrapped=True,
        constant={"truncate": "END"},
    ),
}


def document_of(wire: Wire, query: str, documents: Sequence[str], **fields: Any) -> dict[str, Any]:
    """The body as plain data; the query comes first, then the documents."""
    body: dict[str, Any] = {
        wire.query: {"text": query} if wire.wrapped else query,
        wire.documents[0]: [{"text": text} for text in documents]
        if wire.wrapped
        else list(documents),
    }
    return body | wire.constant | fields
