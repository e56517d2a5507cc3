"""One connection, one request at a time: written at once, timed, parsed, judged.

This is the hot path. Callbacks, not futures; the time is taken before anything else is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from opsconsole.load.generator.failures import (
    KEPT_BODY,
    example_of,
    kind_of,
    kind_of_status,
    words_of,
)
from opsconsole.load.generator.recording import Recorder, Tally
from opsconsole.load.work import Prepared

if TYPE_CHECKING:
    from opsconsole.load.generator.pool import Pool

READ_SIZE = 65_536
HEAD_LIMIT = 262_144
BODY_LIMIT = 16 << 20
"""Most bytes of an answer that is checked."""
STALE = 10_000_000
"""Nanoseconds, beside two connect times, in which the end of a kept connection is taken for one
that was on its way when the request was sent (RFC 9112 §9.3.1)."""
LINGER = 1.0
"""Seconds in which a server closes a connection that it said it would. Closing first would leave
the port here in TIME_WAIT, and ports run out."""

_FRAMED = re.compile(rb"^(?:content-length|transfer-encoding)[ \t]*:", re.I | re.M)
_CAN_BE_LENIENT = hasattr(httptools.HttpResponseParser, "set_dangerous_leniencies")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Sender(Protocol):
    """What sends requests and is told of their ends."""

    recorder: Recorder

    def freed(self, *, wait: bool) -> None:
        """A request has ended; ``wait``: without talking to the server, so do not hurry."""


class Connection(asyncio.Protocol):
    """A connection that is made, busy, idle or lost. ``sender`` is None while it is not busy."""

    __slots__ = (
        "_body",
        "_body_size",
        "_buffered",
        "_closing",
        "_done",
        "_extra",
        "_fd",
        "_first",
        "_head",
        "_headed",
        "_keep",
        "_parser",
        "_prepared",
        "_received",
        "_status",
        "_tally",
        "_transport",
        "_upstream",
        "_wanted",
        "connect_ns",
        "fresh",
        "intended",
        "made",
        "pool",
        "sender",
        "sent",
        "sock",
        "task",
        "used",
    )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.sock: socket.socket | None = None
        self.task: asyncio.Task[None] | None = None
        self.sender: Sender | None = None
        self.connect_ns = 0
        self.made = False
        self.used = False
        self.fresh = False
        self.sent = self.intended = 0
        self._transport: asyncio.Transport | None = None
        self._fd = -1
        self._buffered = False
        self._closing: asyncio.TimerHandle | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._prepared: Prepared
        self._tally: Tally
        self._forget()

    def _forget(self) -> None:
        """Ready for the next answer."""
        self._first = self._received = self._status = self._body_size = 0
        self._head = b""
        self._headed = self._done = self._extra = self._wanted = False
        self._keep = True
        self._body: list[bytes] = []
        self._upstream = ""

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

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        if _CAN_BE_LENIENT:
            # An odd character in a header is no reason to give up, and no other client does.
            parser.set_dangerous_leniencies(lenient_headers=True)
        return parser

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
        self.connect_ns = monotonic_ns() - self.sent
        self._write()

    def data_received(self, data: bytes) -> None:
        now = monotonic_ns()
        if not self._first:
            if self.sender is None:  # an answer to nothing
                self.discard()
                return
            self._first = now
        self._received += len(data)
        if not self._headed:
            self._head = self._head + data if self._head else data
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._done, self._keep = True, False
        except httptools.HttpParserError as error:
            if not self._done:
                text = self._head[:120].decode("utf-8", "replace")
                self._fail("not http", f"{error}: {text}" if text else str(error))
                return
            self._extra = True  # the answer was whole, what came after it is not asked for
        if self._done:
            self._finish(now)
        elif not self._headed and len(self._head) > HEAD_LIMIT:
            self._fail("not http", f"more than {HEAD_LIMIT} bytes of headers")

    def eof_received(self) -> bool:
        # Before connection_lost, which comes a round later: nothing must be sent meanwhile.
        self.pool.idle.pop(self, None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc if isinstance(exc, OSError) else None)
        self._parser = None  # it holds this connection
        self._transport = None
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    # The parser calls.

    def on_message_begin(self) -> None:
        if self._done:
            self._extra = True

    def on_headers_complete(self) -> None:
        if self._done:
            return
        self._headed = True
        self._status = status = self._parser.get_status_code()  # type: ignore[union-attr]
        self._wanted = not 200 <= status < 300 or self._prepared.check is not None
        if self.pool.bodiless and status >= 200:
            self._done = True

    def on_body(self, body: bytes) -> None:
        if self._wanted and not self._done:
            self._body_size += len(body)
            limit = BODY_LIMIT if 200 <= self._status < 300 else KEPT_BODY
            if self._body_size <= limit:
                self._body.append(body)

    def on_message_complete(self) -> None:
        if self._done:
            return
        if 100 <= self._status < 200 and self._status != 101:
            # Not the answer yet (RFC 9110 §15.2).
            self._headed = False
            self._head = b""
            return
        self._done = True
        self._keep = self._parser.should_keep_alive()  # type: ignore[union-attr]

    # Ends.

    def _finish(self, now: int) -> None:
        """The answer is whole."""
        sender, tally, prepared = self.sender, self._tally, self._prepared
        assert sender is not None
        recorder, status = sender.recorder, self._status
        tally.bytes_in += self._received
        if self._upstream:
            recorder.upstream(tally, self._upstream)
        if 200 <= status < 300:
            check = prepared.check
            kind = None if check is None else self._checked(check, status)
        else:
            kind = kind_of_status(status, b"".join(self._body))
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
            recorder.bad(tally, kind, example_of(status, b"".join(self._body)))
        keep = self._keep and not self._extra
        if self._buffered:
            # An answer before the whole request was sent: what is left would go before the next.
            keep = keep and not self._transport.get_write_buffer_size()  # type: ignore[union-attr]
            self._buffered = False
        if self.pool.bodiless:
            self._parser = self._new_parser()  # the old one waits for a body
        self._forget()
        self.used = True
        self.fresh = False
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

    def _checked(self, check: Callable[[int, bytes], str | None], status: int) -> str | None:
        if self._body_size > BODY_LIMIT:
            return "answer too large to check"
        try:
            return check(status, b"".join(self._body))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return "wrong answer"

    def _lost(self, error: OSError | None) -> None:
        """The connection ended; None: in order."""
        self.pool.idle.pop(self, None)
        self.made = False
        self._fd = -1
        if self.sender is None:
            return
        now = monotonic_ns()
        if error is None and self._headed and not _FRAMED.search(_head_of(self._head)):
            self._keep = False
            self._finish(now)  # an answer without length ends with its connection
            return
        stale = now - self.sent <= 2 * self.connect_ns + STALE
        if self.used and not self._first and stale and not isinstance(error, TimeoutError):
            self.pool.retry(self)
            return
        if error is None:
            part = "in the middle of the answer" if self._first else "before an answer"
            self._fail("closed", f"the server closed the connection {part}")
        else:
            self._fail(kind_of(error), str(error))

    def hand_over(self, other: Connection) -> None:
        """The same request goes over ``other``: nothing is counted twice."""
        sender = self.sender
        assert sender is not None
        self.sender = None
        del self.pool.flight.busy[self]
        self.discard()
        other.fresh = True
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


def _head_of(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[0]
