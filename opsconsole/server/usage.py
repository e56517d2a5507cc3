"""What this process takes of the machine."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import psutil


class Process(msgspec.Struct, frozen=True):
    """What this process has used so far."""

    pid: int
    start_time: float
    resident_bytes: int
    virtual_bytes: int
    cpu_seconds: float
    threads: int
    open_fds: int | None
    """``null`` where the system does not say it cheaply."""
    max_fds: int | None


def process_now() -> Process:
    """What this process has used so far."""
    process = _process()
    memory = process.memory_info()
    open_fds = max_fds = None
    if os.path.isdir("/proc/self/fd"):
        import resource

        open_fds = len(os.listdir("/proc/self/fd"))
        max_fds = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return Process(
        os.getpid(),
        process.create_time(),
        memory.rss,
        memory.vms,
        time.process_time(),
        process.num_threads(),
        open_fds,
        max_fds,
    )


@cache
def _process() -> psutil.Process:
    import psutil

    return psutil.Process()
