"""Bodies of made-up English, built once, each ready to differ every time it is sent.

Every text begins with the same few words of five letters; they are exchanged for others each time
(a nonce), so that no pair and no document is one that a server's caches know, while the body's
length stays. All words are a token each, so counts of tokens stay too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate
from random import Random

from msgspec import Struct

from opsconsole.errors import UsageError
from opsconsole.load.plan import Work
from opsconsole.load.work.checking import Check, checker
from opsconsole.load.work.dialects import WIRES, Wire, document_of
from opsconsole.load.work.lengths import draw, problem_of
from opsconsole.load.work.vocabulary import FIVES, WORDS

MOST_REQUESTS = 2000
MOST_BYTES = 64 << 20
NONCE = 3
"""Words exchanged in a text; as many fewer as it is shorter, but two in a query."""

_MARK = "\x00"
_CORPUS = 120_000
"""Words of running text, of which every document is a stretch."""
_FEWEST = 2


class Body(Struct, frozen=True, gc=False):
    """A body in pieces, between which the nonce goes.

    Attributes:
        pieces: JSON text; the first begins with the number of bytes and an empty line.
        words: Of the nonce.
    """

    pieces: tuple[bytes, ...]
    words: int
    pairs: int
    check: Check


class Corpus:
    """Running words, frequent ones more often, as in any text."""

    def __init__(self, random: Random) -> None:
        weights = list(accumulate(1 / (rank + 30) for rank in range(len(WORDS))))
        words = random.choices(WORDS, cum_weights=weights, k=_CORPUS)
        self._text = " ".join(words)
        self._at = [0, *accumulate(len(word) + 1 for word in words)]

    def stretch(self, start: int, words: int) -> str:
        """So many words from a place; it goes round."""
        found = []
        while words > 0:
            start %= _CORPUS
            end = min(start + words, _CORPUS)
            found.append(self._text[self._at[start] : self._at[end] - 1])
            words -= end - start
            start = end
        return " ".join(found)

    @staticmethod
    def places(random: Random, count: int) -> list[int]:
        """Different places, as far as there are so many."""
        return random.sample(range(_CORPUS), min(count, _CORPUS))


def check_work(work: Work) -> Wire:
    """The wire of a work whose bodies are made.

    Raises:
        UsageError: nothing can be made of it.
    """
    wire = WIRES[work.dialect]
    for name in ("documents", "document_tokens", "query_tokens"):
        problem = problem_of(getattr(work, name))
        if problem:
            raise UsageError(problem, where=name)
    if not work.model.isprintable() or "\\" in work.model:
        raise UsageError("no model has such a name", where="model")
    if work.top_n is not None:
        if not wire.top_n:
            raise UsageError(
                f"the dialect {work.dialect} cannot ask for the best few only",
                where="top_n",
                hint="leave top_n out",
            )
        if work.top_n < 1:
            raise UsageError("expected 1 or more", where="top_n")
    return wire


def bodies(work: Work, limit: int | None, random: Random, most_bytes: int) -> list[Body]:
    """A pool of at most :data:`MOST_REQUESTS` bodies of ``most_bytes`` together, at least one.

    What holds more documents than ``limit`` is split into requests that follow each other.
    """
    wire = check_work(work)
    corpus = Corpus(random)
    found: list[Body] = []
    size = 0
    for body in _endless(work, wire, limit, random, corpus):
        size += sum(map(len, body.pieces)) + (len(body.pieces) - 1) * (6 * body.words - 1)
        if found and size > most_bytes:
            break
        found.append(body)
        if len(found) == MOST_REQUESTS:
            break
    if len(found) > 1 and len(found) % len(FIVES) == 0:
        del found[-1]  # coprime with the nonces' number, so that the two go round apart
    return found


def _endless(
    work: Work, wire: Wire, limit: int | None, random: Random, corpus: Corpus
) -> Iterator[Body]:
    while True:
        length = max(draw(work.query_tokens, random), _FEWEST)
        words = min(NONCE, length)
        query = _text(corpus, random.randrange(_CORPUS), length, words)
        places = corpus.places(random, draw(work.documents, random))
        documents = [
            _text(corpus, place, draw(work.document_tokens, random), words) for place in places
        ]
        step = limit or len(documents)
        for start in range(0, len(documents), step):
            yield _body(work, wire, query, documents[start : start + step], words)


def _text(corpus: Corpus, place: int, length: int, words: int) -> str:
    """``length`` words, the first ``words`` of them the nonce; all its own when it is shorter."""
    if length < words:
        return corpus.stretch(place, length)
    rest = corpus.stretch(place, length - words)
    return f"{_MARK} {rest}" if rest else _MARK


def _body(work: Work, wire: Wire, query: str, documents: list[str], words: int) -> Body:
    fields: dict[str, object] = {"model": work.model} if work.model else {}
    count = expected = len(documents)
    if work.top_n is not None:
        fields["top_n"] = work.top_n
        expected = min(work.top_n, count)
    text = json.dumps(
        document_of(wire, query, documents, **fields), separators=(",", ":"), ensure_ascii=False
    )
    pieces = text.encode().split(rb"\u0000")
    size = sum(map(len, pieces)) + (len(pieces) - 1) * (6 * words - 1)
    pieces[0] = b"%d\r\n\r\n%b" % (size, pieces[0])
    return Body(tuple(pieces), words, count, checker(wire.shape, count, expected))
