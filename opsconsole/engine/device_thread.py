"""The one thread that touches a model: MLX streams and MPS do not survive a second one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DeviceThread:
    """Calls functions one after the other on a thread of its own.

    A daemon thread: a program that forgot to close its engine still ends.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine-device", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Queue ``function``; its result or exception comes through the future."""
        future: Future[T] = Future()
        self._calls.put((function, future))
        return future

    def end(self, timeout: float) -> bool:
        """End after the queued calls; ``False`` when they take longer than ``timeout`` seconds."""
        self._calls.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, future = call
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            del call, function, future  # a loaded model must not live on in this frame
