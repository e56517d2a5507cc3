"""HTTP/1.1 connections: uvicorn's, with limits on what a client may do with one.

What uvicorn and llhttp leave open is closed here: heads without end in size or time, requests
piped in by the thousand, answers that nobody fetches, connections without number.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from opsconsole.server.errors import RequestError
from opsconsole.server.malformed import as_answer, invalid, not_http, too_large

if TYPE_CHECKING:
    from opsconsole.server.settings import LogLevel

LINGER = 3.0
"""Seconds for a client to finish sending what was already refused. Closing at once would reset
the connection, and the client might never see the answer."""
LINGER_BYTES = 64 << 20
"""Most that a client may send in that time when its connection is to end."""
STALL = 120.0
"""Seconds in which a client that is being answered has to fetch some of it. Long, because the
kernel's buffers hide up to a megabyte of what it fetched."""
MAX_HEAD = 65_536
"""Bytes of a request line and its headers, and of what stands around a body in chunks."""
MAX_URL = 8192
MAX_HEADERS = 256
_SLICE = 8192
"""Bytes that are parsed at a time, lest one read becomes ten thousand waiting requests."""
_VERSIONS = {"1.0": (0, 1), "1.1": (1, 1)}
"""Least and most ``Host`` headers by version (RFC 9112, 3.2)."""

log = logging.getLogger("opsconsole.http")


