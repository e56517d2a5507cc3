"""How many tokens a request will cost, without tokenising it."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from opsconsole.engine.records import MOST_CHUNKS, Options

_PLAIN = Options()
_CHARACTERS = 4.0  # a token of English, before anything was seen
_MOST_CHARACTERS = 8
SPECIAL = 3
"""About how many tokens stand around the texts."""
_MEMORY_TOKENS = 1_000_000.0  # what was seen longer ago counts less and less


class TokenEstimate:
    """The ratio of characters to tokens in the texts seen so far. Thread-safe."""

    def __init__(self) -> None:
        self._characters = 1000 * _CHARACTERS
        self._tokens = 1000.0
        self._lock = threading.Lock()

    def learn(self, characters: int, tokens: int) -> None:
        """Texts of so many characters, not cut, had so many tokens."""
        # A megabyte of blanks has no token, and must not make the next texts look like nothing.
        characters = min(max(characters, tokens), _MOST_CHARACTERS * tokens)
        with self._lock:
            if self._tokens > _MEMORY_TOKENS:
                self._characters /= 2
                self._tokens /= 2
            self._characters += characters
            self._tokens += tokens

    def pairs(
        self, query: int, documents: Sequence[int], limit: int, options: Options = _PLAIN
    ) -> int:
        """Tokens of a query of so many characters with each document.

        Args:
            limit: Most tokens of an input; a document that is split has several.
            options: The request's own limits.
        """
        ratio = self._tokens / self._characters
        asked = _least(query * ratio, options.max_tokens_per_query)
        most, chunks = options.max_tokens_per_doc, _chunks(options)
        room = max(1, limit - SPECIAL)
        beside = min(asked, room / 2)  # a query beside pieces
        total = 0.0
        for length in documents:
            given = _least(length * ratio, most)
            if chunks == 1 or asked + given <= room:
                total += min(limit, SPECIAL + asked + given)
            else:
                total += _pieces(given, room - beside, chunks, SPECIAL + beside)
        return int(total)

    def texts(
        self, query: int, documents: Sequence[int], limit: int, options: Options = _PLAIN
    ) -> int:
        """The same where each text is an input of its own."""
        ratio = self._tokens / self._characters
        most, chunks = options.max_tokens_per_doc, _chunks(options)
        room = max(1, limit - SPECIAL)
        asked = min(limit, SPECIAL + _least(query * ratio, options.max_tokens_per_query))
        return int(
            asked
            + sum([_pieces(_least(n * ratio, most), room, chunks, SPECIAL) for n in documents])
        )


def _chunks(options: Options) -> int:
    return min(max(1, options.max_chunks_per_doc), MOST_CHUNKS)


def _least(tokens: float, limit: int | None) -> float:
    return tokens if limit is None or tokens < limit else limit


def _pieces(tokens: float, room: float, chunks: int, beside: float) -> float:
    """A document's tokens in up to so many pieces, with what stands beside each of them."""
    count = min(chunks, max(1, math.ceil(tokens / room)))
    return min(tokens, count * room) + count * beside
