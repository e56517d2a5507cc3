"""vLLM's ``/score``: pairs of texts, whose scores come back in the order of the request.

Source: vllm/entrypoints/pooling/scoring of vllm-project/vllm.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from opsconsole.server.errors import RequestError
from opsconsole.server.wire.answers import ENCODER, Usage, usage
from opsconsole.server.wire.computing import Computing
from opsconsole.server.wire.reading import (
    Question,
    check_count,
    check_query,
    check_texts,
    decode,
    wrong,
)
from opsconsole.server.wire.request import Limits, Ranking, RankRequest

MOST_QUERIES = 1000
"""Different queries of one request: each is a request of the engine's own."""
NAMES = (
    ("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2"),
)  # fmt: skip
"""The names by which the two sides go."""

_Left = Question | Annotated[list[Question], Meta(min_length=1)] | None
_ONE, _TWO = (Meta(description=f"Another name of `text_{i}`.") for i in (1, 2))
_Right = str | Annotated[list[str], Meta(min_length=1)] | None


class ScoreBody(Computing, kw_only=True):
    """vLLM's question: one text against one, one against each of many, or as many against as many,
    pair by pair. The sides go by `text_1` and `text_2`, `queries` and `documents` (or `items`), or
    `data_1` and `data_2`."""

    text_1: Annotated[
        _Left,
        Meta(
            description="What to rank by: one text, or one for each of `text_2`.",
            examples=["How many people live in Berlin?"],
        ),
    ] = None
    text_2: Annotated[
        _Right,
        Meta(
            description="What is ranked.",
            examples=[["Berlin has 3.7 million inhabitants.", "Bananas are yellow."]],
        ),
    ] = None
    queries: Annotated[_Left, _ONE] = None
    documents: Annotated[_Right, _TWO] = None
    items: Annotated[_Right, _TWO] = None
    data_1: Annotated[_Left, _ONE] = None
    data_2: Annotated[_Right, _TWO] = None


class Score(msgspec.Struct, frozen=True, gc=False):
    """One pair's score."""

    index: Annotated[int, Meta(description="Of the pair in the request.")]
    object: str
    score: float


class ScoreAnswer(msgspec.Struct, frozen=True):
    """vLLM's answer."""

    id: str
    object: str
    created: Annotated[int, Meta(description="Unix time in seconds.")]
    model: str
    data: list[Score]
    usage: Usage


_DECODER = msgspec.json.Decoder(ScoreBody)
_SIDES: list[dict[str, Any]] = [
    {
        "title": " and ".join(names),
        "required": list(names),
        "properties": {name: {"type": ["string", "array"]} for name in names},
    }
    for names in NAMES
]


class AskedPairs:
    """Pairs, read: one request for each different query.

    Args:
        requests: What to score.
        pairs: For each request, the indices of its pairs in the body.
        names: The names of the two sides.
        lists: Which of the two sides were lists.
    """

    __slots__ = ("_lists", "_names", "_pairs", "requests")

    def __init__(
        self,
        requests: list[RankRequest],
        pairs: list[Sequence[int]],
        names: tuple[str, str],
        lists: tuple[bool, bool],
    ) -> None:
        self.requests = requests
        self._pairs = pairs
        self._names = names
        self._lists = lists

    def place(self, request: int, document: int | None) -> str:
        pair = self._pairs[request][document or 0]
        if document is None:
            return _path(self._names[0], self._lists[0], pair if len(self.requests) > 1 else 0)
        return _path(self._names[1], self._lists[1], pair)

    def answer(self, rankings: Sequence[Ranking]) -> bytes:
        found: list[Score] = []
        for pairs, ranking in zip(self._pairs, rankings, strict=True):
            found += [Score(i, "score", s) for i, s in zip(pairs, ranking.scores, strict=True)]
        if len(rankings) > 1:
            found.sort(key=lambda score: score.index)
        first = rankings[0]
        return ENCODER.encode(
            ScoreAnswer(
                first.request_id, "list", int(time.time()), first.model, found, usage(rankings)
            )
        )


class ScoreDialect:
    """``/score`` and ``/v1/score``."""

    body: Any = Annotated[
        ScoreBody,
        Meta(extra_json_schema={"anyOf": _SIDES}),
    ]
    answers: tuple[Any, ...] = (ScoreAnswer,)

    def read(self, body: bytes, limits: Limits) -> AskedPairs:
        given = decode(_DECODER, body)
        names, left, right = _sides(given)
        lists = isinstance(left, list), isinstance(right, list)
        queries = left if isinstance(left, list) else [left]
        documents = right if isinstance(right, list) else [right]
        for name, texts in zip(names, (queries, documents), strict=True):
            check_count(len(texts), limits, name)
        if len(queries) not in (1, len(documents)):
            raise wrong(
                names[0],
                f"expected one text or as many as {names[1]}, {len(documents)}, got {len(queries)}",
            )
        for name in dict.fromkeys(name for name, _ in NAMES):
            side = getattr(given, name)  # those of other names too: none may hold nothing
            listed = isinstance(side, list)
            for i, query in enumerate(side if listed else () if side is None else [side]):
                check_query(query, limits, _path(name, listed, i))
        check_texts(documents, limits, lambda i: _path(names[1], lists[1], i))
        options = given.options()
        if len(queries) == 1:
            request = RankRequest(queries[0], documents, None, options)
            return AskedPairs([request], [range(len(documents))], names, lists)
        by_query: dict[str, list[int]] = {}
        for i, query in enumerate(queries):
            by_query.setdefault(query, []).append(i)
        if len(by_query) > MOST_QUERIES:
            raise RequestError(
                413,
                "too_many_documents",
                f"{len(by_query)} different queries, at most {MOST_QUERIES} are taken",
                field=names[0],
            )
        requests = [
            RankRequest(query, [documents[i] for i in pairs], None, options)
            for query, pairs in by_query.items()
        ]
        return AskedPairs(requests, list(by_query.values()), names, lists)


def _sides(given: ScoreBody) -> tuple[tuple[str, str], str | list[str], str | list[str]]:
    """The two sides and their names, by the first pair of names of which either is there."""
    for names in NAMES:
        left, right = getattr(given, names[0]), getattr(given, names[1])
        if left is not None and right is not None:
            return names, left, right
    for names in NAMES:
        for name, other in (names, names[::-1]):
            if getattr(given, name) is not None:
                raise wrong(other, "required, but missing")
    raise wrong("text_1", "required, but missing")


def _path(name: str, listed: bool, index: int) -> str:
    return f"{name}[{index}]" if listed else name