class ConnectionLimits(NamedTuple):
    """What clients may take."""

    header_timeout: float = 10.0
    """Seconds from the first byte of a head to its last."""
    max_connections: int = 1000
    refused: Callable[[str], None] = lambda type: None
    """Told the type of each refusal that no request is counted for."""
    tells: Callable[[str, int, None, LogLevel, str, str], bool] = lambda *_: True
    """Whether a refusal gets a line in the log: see :class:`.repeats.Repeats`."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits
        self._in_head = True
        """From the end of one request to the end of the next one's head."""
        self._begun = False
        """A head has begun and has not ended."""
        self._head_bytes = 0
        self._around_bytes = 0
        """Received since the last byte of a body that were no body: trailers, chunk extensions."""
        self._took_body = False
        self._running: Any = None
        """The request that is being answered; uvicorn's ``cycle`` is the newest of all."""
        self._held = bytearray()
        """Received behind a request that waits for its turn; not parsed yet."""
        self._fault: RequestError | None = None
        """Why a callback of the parser stopped it."""
        self._refusal: RequestError | None = None
        """To be said once everything before it is answered."""
        self._finished = False
        """Nothing more is read."""
        self._droppable: int | None = None
        """Once the connection only waits for the end of a body: bytes that may still come."""
        self._head_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or refuse it when there are too many."""
        limit = self._limits.max_connections
        full = len(self.connections) >= limit
        super().connection_made(transport)
        if full:
            self.connections.discard(self)
            message = f"{limit} connections are open, which is all that this server takes"
            refusal = RequestError(503, "too_many_connections", message, retry_after=1)
            self._tell(refusal)
            self._say(refusal)
            self._close()
            return
        # As after an answer: who says nothing does not keep a connection for ever.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything."""
        self._finished = True
        self._held.clear()
        for timer in (self._head_timer, self._close_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        self._give_up(self._running)  # uvicorn tells the newest only
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for a long time."""
        self._close()

    def shutdown(self) -> None:
        """End as soon as what has begun is answered: this server stops."""
        if self.cycle is not None and self.cycle.response_complete:
            self._end(self.cycle)
        else:
            super().shutdown()

    def _end(self, cycle: RequestResponseCycle) -> None:
        """End the connection behind the answer of ``cycle``.

        While its client still sends, that waits: a proxy that is reset in the middle of a body
        says 502 instead of our 401 or 413.
        """
        if self._droppable is not None:
            return
        if cycle is not self.cycle or self._in_head or not cycle.response_complete:
            self.transport.close()
            return
        self._droppable = LINGER_BYTES
        if self.transport.can_write_eof():  # not with TLS
            self.transport.write_eof()
        self.flow.resume_reading()

    def _close(self) -> None:
        """Close, without waiting for ever for a client that does not fetch its answer."""
        self._finished = True
        if not self.transport.is_closing():
            self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        if self._close_timer is None:
            self._close_timer = self.loop.call_later(LINGER, self.transport.abort)

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Parse what came, or keep it until those before it are answered."""
        if self._finished:
            return
        if self._droppable is not None:
            self._drop(data)
            return
        if self._held:
            self._held += data
            self.flow.pause_reading()
            return
        self._parse(data)

    def _drop(self, data: bytes) -> None:
        """Let a part of a body go by that nobody wants, and close behind the last one."""
        assert self._droppable is not None
        self._droppable -= len(data)
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._droppable = 0  # on_message_complete, or nonsense
        if self._droppable <= 0:
            self._close_answered()

    def _close_answered(self) -> None:
        """Close when the answer is fetched, for which :data:`STALL` gives the time."""
        self._finished = True
        self.transport.close()

    def _parse(self, data: bytes) -> None:
        for start in range(0, len(data), _SLICE):
            if self.pipeline:
                self._held += data[start:]
                self.flow.pause_reading()
                break
            if not self._feed(data[start : start + _SLICE]):
                return
        self._watch_head()

    def _feed(self, piece: bytes) -> bool:
        """Parse one piece; ``False`` when the connection is not to be read any further."""
        rest, self._took_body = piece, False
        while rest:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                # Another protocol is not on offer: answered as if it had not been asked for.
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse(self._fault or not_http(rest, error))
                return False
            else:
                break
        if not self._in_head:
            self._around_bytes = 0 if self._took_body else self._around_bytes + len(piece)
        elif self._begun:
            self._head_bytes += len(piece)
        for what, size in (("head", self._head_bytes), ("trailer", self._around_bytes)):
            if size > MAX_HEAD:
                self._refuse(too_large(f"the {what} is over {MAX_HEAD} bytes"))
                return False
        return True

    def on_message_begin(self) -> None:
        """The first byte of a request that is not an empty line."""
        self._unset_keepalive_if_required()
        self._begun = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of what is asked for."""
        super().on_url(url)
        if len(self.url) > MAX_URL:
            raise self._stop(too_large(f"the URL is over {MAX_URL} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer must not pass for one, so they are dropped (RFC 9110, 6.5.1)."""
        if not self._in_head:
            return
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            raise self._stop(too_large(f"there are over {MAX_HEADERS} headers"))

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what others might read in another way, else answer it."""
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            raise self._stop(invalid(f"HTTP/{version} is not spoken here, but HTTP/1.1"))
        least, most = _VERSIONS[version]
        names = [name for name, _ in self.headers]
        if not least <= names.count(b"host") <= most:
            raise self._stop(invalid("a request of HTTP/1.1 has one Host header"))
        if version == "1.0" and b"transfer-encoding" in names:
            raise self._stop(invalid("HTTP/1.0 has no Transfer-Encoding"))
        super().on_headers_complete()
        self.cycle.transport = _Outlet(self, self.cycle)
        if not self.pipeline:
            self._running = self.cycle
        self._in_head = self._begun = False
        self._head_bytes = self._around_bytes = 0

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._took_body = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        if self._droppable is not None:
            raise self._stop(invalid("the connection has ended"))  # said to nobody
        self._in_head = True
        self._around_bytes = 0
        super().on_message_complete()

    def _stop(self, error: RequestError) -> Exception:
        self._fault = error
        return ValueError(error.type)

    def _watch_head(self) -> None:
        """Give a head that has begun its time, unless it is us who do not read on."""
        if not self._begun or self.pipeline or self._finished:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            timeout = self._limits.header_timeout
            self._head_timer = self.loop.call_later(timeout, self._head_is_late)

    def _head_is_late(self) -> None:
        timeout = self._limits.header_timeout
        message = f"the head of the request was not there after {timeout:g} s"
        self._refuse(RequestError(408, "header_timeout", message))

    # What goes out

    def on_response_complete(self) -> None:
        """Go on with the next request, or with what is left to say."""
        last = not self.pipeline
        if not last:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch_fetching()
        if self.transport.is_closing():
            return
        if last and self._refusal is not None:
            self._say(self._refusal)
            return
        if self.pipeline:
            self.flow.pause_reading()
        elif self._held:
            held = bytes(self._held)
            self._held.clear()
            self._parse(held)
        self._watch_head()
        cycle = self.cycle
        if cycle.response_complete and not self._in_head:
            # The answer came before the end of the body.
            self.loop.call_later(LINGER, self._stop_lingering, cycle)

    def _stop_lingering(self, cycle: Any) -> None:
        if self.cycle is not cycle or self._in_head:
            return
        if self._droppable is None:
            self._close()
        else:
            self._close_answered()

    def pause_writing(self) -> None:
        """More waits in memory than is good."""
        super().pause_writing()
        self._watch_fetching()

    def _watch_fetching(self) -> None:
        if self._stall_timer is None:
            left = self.transport.get_write_buffer_size()
            self._stall_timer = self.loop.call_later(STALL, self._check_fetching, left)

    def _check_fetching(self, before: int) -> None:
        self._stall_timer = None
        left = self.transport.get_write_buffer_size()
        if left and left >= before:
            log.warning("%s: does not fetch its answer: cut off", self._peer)
            self.transport.abort()
        elif left:
            self._watch_fetching()

    # What is refused before it is a request

    def _refuse(self, error: RequestError) -> None:
        """Read no further, and say why as soon as the requests before are answered."""
        self._finished = True
        self._held.clear()
        self._watch_head()
        self._tell(error)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._say(error)
        elif self._in_head:
            self._refusal = error
        elif self.pipeline:
            self.pipeline.popleft()  # the broken one, whose turn had not come
            self._refusal = error
        elif cycle.response_started:
            self._close()
        else:
            self._say(error)

    def _tell(self, error: RequestError) -> None:
        # Told apart by where from, too: one who knocks all the time does not hide the others.
        host = self._peer.rpartition(":")[0]
        if self._limits.tells(error.type, error.status, None, "warning", host, error.message):
            log.warning("%s: refused: %s", self._peer, error.message)

    def _say(self, error: RequestError) -> None:
        """Answer in the shape of all our errors, and end the connection."""
        self._limits.refused(error.type)
        self._finished = True
        self._unset_keepalive_if_required()
        self._give_up(self.cycle)
        self.transport.write(as_answer(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._abort_later()
        else:
            self._close()

    def _give_up(self, cycle: Any) -> None:
        """Let whoever works on an answer find that its client has gone."""
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    @property
    def _peer(self) -> str:
        host, port = self.client or ("unknown", 0)
        return f"{host}:{port}"


class _Outlet(asyncio.Transport):
    """What uvicorn answers one request through, so that its close is ours."""

    def __init__(self, connection: HttpProtocol, cycle: RequestResponseCycle) -> None:
        super().__init__()
        self._connection = connection
        self._cycle = cycle

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection._end(self._cycle)
