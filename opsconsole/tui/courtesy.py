"""Letting others go first while something is measured on this machine."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NUMBERS = {"x86_64": 314, "aarch64": 274}
"""sched_setattr(2)."""
_LONG_NS = 100_000_000


class _Attributes(ctypes.Structure):
    """struct sched_attr, its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


@contextmanager
def courteous() -> Iterator[None]:
    """Ask for long turns on a core, so that whoever wakes up with shorter ones goes first.

    A console that draws for 10 ms would make a server on the same cores, or the generator, wait
    for it. Its own share of the time stays the same, as its niceness does, which an ordinary user
    could not take back. Linux from 6.12 on (EEVDF's custom slices) knows this; others ignore it.
    """
    _ask_for(_LONG_NS)
    try:
        yield
    finally:
        _ask_for(0)  # the usual turns again


def _ask_for(nanoseconds: int) -> None:
    number = _NUMBERS.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    attributes = _Attributes(
        size=ctypes.sizeof(_Attributes),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        runtime=nanoseconds,
    )
    # What is refused is not missed: it is a courtesy.
    ctypes.CDLL(None, use_errno=True).syscall(number, 0, ctypes.byref(attributes), 0)
