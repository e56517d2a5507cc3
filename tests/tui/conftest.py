"""A clock that stands still, so that a picture of the screen is always the same picture."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

NOON = 1_795_262_467.0  # 2026-11-21 12:01:07 UTC


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> float:
    """All clocks of the screen at :data:`NOON`, UTC."""
    still = SimpleNamespace(
        time=lambda: NOON,
        monotonic=lambda: NOON,
        strftime=lambda form, *_: time.strftime(form, time.gmtime(NOON)),
    )
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for module in ("widgets.frame", "widgets.detail", "model", "fleet_rows", "describe"):
        monkeypatch.setattr(f"opsconsole.tui.{module}.time", still)
    return NOON
