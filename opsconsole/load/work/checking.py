"""Whether an answer is right: its status, shape, number of results, indices and scores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

Check = Callable[[int, bytes], str | None]
Shape = Literal["results", "texts", "scores", "rankings"]
"""Of an answer: Cohere's and Jina's, TEI's, vLLM's ``/score``, NIM's."""

NOT_JSON = "wrong answer: not JSON"
SHAPE = "wrong answer: other fields"
NUMBER = "wrong answer: number of results"
INDICES = "wrong answer: indices"
FINITE = "wrong answer: score not finite"
ORDER = "wrong answer: not sorted"


class _Result(Struct, gc=False):
    index: int
    relevance_score: float | None


class _Results(Struct, gc=False):
    results: list[_Result]


class _Rank(Struct, gc=False):
    index: int
    score: float | None


class _Scores(Struct, gc=False):
    data: list[_Rank]


class _Placed(Struct, gc=False):
    index: int
    logit: float | None


class _Rankings(Struct, gc=False):
    rankings: list[_Placed]


Pairs = tuple[Sequence[int], Sequence[float | None]]


def _of_results(answer: Any) -> Pairs:
    return [r.index for r in answer.results], [r.relevance_score for r in answer.results]


def _of_texts(answer: Any) -> Pairs:
    return [r.index for r in answer], [r.score for r in answer]


def _of_scores(answer: Any) -> Pairs:
    return _of_texts(answer.data)


def _of_rankings(answer: Any) -> Pairs:
    return [r.index for r in answer.rankings], [r.logit for r in answer.rankings]


_READERS: dict[str, tuple[Any, Callable[[Any], Pairs]]] = {
    "results": (_Results, _of_results),
    "texts": (list[_Rank], _of_texts),
    "scores": (_Scores, _of_scores),
    "rankings": (_Rankings, _of_rankings),
}
_DECODERS = {name: msgspec.json.Decoder(kind) for name, (kind, _) in _READERS.items()}


@lru_cache(maxsize=4096)
def checker(shape: Shape, documents: int | None, expected: int | None) -> Check:
    """A check of answers to ``documents`` documents of which ``expected`` results come back; None:
    not known, so only that indices are different and scores are finite and sorted."""
    decoder = _DECODERS[shape]
    kind, read = _READERS[shape]
    in_order = shape == "scores"

    def check(status: int, body: bytes) -> str | None:
        if not 200 <= status < 300:
            return f"HTTP {status}"
        try:
            answer: Any = decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                answer = _as_others_read(body, kind)
            except msgspec.ValidationError:
                return SHAPE
            except (ValueError, RecursionError):
                return NOT_JSON
        indices, scores = read(answer)
        return _problem(indices, scores, documents, expected, in_order=in_order)

    return check


def _problem(
    indices: Sequence[int],
    scores: Sequence[float | None],
    documents: int | None,
    expected: int | None,
    *,
    in_order: bool,
) -> str | None:
    if expected is not None and len(indices) != expected:
        return NUMBER
    if indices:
        if len(set(indices)) != len(indices) or min(indices) < 0:
            return INDICES
        if documents is not None and max(indices) >= documents:
            return INDICES
    last = math.inf
    for score in scores:
        if score is None or not math.isfinite(score):
            return FINITE
        if not in_order:
            if score > last:
                return ORDER
            last = score
    return None


def _as_others_read(body: bytes, kind: Any) -> Any:
    """Read what is no JSON by its standard but is written by many: NaN, Infinity, 1e999."""
    found = json.loads(body)
    return msgspec.convert(found, kind)
