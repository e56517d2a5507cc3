"""What ``/health`` says: always at once, whatever the device is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from opsconsole.engine.records import EngineStats, ModelInfo
    from opsconsole.server.admission import Admission

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
        )


class ControllerHealth(msgspec.Struct, frozen=True):
    max_parallel: int
    max_queue: int
    active: int
    waiting: int
    batch_size: int
    cache_enabled: bool


class EngineHealth(msgspec.Struct, frozen=True):
    last_forward_age_seconds: float | None = None
    consecutive_failures: int = 0
    last_error: str | None = None


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


def ailment(stats: EngineStats, admission: Admission, longest_running: float) -> str | None:
    """Why a loaded engine is degraded; ``None`` when it is not.

    Args:
        stats: What the engine has counted.
        admission: Who uses it.
        longest_running: Seconds that the oldest running request has been in the engine.
    """
    if stats.consecutive_failures >= FAILURES_TO_DEGRADE:
        return f"{stats.consecutive_failures} requests in a row failed: {stats.last_error}"
    idle = stats.last_forward_age
    if longest_running > STUCK_SECONDS and (idle is None or idle > STUCK_SECONDS):
        silent = longest_running if idle is None else min(idle, longest_running)
        return f"no batch was computed for {silent:.0f} s while {admission.active} requests run"
    return None
