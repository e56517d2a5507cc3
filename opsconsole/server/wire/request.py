"""The form in which the server thinks of a question and its answer, and what a dialect is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from opsconsole.engine.records import Options


class Limits(msgspec.Struct, frozen=True):
    """What one request may ask for."""

    max_documents: int
    max_characters: int
    """Of one text."""


class RankRequest(msgspec.Struct, frozen=True):
    """A query and the documents to rank by it."""

    query: str
    documents: list[str]
    top_n: int | None = None
    """Results wanted; ``None`` for all."""
    options: Options = Options()


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


class Asked(Protocol):
    """One body, read: what to rank, and what its answer needs that no ranking holds."""

    @property
    def requests(self) -> Sequence[RankRequest]:
        """One, or several whose rankings make one answer."""

    def place(self, request: int, document: int | None) -> str:
        """The path in the body of a document, or of the query, of the ``request``-th request."""

    def answer(self, rankings: Sequence[Ranking]) -> bytes:
        """Encode the answer from the rankings, one for each request."""


class Dialect(Protocol):
    """One way to put the question and the answer."""

    body: Any
    """The type of what is sent."""
    answers: tuple[Any, ...]
    """What comes back: the types of which it is one."""

    def read(self, body: bytes, limits: Limits) -> Asked:
        """Decode a body.

        Raises:
            RequestError: 400 it is not JSON, 413 too many documents, 422 a field is wrong.
        """


def best_first(scores: list[float], top_n: int | None) -> list[int]:
    """Indices by falling score; equal scores keep the order of the request."""
    order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
    return order if top_n is None else order[:top_n]
