"""How busy this machine's cores are, for a few microseconds."""

from __future__ import annotations

import time
from collections import deque

import psutil
from msgspec import Struct

_WORK = ("user", "nice", "system", "irq", "softirq", "steal")
_REST = ("idle", "iowait")


class Busy(Struct, frozen=True):
    """Share (0..1) of the time of ``cores`` that was worked in, by whomever."""

    share: float
    cores: int


class BusyReader:
    """Averages over the last ``seconds``, or since the first reading."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._seen: deque[tuple[float, float, float]] = deque()

    def read(self) -> Busy | None:
        """None in the first reading, and where no time has passed since."""
        times = psutil.cpu_times()
        work, rest = (
            sum(float(getattr(times, name, 0.0)) for name in names) for names in (_WORK, _REST)
        )
        now = time.monotonic()
        self._seen.append((now, work, rest))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self._seconds:
            self._seen.popleft()
        _, first_work, first_rest = self._seen[0]
        worked, rested = work - first_work, rest - first_rest
        if worked < 0 or rested < 0 or worked + rested <= 0:
            return None
        return Busy(worked / (worked + rested), psutil.cpu_count() or 1)
