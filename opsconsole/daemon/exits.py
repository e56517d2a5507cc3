"""How a server ended, and how long to wait before its next start."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

UNFIXABLE = 78
"""Exit code (EX_CONFIG of sysexits.h) of a server that another start would not mend."""


class Exit(NamedTuple):
    """The end of a process; neither code nor signal when it was not our child."""

    code: int | None = None
    signum: int | None = None

    @property
    def clean(self) -> bool:
        """It ended by itself, and without an error."""
        return self.code == 0

    def __str__(self) -> str:
        if self.code is not None:
            return f"exit {self.code}"
        if self.signum is None:
            return "unknown exit"
        try:
            return f"signal {self.signum} ({signal.Signals(self.signum).name})"
        except ValueError:
            return f"signal {self.signum}"


def backoff(first: float, failures: int, longest: float) -> float:
    """Seconds to wait after so many failures in a row: doubling, up to ``longest``, ±10 %.

    The jitter keeps daemons that fell together from starting together.
    """
    delay = min(longest, first * 2.0 ** min(failures - 1, 32))
    return delay * (0.9 + 0.2 * int.from_bytes(os.urandom(2), "big") / 65_535)
