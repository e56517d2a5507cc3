"""Engines that start together measure one after the other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from opsconsole.engine.alone import alone


def test_one_measures_after_the_other() -> None:
    order = []
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with alone() as ours:
            assert ours
            entered.set()
            leave.wait(60)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(60)
    with alone(0.0) as ours:
        assert not ours  # who waits in vain measures all the same
    leave.set()
    with alone() as ours:
        assert ours
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_where_nothing_can_be_written_it_measures_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with alone() as ours:
        assert not ours
