"""Measuring while no other engine of this user measures: several that start together would each
find the machine busy, and choose a precision and batches for that."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from opsconsole.paths import private_dir, state_dir

PATIENCE = 30.0
"""Seconds after which it measures all the same: a warm-up takes about one."""
_LOOK = 0.05


@contextlib.contextmanager
def alone(patience: float = PATIENCE) -> Iterator[bool]:
    """Whether the machine is left to us; ``False`` when another kept it beyond ``patience``
    seconds, or when there is nowhere to say so."""
    try:
        path = private_dir(state_dir()) / "measuring.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield False
        return
    try:
        yield _lock(fd, time.monotonic() + patience)
    finally:
        os.close(fd)


def _lock(fd: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        except OSError:  # a file system without locks
            return False
        else:
            return True
        time.sleep(_LOOK)
