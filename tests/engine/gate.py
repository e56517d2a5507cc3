"""Holding an engine's device, so that a test decides when a batch is computed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from opsconsole.engine import Engine


class Gate:
    """Stands before an engine's forward: counts batches and holds them until opened."""

    def __init__(self, engine: Engine, *, is_open: bool = False) -> None:
        self.batches: list[int] = []
        self.entered = threading.Semaphore(0)
        self._open = threading.Event()
        if is_open:
            self._open.set()
        backend: Any = engine._backend
        forward = backend.launch

        def launch(rows: Any) -> Any:
            self.batches.append(len(rows))
            self.entered.release()
            assert self._open.wait(30)
            return forward(rows)

        backend.launch = launch

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        assert self.entered.acquire(timeout=30)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something comes true in another thread."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "condition never came true"
        time.sleep(0.005)
