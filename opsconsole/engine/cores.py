"""How many CPU cores this process may use, which in a container is not how many there are."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def usable_cores() -> int:
    """Cores by affinity and by the control group's quota (both versions), at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = _quota()
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def _quota() -> float | None:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        limit, _, period = _CPU_MAX.read_text().partition(" ")
        return None if limit == "max" else int(limit) / int(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        limit = _V1_QUOTA.read_text()
        return None if int(limit) < 0 else int(limit) / int(_V1_PERIOD.read_text())
    return None
