"""Scores of pairs seen before, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b

# Key, float and place in the table: 178 to 189 bytes by tracemalloc at 100,000 to 350,000 entries.
ENTRY_BYTES = 200


def pair_key(query: str, document: str) -> bytes:
    """16 bytes that stand for a pair; the length keeps ("a", "bc") apart from ("ab", "c")."""
    first = query.encode("utf-8", "surrogatepass")
    digest = blake2b(len(first).to_bytes(8, "big"), digest_size=16)
    digest.update(first)
    digest.update(document.encode("utf-8", "surrogatepass"))
    return digest.digest()


class ScoreCache:
    """Least-recently-used scores by :func:`pair_key`; one cache serves one loaded model.

    Thread-safe. Texts are not kept, only their digests.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._most = capacity_bytes // ENTRY_BYTES
        self._scores: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def get_many(self, keys: Sequence[bytes]) -> list[float | None]:
        """The known scores, in order, ``None`` for an unknown pair."""
        with self._lock:
            found = [self._scores.get(key) for key in keys]
            for key, score in zip(keys, found, strict=True):
                if score is not None:
                    self._scores.move_to_end(key)
            return found

    def put_many(self, entries: Iterable[tuple[bytes, float]]) -> None:
        """Remember scores; the least recently used ones make room."""
        with self._lock:
            for key, score in entries:
                self._scores[key] = score
                self._scores.move_to_end(key)
            while len(self._scores) > self._most:
                self._scores.popitem(last=False)

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def size_bytes(self) -> int:
        """Memory held, by the measured size of an entry."""
        return len(self._scores) * ENTRY_BYTES
