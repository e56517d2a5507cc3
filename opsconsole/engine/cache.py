"""Raw scores of pairs seen before, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from opsconsole.engine.records import Options

# Key, float and place in the table: 178 to 189 bytes by tracemalloc at 100,000 to 350,000 entries.
ENTRY_BYTES = 200
_KEY_BYTES = 16


def text_keys(options: Options, query: str | None, texts: Sequence[str]) -> list[bytes]:
    """What stands for each text beside a query: 16 bytes over all that its raw score depends on.

    The query's part of the digest is computed once. Its length keeps ("a", "bc") apart from
    ("ab", "c"); a text on its own, with no query, is apart from all pairs.
    """
    limits = (
        options.truncate,
        options.truncation_side,
        options.max_tokens_per_query if query is not None else None,
        options.max_tokens_per_doc,
        options.max_chunks_per_doc,
    )
    first = b"" if query is None else _utf8(query)
    length = -1 if query is None else len(first)
    start = blake2b(f"{limits} {length} ".encode() + first, digest_size=_KEY_BYTES)
    keys = []
    for text in texts:
        digest = start.copy()
        digest.update(_utf8(text))
        keys.append(digest.digest())
    return keys


class ScoreCache:
    """Least-recently-used raw scores by :func:`text_keys`; one cache serves one loaded model.

    A cross-encoder's are logits, so that any activation can be answered. Thread-safe. Texts are
    not kept, only their digests.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._most = capacity_bytes // ENTRY_BYTES
        self._scores: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def get_many(self, keys: Sequence[bytes]) -> list[float | None]:
        """The known scores, in order, ``None`` for an unknown pair."""
        with self._lock:
            scores = self._scores
            found = [scores.get(key) for key in keys]
            for key, score in zip(keys, found, strict=True):
                if score is not None:
                    scores.move_to_end(key)
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


def _utf8(text: str) -> bytes:
    try:
        return text.encode()  # naming an error handler would make it half as fast
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
