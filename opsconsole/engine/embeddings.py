"""A bi-encoder's vectors of documents seen before, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from opsconsole.engine.backends.base import Vector

# Key, list, place in the table, and what an array object costs beside its numbers: 763
# bytes by resident memory at 100,000 torch vectors.
ENTRY_BYTES = 780


class EmbeddingCache:
    """Least-recently-used vectors by :func:`~opsconsole.engine.cache.text_keys`. Thread-safe.

    A document that was split into chunks has several vectors. Vectors are copied: each would
    otherwise keep the whole batch alive that it was computed in.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._vectors: OrderedDict[bytes, tuple[list[Vector], int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def get_many(self, keys: Sequence[bytes]) -> list[list[Vector] | None]:
        """The known vectors, in order, ``None`` for an unknown text."""
        with self._lock:
            found: list[list[Vector] | None] = []
            for key in keys:
                entry = self._vectors.get(key)
                if entry is None:
                    found.append(None)
                    continue
                self._vectors.move_to_end(key)
                found.append(entry[0])
                self.hits += 1
            self.misses += len(keys) - sum(vectors is not None for vectors in found)
            return found

    def put(self, key: bytes, vectors: Sequence[Vector]) -> None:
        """Remember a text's vectors; to be called on the device thread, whose arrays they are."""
        size = ENTRY_BYTES + sum(vector.nbytes for vector in vectors)
        if size > self._capacity:
            return
        own = [vector + 0 for vector in vectors]
        with self._lock:
            if key in self._vectors:
                return  # another request brought it meanwhile
            self._vectors[key] = (own, size)
            self._bytes += size
            while self._bytes > self._capacity:
                self._bytes -= self._vectors.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Let all vectors go."""
        with self._lock:
            self._vectors.clear()
            self._bytes = 0

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def size_bytes(self) -> int:
        """Memory held: the numbers, and the measured cost of an entry."""
        return self._bytes
