from __future__ import annotations

import ctypes
import os
import platform
import sys

import pytest

from opsconsole.tui.courtesy import _Attributes, courteous

_GETATTR = {"x86_64": 315, "aarch64": 275}


def turn() -> int:
    """How long a turn this thread has asked for, nanoseconds: sched_getattr(2)."""
    attributes = _Attributes(size=ctypes.sizeof(_Attributes))
    libc = ctypes.CDLL(None, use_errno=True)
    number = _GETATTR[platform.machine()]
    assert libc.syscall(number, 0, ctypes.byref(attributes), attributes.size, 0) == 0
    return int(attributes.runtime)


def test_turns_are_long_for_as_long_as_something_is_measured() -> None:
    if sys.platform != "linux" or platform.machine() not in _GETATTR:
        pytest.skip("only Linux has this, on processors whose system calls are known")
    if tuple(map(int, platform.release().split("-")[0].split(".")[:2])) < (6, 12):
        pytest.skip("Linux knows slices of one's own from 6.12 on")
    usual, nice = turn(), os.getpriority(os.PRIO_PROCESS, 0)
    with courteous():
        assert turn() == 100_000_000
        assert os.getpriority(os.PRIO_PROCESS, 0) == nice
    assert turn() == usual


def test_it_harms_nobody_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with courteous():
        pass
