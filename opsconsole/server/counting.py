"""What one server has done, counted once and shown twice: as JSON and as Prometheus text.

Plain numbers, changed by the event loop alone: counting a request takes no lock, and the
Prometheus library is loaded when somebody asks for its format (see :mod:`metrics` and
:mod:`exposition`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opsconsole.server.histogram import Histogram

if TYPE_CHECKING:
    from opsconsole.engine.records import Scores

SHED = frozenset(
    {
        "loading",
        "draining",
        "queue_full",
        "overloaded",
        "deadline_unmeetable",
        "deadline_exceeded",
    }
)
"""Refusals for want of time or room here: 5xx that are no failures."""
REFUSALS = SHED | {
    "unauthorized",
    "forbidden",
    "rate_limited",
    "too_many_connections",
    "header_timeout",
    "headers_too_large",
    "body_timeout",
    "body_too_large",
    "too_many_documents",
    "text_too_long",
    "input_too_long",
}
"""Types of errors that a limit of this server makes."""
CLIENT_GONE = 499


class ClientCounts:
    """What the requests with one key came to."""

    __slots__ = ("pairs", "requests")

    def __init__(self) -> None:
        self.requests: dict[int, int] = {}
        """status → how many."""
        self.pairs = 0


class Metrics:
    """Counts requests; for one event loop."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        """(endpoint, status) → how many."""
        self.rejected: dict[str, int] = dict.fromkeys(sorted(REFUSALS), 0)
        self.shed = 0
        """Requests of :attr:`requests` that were refused for want of time or room."""
        self.clients: dict[str, ClientCounts] = {}
        """By the names of keys: as many as are configured."""
        self.pairs = 0
        self.tokens_real = 0
        self.tokens_padded = 0
        self.truncated_pairs = 0
        self.latency = Histogram()
        self.queue_time = Histogram()
        self.tokenize_time = Histogram()
        self.inference_time = Histogram()
        self._started = time.monotonic()

    def ended(
        self,
        endpoint: str | None,
        status: int,
        seconds: float,
        error: str | None = None,
        client: str | None = None,
    ) -> None:
        """Count the end of a request.

        Args:
            endpoint: The route that ranked; ``None`` when it got to none.
            status: HTTP status, 499 for a client that went away.
            seconds: From its headers to its answer.
            error: The type of its error.
            client: The name of its key.
        """
        if error is not None:
            self.refused(error)
        if endpoint is not None:
            key = (endpoint, status)
            self.requests[key] = self.requests.get(key, 0) + 1
            if error in SHED:
                self.shed += 1
            if status == 200:
                self.latency.observe(seconds)
        elif error not in REFUSALS:
            return  # somebody read /health or /metrics, say
        if client is not None:
            counts = self._client(client).requests
            counts[status] = counts.get(status, 0) + 1

    def refused(self, error: str) -> None:
        """Count a refusal by the type of its error; any other error is not counted."""
        if error in self.rejected:
            self.rejected[error] += 1

    def scored(self, scores: Scores, queue_seconds: float, client: str | None = None) -> None:
        """Count the work of a successful request; ``queue_seconds`` is all its waiting."""
        pairs = len(scores.values)
        self.pairs += pairs
        if client is not None:
            self._client(client).pairs += pairs
        self.tokens_real += scores.tokens
        self.tokens_padded += scores.padded_tokens
        self.truncated_pairs += scores.truncated
        self.queue_time.observe(queue_seconds)
        self.tokenize_time.observe(scores.tokenize_seconds)
        self.inference_time.observe(scores.inference_seconds)

    def count(self, low: int, high: int) -> int:
        """Requests that ended with a status from ``low`` up to, but without, ``high``."""
        return sum(n for (_, status), n in self.requests.items() if low <= status < high)

    @property
    def uptime(self) -> float:
        """Seconds since the server started."""
        return time.monotonic() - self._started

    def _client(self, name: str) -> ClientCounts:
        counts = self.clients.get(name)
        if counts is None:
            counts = self.clients[name] = ClientCounts()
        return counts
