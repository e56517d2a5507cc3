"""The engine's counters: written by its threads, read at any moment."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left

from opsconsole.engine.records import EngineStats
from opsconsole.text import clean_line

ROW_BOUNDS = tuple(1 << power for power in range(11))
"""Upper bounds, inclusive, of the histogram of rows in a batch: 1 to 1024."""
POSITION_BOUNDS = tuple(1 << power for power in range(4, 17))
"""Upper bounds, inclusive, of that of positions in a batch: 16 to 65,536."""

_LONGEST_ERROR = 500
_RATE_SECONDS = 5.0  # of computing, after which a measured rate counts half


class Counters:
    """Counts under one lock that is held for a few additions at most. Thread-safe.

    Args:
        rate: Tokens a second that the warm-up measured; 0 if it did not.
    """

    def __init__(self, rate: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._pairs = self._hits = self._misses = 0
        self._batches = self._inputs = self._real = self._padded = 0
        self._failures = self._consecutive = self._out_of_memory = 0
        self._cancelled = self._expired = self._shared = 0
        self._rows = [0] * (len(ROW_BOUNDS) + 1)
        self._positions = [0] * (len(POSITION_BOUNDS) + 1)
        self._last_error: str | None = None
        self._last_forward: float | None = None
        # Both fade alike; a measured rate counts like one second of computing.
        self._recent_tokens, self._recent_seconds = rate, 1.0 if rate else 0.0

    def count_batch(self, *, rows: int, tokens: int, positions: int, seconds: float) -> None:
        """A batch was computed; ``seconds`` the device worked on it alone."""
        with self._lock:
            self._last_forward = time.monotonic()
            self._batches += 1
            self._inputs += rows
            self._real += tokens
            self._padded += positions
            self._rows[bisect_left(ROW_BOUNDS, rows)] += 1
            self._positions[bisect_left(POSITION_BOUNDS, positions)] += 1
            fade = 0.5 ** (seconds / _RATE_SECONDS)
            self._recent_tokens = self._recent_tokens * fade + tokens
            self._recent_seconds = self._recent_seconds * fade + seconds

    def count_success(self, *, pairs: int, hits: int, misses: int) -> None:
        """A request was answered."""
        with self._lock:
            self._pairs += pairs
            self._hits += hits
            self._misses += misses
            if pairs > hits:  # an answer from the cache says nothing about the model
                self._consecutive = 0

    def count_failure(self, error: BaseException) -> None:
        """A request ended with an error."""
        with self._lock:
            self._failures += 1
            self._consecutive += 1
            self._last_error = clean_line(str(error), _LONGEST_ERROR)

    def count_out_of_memory(self) -> None:
        """A batch did not fit the device and was halved."""
        with self._lock:
            self._out_of_memory += 1

    def count_cancelled(self) -> None:
        """A request was cancelled before its end."""
        with self._lock:
            self._cancelled += 1

    def count_expired(self) -> None:
        """A request's deadline passed."""
        with self._lock:
            self._expired += 1

    def count_shared(self, pairs: int) -> None:
        """Pairs are computed for another request that is under way."""
        with self._lock:
            self._shared += pairs

    def rate(self) -> float:
        """Real tokens a second while the device works; 0 before the first batch."""
        with self._lock:
            return self._recent_tokens / self._recent_seconds if self._recent_seconds else 0.0

    def read(self) -> EngineStats:
        """The counts now; what others count is left at its default."""
        with self._lock:
            last = self._last_forward
            return EngineStats(
                pairs=self._pairs,
                batches=self._batches,
                rows=self._inputs,
                tokens_real=self._real,
                tokens_padded=self._padded,
                cache_hits=self._hits,
                cache_misses=self._misses,
                failures=self._failures,
                consecutive_failures=self._consecutive,
                out_of_memory=self._out_of_memory,
                cancelled=self._cancelled,
                expired=self._expired,
                shared_pairs=self._shared,
                batch_rows=tuple(self._rows),
                batch_positions=tuple(self._positions),
                tokens_per_second=self._recent_tokens / self._recent_seconds
                if self._recent_seconds
                else None,
                last_forward_age=None if last is None else time.monotonic() - last,
                last_error=self._last_error,
            )
