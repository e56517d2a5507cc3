"""What one poll of one server found: an immutable record, whatever kind of server it was."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

INFINITY = float("inf")


class ServerState(StrEnum):
    """What a server says of itself, or that it says nothing."""

    UP = "up"
    DEGRADED = "degraded"
    LOADING = "loading"
    DRAINING = "draining"
    DOWN = "down"
    UNKNOWN = "unknown"


class Failure(StrEnum):
    """Why a poll brought no usable answer."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    DNS = "dns"
    TLS = "tls"
    CLOSED = "connection closed"
    STATUS = "http status"
    UNAUTHORIZED = "unauthorized"
    NOT_HTTP = "not http"
    NOT_JSON = "not json"
    TOO_LARGE = "too large"
    SHAPE = "unexpected answer"
    SECRET = "secret missing"  # noqa: S105
    INTERNAL = "internal error"


class Histogram(Struct, frozen=True):
    """Cumulative counts at upper bounds in seconds, the last bound infinite (Prometheus ``le``)."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float = 0.0

    @property
    def total(self) -> float:
        """How many observations there are."""
        return self.counts[-1] if self.counts else 0.0


class Counters(Struct, frozen=True, kw_only=True):
    """Counters since the server's start, and gauges. ``None``: the server does not tell."""

    requests: float | None = None
    succeeded: float | None = None
    failed: float | None = None
    rejected: float | None = None
    rejected_by_reason: dict[str, float] | None = None
    """The same by the type of the error, such as ``queue_full`` or ``loading``."""
    pairs: float | None = None
    tokens_real: float | None = None
    tokens_padded: float | None = None
    latency: Histogram | None = None
    queue_seconds: float | None = None
    inference_seconds: float | None = None
    active: float | None = None
    waiting: float | None = None
    max_parallel: float | None = None
    max_queue: float | None = None
    cache_hits: float | None = None
    cache_misses: float | None = None
    batches: float | None = None
    batch_pairs: float | None = None
    """Pairs in all batches together."""
    resident_bytes: float | None = None
    cpu_seconds: float | None = None
    start_time: float | None = None


class Identity(Struct, frozen=True, kw_only=True):
    """Which program and model answers. ``None``: not told."""

    version: str | None = None
    pid: int | None = None
    started_at: float | None = None
    model: str | None = None
    family: str | None = None
    backend: str | None = None
    device: str | None = None
    dtype: str | None = None
    revision: str | None = None


class Snapshot(Struct, frozen=True, kw_only=True):
    """The state of one server at one moment.

    Attributes:
        at: When the poll ended, Unix seconds.
        clock: The same moment on the monotonic clock, for rates.
        poll_seconds: How long the poll took.
        failure: Why nothing usable came; None when the health route answered properly.
        metrics_failure: The same for the metrics route alone.
        detail: One line in words about the failure, or the reason that the server gave.
    """

    server: str
    at: float
    clock: float
    state: ServerState
    poll_seconds: float
    failure: Failure | None = None
    metrics_failure: Failure | None = None
    detail: str = ""
    identity: Identity | None = None
    counters: Counters | None = None

    @property
    def words(self) -> str:
        """The state in one line: what failed, or the state with the server's own reason."""
        if self.failure is not None:
            return self.detail or str(self.failure)
        return f"{self.state}: {self.detail}" if self.detail else str(self.state)
