"""The question and the answer of Hugging Face's Text Embeddings Inference.

Source: router/src/http/types.rs of huggingface/text-embeddings-inference 1.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from opsconsole.server.wire.answers import ENCODER
from opsconsole.server.wire.request import Ranking, RankRequest


class Rank(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One text's place in the ranking."""

    index: Annotated[int, Meta(description="Of the text in the request.")]
    score: float
    text: str | None = None


class AskedTexts:
    """A body with texts, read."""

    __slots__ = ("_return_text", "requests")

    def __init__(self, request: RankRequest, *, return_text: bool) -> None:
        self.requests = (request,)
        self._return_text = return_text

    def place(self, request: int, document: int | None) -> str:
        return "query" if document is None else f"texts[{document}]"

    def answer(self, rankings: Sequence[Ranking]) -> bytes:
        (ranking,) = rankings
        scores, texts = ranking.scores, ranking.request.documents
        if self._return_text:
            return ENCODER.encode([Rank(i, scores[i], texts[i]) for i in ranking.order])
        return ENCODER.encode([Rank(i, scores[i]) for i in ranking.order])
