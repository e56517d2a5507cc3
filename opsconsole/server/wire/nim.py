"""The question and the answer of NVIDIA's NIM for rerankers.

Source: docs.nvidia.com/nim/nemo-retriever/text-reranking, API reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from opsconsole.server.wire.answers import ENCODER, Usage, usage
from opsconsole.server.wire.computing import Activation, Computing
from opsconsole.server.wire.reading import (
    Question,
    check_count,
    check_query,
    check_texts,
    decode,
)
from opsconsole.server.wire.request import Limits, Ranking, RankRequest


class QueryText(msgspec.Struct):
    """A query."""

    text: Question


class Text(msgspec.Struct, gc=False):
    """A passage."""

    text: str


class RankingBody(Computing, kw_only=True):
    """NIM's question."""

    query: Annotated[QueryText, Meta(examples=[{"text": "How many people live in Berlin?"}])]
    passages: Annotated[
        list[Text],
        Meta(
            examples=[
                [
                    {"text": "Berlin has 3.7 million inhabitants."},
                    {"text": "Bananas are yellow."},
                ]
            ]
        ),
    ]
    raw_scores: Annotated[bool | None, Meta(description="Ignored: NIM answers with logits.")] = None
    use_activation: Annotated[
        bool | None, Meta(description="Ignored: NIM answers with logits.")
    ] = None

    def _activation(self, default: Activation) -> Activation:
        """Whatever is asked for, ``logit`` must hold what its name says."""
        return "none"


class Placed(msgspec.Struct, frozen=True, gc=False):
    """One passage's place in the ranking."""

    index: Annotated[int, Meta(description="Of the passage in the request.")]
    logit: Annotated[float, Meta(description="The model's, no activation applied.")]


class RankingAnswer(msgspec.Struct, frozen=True):
    """NIM's answer."""

    rankings: list[Placed]
    usage: Usage


_DECODER = msgspec.json.Decoder(RankingBody)


class AskedPassages:
    """A body with passages, read."""

    __slots__ = ("requests",)

    def __init__(self, request: RankRequest) -> None:
        self.requests = (request,)

    def place(self, request: int, document: int | None) -> str:
        return "query.text" if document is None else f"passages[{document}].text"

    def answer(self, rankings: Sequence[Ranking]) -> bytes:
        (ranking,) = rankings
        placed = [Placed(i, ranking.scores[i]) for i in ranking.order]
        return ENCODER.encode(RankingAnswer(placed, usage(rankings)))


class NimDialect:
    """``/v1/ranking``."""

    body: Any = RankingBody
    answers: tuple[Any, ...] = (RankingAnswer,)

    def read(self, body: bytes, limits: Limits) -> AskedPassages:
        given = decode(_DECODER, body)
        check_query(given.query.text, limits, "query.text")
        check_count(len(given.passages), limits, "passages")
        texts = [passage.text for passage in given.passages]
        check_texts(texts, limits, "passages[{}].text".format)
        return AskedPassages(RankRequest(given.query.text, texts, None, given.options()))
