"""A clock that stands still, so that a picture of the screen is always the same picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from unittest import mock

import pytest

from tests.load.farside import Far

NOON = 1_795_262_467.0  # 2026-11-21 12:01:07 UTC


@contextmanager
def still_clock() -> Iterator[None]:
    """All clocks of the screen at :data:`NOON`, UTC."""
    still = SimpleNamespace(
        time=lambda: NOON,
        monotonic=lambda: NOON,
        strftime=lambda form, *_: time.strftime(form, time.gmtime(NOON)),
    )
    with ExitStack() as stack:
        for module in ("widgets.frame", "widgets.detail", "model", "fleet_rows", "describe"):
            stack.enter_context(mock.patch(f"opsconsole.tui.{module}.time", still))
        yield


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """:func:`still_clock` for a test; the moment at which it stands."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    with still_clock():
        yield NOON


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    """A server that answers anything after 2 ms."""
    with Far("exact", delay=0.002, size=10) as far:
        yield far
