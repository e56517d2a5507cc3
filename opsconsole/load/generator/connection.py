"""One connection, one request at a time: written at once, timed, and told of when it has ended.

This is the hot path. Callbacks, not futures; the time is taken before anything else is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from time import monotonic_ns
from typing import TYPE_CHECKING, Protocol, cast

from opsconsole import figures
from opsconsole.load.generator.answer import Answer, NotHttp
from opsconsole.load.generator.failures import kind_of, words_of
from opsconsole.load.generator.recording import Recorder, Tally
from opsconsole.load.generator.stale import FOREVER, is_unasked, life_of, may_be_stale, never_taken
from opsconsole.load.work import Prepared

if TYPE_CHECKING:
    from opsconsole.load.generator.pool import Pool

READ_SIZE = 65_536
LINGER = 1.0
"""Seconds in which a server closes a connection that it said it would. Closing first would leave
the port here in TIME_WAIT, and ports run out."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Sender(Protocol):
    """What sends requests and is told of their ends."""

    recorder: Recorder
    opening: bool
    """Whether a new connection is opened before the request begins, not by it."""

    def freed(self, *, wait: bool) -> None:
        """A request has ended; ``wait``: without talking to the server, so do not hurry."""


class Connection(Answer, asyncio.Protocol):
    """A connection that is made, busy, idle or lost. ``sender`` is None while it is not busy;
    nothing is sent over it from ``expires`` on (time.monotonic_ns)."""

    __slots__ = (
        "_buffered",
        "_closing",
        "_ended",
        "_fd",
        "_first",
        "_life",
        "_received",
        "_tally",
        "_transport",
        "_untaken",
        "connect_ns",
        "expires",
        "intended",
        "made",
        "opening",
        "pool",
        "sender",
        "sent",
        "sock",
        "task",
        "used",
    )

    def __init__(self, pool: Pool) -> None:
        super().__init__(bodiless=pool.bodiless)
        self.pool = pool
        self.sock: socket.socket | None = None
        self.task: asyncio.Task[None] | None = None
        self.sender: Sender | None = None
        self.connect_ns = 0
        self.made = False
        self.used = self.opening = False
        self.sent = self.intended = self._ended = 0
        self._life = self.expires = FOREVER
        self._first = self._received = 0
        self._transport: asyncio.Transport | None = None
        self._fd = -1
        self._buffered = self._untaken = False
        self._closing: asyncio.TimerHandle | None = None
        self._tally: Tally

    def begin(
        self, prepared: Prepared, intended: int, now: int, sender: Sender, tally: Tally
    ) -> None:
        """Send, or keep it until the connection is made. ``now``: when the sending begins."""
        self._prepared = prepared
        self.intended = intended
        self.sent = now
        self.sender = sender
        self._tally = tally
        self.pool.flight.busy[self] = None
        if self.made:
            self._write()

    def _write(self) -> None:
        data = self._prepared.data
        if self._fd < 0:
            assert self._transport is not None
            self._transport.write(data)
            return
        # The system call, not the transport: uvloop's would write at the end of the loop's round.
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        except OSError as error:
            self._untaken = True
            self._lost(error)
            return
        if written < len(data):
            assert self._transport is not None
            self._buffered = True
            self._transport.write(memoryview(data)[written:])

    # The loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if hasattr(transport, "max_size"):
            # asyncio asks for 256 KiB at each read, which malloc maps and unmaps every time.
            transport.max_size = READ_SIZE
        if self.sender is None:  # timed out meanwhile
            self.discard()
            return
        self._parser = self._new_parser()
        if not self.pool.tls and self.sock is not None:
            self._fd = self.sock.fileno()
        self.made = True
        now = monotonic_ns()
        self.connect_ns = now - self.sent
        if self.opening:
            self.sent = self.intended = now
            busy = self.pool.flight.busy
            busy[self] = busy.pop(self)  # the newest of them
        self._write()

    def data_received(self, data: bytes) -> None:
        now = monotonic_ns()
        if not self._first:
            if self.sender is None:
                self._to_nothing(data)
                return
            self._first = now
        elif not self._begun:
            self._first = now  # what came before was the head alone, or a part of it
        self._received += len(data)
        try:
            self._feed(data)
        except NotHttp as error:
            self._fail("not http", str(error))
            return
        if self._done:
            self._finish(now)

    def eof_received(self) -> bool:
        # Before connection_lost, which comes a round later: nothing must be sent meanwhile.
        self.pool.idle.pop(self, None)
        if self.sender is not None and not self._first:
            self._untaken = never_taken(self.sock, len(self._prepared.data))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc if isinstance(exc, OSError) else None)
        self._parser = None  # it holds this connection
        self._transport = None
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    # Ends.

    def _finish(self, now: int) -> None:
        """The answer is whole."""
        sender, tally, prepared = self.sender, self._tally, self._prepared
        assert sender is not None
        recorder = sender.recorder
        tally.bytes_in += self._received
        if self._upstream:
            recorder.upstream(tally, self._upstream)
        kind = None
        if self._wanted or self._extra:
            kind = self._kind()
            if kind != "unasked" and 200 <= self._status < 300:
                tally.checked += 1
        if kind is None:
            recorder.open_requests -= 1
            tally.good += 1
            tally.pairs += prepared.pairs
            if self._first == now:
                raw = tally.raw_same
            else:
                raw = tally.raw_service
                tally.raw_first.append(self._first - self.sent)
            raw.append(now - self.sent)
            if tally.is_open:
                tally.raw_response.append(now - self.intended)
            if len(raw) >= 128:
                tally.count()
        else:
            recorder.bad(tally, kind, self._example(kind))
        keep = self._keep and not self._extra
        if self._buffered:
            # An answer before the whole request was sent: what is left would go before the next.
            keep = keep and not self._transport.get_write_buffer_size()  # type: ignore[union-attr]
            self._buffered = False
        if self.bodiless:
            self._parser = self._new_parser()  # the old one waits for a body
        if keep and not self.used:
            self._life = life_of(self._head.partition(b"\r\n\r\n")[0])
        self._forget()
        self._first = self._received = 0
        self._ended = now
        self.expires = now + self._life
        self.used = True
        self.sender = None
        pool = self.pool
        del pool.flight.busy[self]
        if keep:
            pool.idle[self] = None
        else:
            self.made = False
            if self._transport is not None:
                self._closing = pool.loop.call_later(LINGER, self.discard)
        sender.freed(wait=False)

    def _lost(self, error: OSError | None) -> None:
        """The connection ended; None: in order."""
        self.pool.idle.pop(self, None)
        self.made = False
        self._fd = -1
        if self.sender is None:
            return
        now = monotonic_ns()
        if error is None and self._ends_with_connection:
            self._keep = False
            self._finish(now)
            return
        kept = self.used and not self._first
        idle = self.sent - self._ended
        if kept and not isinstance(error, TimeoutError):
            stale = may_be_stale(idle, now - self.sent, self.connect_ns)
            reset = isinstance(error, ConnectionError)
            if self.pool.losses.excused(untaken=self._untaken, stale=stale, reset=reset):
                self.pool.retry(self)
                return
        which = f"a kept connection, idle for {figures.with_unit(idle / 1e9)}" if kept else ""
        if error is not None:
            self._fail(kind_of(error), f"{error}: {which}" if which else str(error))
            return
        part = "in the middle of the answer" if self._first else "before an answer"
        which = f"{which}," if which else "the connection"
        self._fail("closed", f"the server closed {which} {part}")

    def _to_nothing(self, data: bytes) -> None:
        """Bytes that answer no request. The next one must not be taken to be answered by them."""
        if is_unasked(data):
            self.pool.unasked(data)
        if data.strip(b"\r\n"):
            self.discard()

    def hand_over(self, other: Connection) -> None:
        """The same request goes over ``other``: nothing is counted twice."""
        sender = self.sender
        assert sender is not None
        self.sender = None
        del self.pool.flight.busy[self]
        self.discard()
        other.begin(self._prepared, self.intended, self.sent, sender, self._tally)

    def _fail(self, kind: str, example: str, *, wait: bool = False) -> None:
        sender, tally = self.sender, self._tally
        assert sender is not None
        tally.bytes_in += self._received
        self.abandon()
        sender.recorder.bad(tally, kind, example)
        sender.freed(wait=wait)

    def timed_out(self) -> None:
        """The request took too long."""
        if not self.made:
            self._fail("timeout", "no connection in time")
        elif not self._first:
            self._fail("timeout", "no answer in time")
        else:
            self._fail("timeout", "the answer did not end in time")

    def cut(self, *, forgive: bool) -> None:
        """The run ends before the request does. Forgiven, it has no outcome."""
        if not forgive:
            self._fail("unfinished", "still in flight when the run was stopped")
            return
        sender = self.sender
        assert sender is not None
        self.abandon()
        sender.recorder.open_requests -= 1
        sender.freed(wait=False)

    def not_made(self, error: OSError, ours: str | None) -> None:
        """The connection could not be made; ``ours``: the kind, when it is this machine's fault."""
        if self.sender is None:
            return
        if ours is None:
            self._fail(kind_of(error), words_of(error), wait=True)
            return
        sender, tally = self.sender, self._tally
        self.abandon()
        sender.recorder.unsent(tally, len(self._prepared.data), ours, str(error))
        sender.freed(wait=True)

    def abandon(self) -> None:
        """No longer in flight; nothing is counted."""
        self.sender = None
        self._forget()
        self._first = self._received = 0
        del self.pool.flight.busy[self]
        self.discard()

    def discard(self) -> None:
        """Close at once. With a reset: a port in TIME_WAIT for each would use them up."""
        self.made = False
        self._fd = -1
        self.pool.idle.pop(self, None)
        transport, self._transport = self._transport, None
        if transport is not None:
            if self.sock is not None and self.sock.fileno() >= 0 and not self.pool.local:
                with contextlib.suppress(OSError):  # macOS refuses where the peer has reset it
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
        elif self.task is not None:
            self.task.cancel()


class TracingConnection(Connection):
    """Reads the header that names the server behind a load balancer."""

    __slots__ = ()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._done and name.lower() == self.pool.upstream_header:
            self._upstream = value.decode("utf-8", "replace").strip()
