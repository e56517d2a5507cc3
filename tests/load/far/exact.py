"""The server that keeps to its time, and writes down when it did not."""

from __future__ import annotations

import ctypes
import gc
import select
import selectors
import socket
import sys
import time
from array import array
from collections import deque
from typing import Any

from tests.load.far.options import LENGTH, Counts, Options, listener_of


class _Connection:
    __slots__ = ("buffer", "socket")

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.buffer = b""


class Exact:
    """Answers each request ``delay`` seconds after its last byte was read, to about 0.05 ms.

    One thread and one selector. ``select`` on the selector's own descriptor waits to the
    microsecond, where epoll's time-out is in whole milliseconds.
    """

    def __init__(self, options: Options, counts: Counts) -> None:
        self.listener = listener_of(options)
        self.listener.setblocking(False)
        self.options = options
        self.counts = counts
        self.read: array[int] = array("q")
        self.written: array[int] = array("q")
        self.origin = time.monotonic_ns() + round(options.every * 1e9)
        """When the first freeze begins."""

    def serve(self) -> None:
        """Until the process ends."""
        tighten_timers()
        gc.disable()
        options, counts = self.options, self.counts
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ, None)
        body = b'{"ok":true,"fill":"' + b"x" * max(0, options.size - 21) + b'"}'
        answer = (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        delay, freeze = round(options.delay * 1e9), round(options.freeze * 1e9)
        every = round(options.every * 1e9)
        waiting: deque[tuple[int, int, _Connection]] = deque()
        frozen = self.origin if freeze else 1 << 62
        ready: Any = ()
        now = time.monotonic_ns
        while True:
            if now() >= frozen:
                until = frozen + freeze
                while (left := until - now()) > 0:
                    time.sleep(left / 1e9)
                frozen += every
            for key, _ in ready:
                connection = key.data
                if connection is None:
                    self._accept(selector)
                    continue
                for _ in range(self._take(connection, selector)):
                    moment = now()
                    counts.requests += 1
                    waiting.append((moment + delay, moment, connection))
            while waiting and waiting[0][0] <= now():
                _, began, connection = waiting.popleft()
                try:
                    sent = connection.socket.send(answer)
                except OSError:
                    counts.broken += 1
                    continue
                self.read.append(began)
                self.written.append(now())
                assert sent == len(answer), "the client does not read"
                counts.good += 1
                counts.bytes_out += sent
            until = min(waiting[0][0] if waiting else 1 << 62, frozen)
            if not options.eager:
                select.select([selector], [], [], min(max(until - now(), 0) / 1e9, 1.0))
            ready = selector.select(0)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        for _ in range(256):
            try:
                accepted, _ = self.listener.accept()
            except BlockingIOError:
                return
            accepted.setblocking(False)
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.counts.opened()
            selector.register(accepted, selectors.EVENT_READ, _Connection(accepted))

    def _take(self, connection: _Connection, selector: selectors.BaseSelector) -> int:
        """Read what is there; how many requests it completed."""
        try:
            data = connection.socket.recv(32_768)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        counts = self.counts
        if not data:
            counts.open -= 1
            counts.broken += bool(connection.buffer)
            selector.unregister(connection.socket)
            connection.socket.close()
            return 0
        counts.bytes_in += len(data)
        connection.buffer += data
        taken = 0
        while connection.buffer:
            end = whole(connection.buffer)
            if not end:
                break
            connection.buffer = connection.buffer[end:]
            taken += 1
        return taken


def whole(buffer: bytes) -> int:
    """Where the first request of ``buffer`` ends; 0 when it is not all there."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return 0
    length = LENGTH.search(buffer, 0, head + 2)
    end = head + 4 + (int(length[1]) if length else 0)
    return end if len(buffer) >= end else 0


def tighten_timers() -> None:
    """Let Linux wake this thread on time, not 50 µs later; elsewhere it has no such slack."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK
