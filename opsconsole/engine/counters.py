"""The engine's counters: written by its threads, read at any moment."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec

from opsconsole.engine.records import EngineStats
from opsconsole.text import clean_line

_LONGEST_ERROR = 500


class Counters:
    """Counts under one lock that is held for a few additions at most. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stats = EngineStats()
        self._last_forward: float | None = None

    def count_batch(self, *, tokens: int, padded: int) -> None:
        """A batch was computed."""
        with self._lock:
            self._last_forward = time.monotonic()
            self._add(batches=1, tokens_real=tokens, tokens_padded=padded)

    def count_success(self, *, pairs: int, hits: int, misses: int) -> None:
        """A request was answered."""
        with self._lock:
            self._add(pairs=pairs, cache_hits=hits, cache_misses=misses)
            self._set(consecutive_failures=0)

    def count_failure(self, error: BaseException) -> None:
        """A request ended with an error."""
        with self._lock:
            self._add(failures=1, consecutive_failures=1)
            self._set(last_error=clean_line(str(error), _LONGEST_ERROR))

    def read(self) -> EngineStats:
        """The counts now."""
        with self._lock:
            stats, last = self._stats, self._last_forward
        age = None if last is None else time.monotonic() - last
        return msgspec.structs.replace(stats, last_forward_age=age)

    def _add(self, **counts: int) -> None:
        self._set(**{name: getattr(self._stats, name) + n for name, n in counts.items()})

    def _set(self, **values: Any) -> None:
        self._stats = msgspec.structs.replace(self._stats, **values)
