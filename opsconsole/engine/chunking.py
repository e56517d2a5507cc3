"""How much of a query and of a long document a model reads, and in how many pieces."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple


class Fit(NamedTuple):
    """What is kept of a pair.

    Attributes:
        query: Tokens of the query.
        pieces: Start and end of each piece of the document, in its tokens.
        is_whole: Whether nothing was left out.
    """

    query: int
    pieces: list[tuple[int, int]]
    is_whole: bool


def fit(query: int, document: int, room: int, *, pieces: int = 1, left: bool = False) -> Fit:
    """Cut a pair to a model's room; lengths are in tokens.

    What does not fit is cut as the tokenizers library does it, the longer text first. A document
    that is cut by that may be split: each piece stands beside the same part of the query, which
    then takes half of the room at most.

    Args:
        pieces: Into how many a document may be split.
        left: Cut off the beginning of texts instead of the end.
    """
    kept, size = longest_first(query, document, room)
    if size == document or pieces == 1:
        start = document - size if left else 0
        return Fit(kept, [(start, start + size)], kept == query and size == document)
    kept = min(kept, room // 2)
    spans = split(document, room - kept, pieces, left=left)
    covered = sum(end - start for start, end in spans)
    return Fit(kept, spans, kept == query and covered == document)


def split(length: int, size: int, pieces: int, *, left: bool = False) -> list[tuple[int, int]]:
    """Cover ``length`` tokens with up to ``pieces`` spans of at most ``size``.

    A document that is covered whole is split evenly: a last piece of a few words would be scored
    without its context.
    """
    count = min(pieces, max(1, -(-length // size)))
    covered = min(length, count * size)
    first = length - covered if left else 0
    ends = [first + covered * number // count for number in range(count + 1)]
    return list(pairwise(ends))


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens that two texts keep within ``room``, as the tokenizers library decides it.

    Both are cut to half the room, the longer one getting an odd token, unless the shorter fits
    beside a cut longer one.
    """
    if first + second <= room:
        return first, second
    shorter, longer = sorted((first, second))
    longer = shorter if shorter > room else max(shorter, room - shorter)
    if shorter + longer > room:
        shorter = room // 2
        longer = shorter + room % 2
    return (longer, shorter) if first > second else (shorter, longer)
