"""What ``/health`` says: always at once, whatever the device is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from opsconsole.engine.records import Agreement

if TYPE_CHECKING:
    from opsconsole.engine.records import EngineStats, ModelInfo

Status = Literal["loading", "healthy", "degraded", "draining"]

FAILURES_TO_DEGRADE = 3
"""One poisonous request says nothing about the device; three in a row do."""
STUCK_SECONDS = 60.0
"""A request that long in the engine without any batch computed: the device hangs."""


class ModelHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The model; everything but its configured name is ``null`` until it is loaded."""

    name: str
    loaded: bool = False
    family: str | None = None
    architecture: str | None = None
    revision: str | None = None
    backend: str | None = None
    device: str | None = None
    dtype: str | None = None
    max_length: int | None = None
    parameters: int | None = None
    agreement: Agreement | None = None
    """Of a reduced precision with float32."""

    @classmethod
    def of(cls, info: ModelInfo) -> ModelHealth:
        """The loaded model. A CUDA device is shown without its number, as checklists expect."""
        return cls(
            name=info.name,
            loaded=True,
            family=info.family,
            architecture=info.architecture,
            revision=info.revision,
            backend=info.backend,
            device=info.device.partition(":")[0],
            dtype=info.dtype,
            max_length=info.max_length,
            parameters=info.parameters,
            agreement=info.agreement,
        )


class ControllerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Limits, and how much of them is used; what the warm-up chooses is ``null`` before it."""

    max_parallel: int
    max_queue: int
    max_queue_tokens: int
    active: int
    waiting: int
    queued_tokens: int
    """By estimate, of all that run or wait."""
    batch_size: int | None
    """Most pairs in a batch."""
    batch_tokens: int | None
    """Most positions in a batch."""
    threads: int | None
    """Of one forward on a CPU; 0 elsewhere."""
    dtype: str | None
    """That the linear layers compute in."""
    cache_enabled: bool
    cache_limit_bytes: int
    cache_bytes: int


class EngineHealth(msgspec.Struct, frozen=True):
    """How the device does."""

    last_forward_age_seconds: float | None
    tokens_per_second: float | None
    consecutive_failures: int
    out_of_memory: int
    last_error: str | None

    @classmethod
    def of(cls, stats: EngineStats) -> EngineHealth:
        """As the engine has counted it."""
        return cls(
            stats.last_forward_age,
            stats.tokens_per_second,
            stats.consecutive_failures,
            stats.out_of_memory,
            stats.last_error,
        )


class Health(msgspec.Struct, frozen=True):
    """The JSON of ``/health``; 200 when healthy or degraded, 503 when loading or draining."""

    status: Status
    reason: str | None
    """Why it is not healthy."""
    name: str
    version: str
    pid: int
    started_at: float
    uptime_seconds: float
    model: ModelHealth
    controller: ControllerHealth
    engine: EngineHealth

    @property
    def http_status(self) -> int:
        return 200 if self.status in ("healthy", "degraded") else 503


def ailment(stats: EngineStats, active: int, longest_running: float) -> str | None:
    """Why a loaded engine is degraded; ``None`` when it is not.

    Args:
        stats: What the engine has counted.
        active: Requests in the engine.
        longest_running: Seconds that the oldest of them has been there.
    """
    if stats.consecutive_failures >= FAILURES_TO_DEGRADE:
        return f"{stats.consecutive_failures} requests in a row failed: {stats.last_error}"
    idle = stats.last_forward_age
    if longest_running > STUCK_SECONDS and (idle is None or idle > STUCK_SECONDS):
        silent = longest_running if idle is None else min(idle, longest_running)
        return f"no batch was computed for {silent:.0f} s while {active} requests run"
    return None
