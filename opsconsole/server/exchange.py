"""What surrounds every request: its id, its errors as JSON, its count and its log line."""

from __future__ import annotations

import asyncio
import os
import re
import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsconsole.server.body import header
from opsconsole.server.counting import CLIENT_GONE
from opsconsole.server.errors import ClientGone, RequestError
from opsconsole.server.logs import Record, trace_of

if TYPE_CHECKING:
    from opsconsole.server.service import Service
    from opsconsole.server.settings import LogLevel

KEY = "opsconsole.exchange"
QUIET_ROUTES = frozenset(
    {"/health", "/metrics", "/ready", "/live", "/v1/health/ready", "/v1/health/live"}
)
_SANE_ID = re.compile(rb"[!-~]{1,128}")
_MAX_PATH = 200


class Exchange:
    """One request and its answer, as they become known."""

    __slots__ = (
        "characters",
        "client",
        "documents",
        "endpoint",
        "error",
        "headers",
        "inference_seconds",
        "queue_seconds",
        "request_id",
        "started",
        "status",
        "tokenize_seconds",
        "tokens",
    )

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.started = time.perf_counter()
        self.status = 0
        """0 until the answer begins."""
        self.client: str | None = None
        """The name of the key that the request came with; never the key itself."""
        self.endpoint: str | None = None
        """The path of a route that ranks, which says so itself; ``None`` for any other."""
        self.documents: int | None = None
        self.characters = 0
        self.tokens: int | None = None
        """Of what was scored; ``None`` until it is."""
        self.queue_seconds: float | None = None
        self.tokenize_seconds = 0.0
        self.inference_seconds = 0.0
        self.error: RequestError | None = None
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        """Of the answer, whatever it will be."""

    def timings(self, compute_type: bytes) -> list[tuple[bytes, bytes]]:
        """The headers of a scored answer, times in whole milliseconds.

        Source: the responses of huggingface/text-embeddings-inference, router/src/lib.rs.
        """
        total = b"%d" % ((time.perf_counter() - self.started) * 1000)
        return [
            (b"x-compute-type", compute_type),
            (b"x-compute-time", total),
            (b"x-compute-characters", b"%d" % self.characters),
            (b"x-compute-tokens", b"%d" % (self.tokens or 0)),
            (b"x-total-time", total),
            (b"x-tokenization-time", b"%d" % (self.tokenize_seconds * 1000)),
            (b"x-queue-time", b"%d" % ((self.queue_seconds or 0.0) * 1000)),
            (b"x-inference-time", b"%d" % (self.inference_seconds * 1000)),
        ]


class RequestLine(Record, kw_only=True):
    """What the log says about a request; what is ``None`` is left out."""

    method: str
    path: str
    status: int
    """0: the connection broke before an answer began."""
    duration_ms: float
    client: str | None = None
    documents: int | None = None
    tokens: int | None = None
    queue_ms: float | None = None
    tokenize_ms: float | None = None
    inference_ms: float | None = None
    error: str | None = None
    detail: str | None = None
    request_id: str = ""
    """Last: the longest value, and the one least often read."""


class ExchangeMiddleware:
    """The outermost layer: whatever happens inside, the client gets JSON and the log a line."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(_request_id(scope))
        scope[KEY] = exchange

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = message["headers"]
                headers.append((b"x-request-id", exchange.request_id.encode()))
                headers += exchange.headers
                if exchange.tokens is not None and exchange.status == 200:
                    headers += exchange.timings(self._service.compute_type)
                if self._service.draining:
                    headers.append((b"connection", b"close"))
            await send(message)

        try:
            await self._answer(exchange, scope, receive, answer)
        except ClientGone:
            exchange.status = CLIENT_GONE
        finally:
            self._ended(exchange, scope)

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
            return
        except RequestError as error:
            exchange.error = error
        except ClientGone:
            raise
        except asyncio.CancelledError:
            # Only the end of the grace time cancels a request.
            exchange.error = RequestError(
                503, "draining", "the server stopped before this was answered", retry_after=2
            )
        except Exception as error:
            self._service.log.error(
                "a request failed unexpectedly",
                request_id=exchange.request_id,
                error=f"{type(error).__name__}: {error}",
                exception=trace_of(error),
            )
            exchange.error = RequestError(
                500, "internal_error", "the server failed on this request; its log says why"
            )
        if exchange.status == 0:
            body = exchange.error.body(exchange.request_id)
            await respond(send, exchange.error.status, body, headers=exchange.error.headers)

    def _ended(self, exchange: Exchange, scope: Scope) -> None:
        path = scope["path"]
        seconds = time.perf_counter() - exchange.started
        error = exchange.error
        kind = None if error is None else error.type
        self._service.metrics.ended(
            exchange.endpoint, exchange.status, seconds, kind, exchange.client
        )
        level: LogLevel = "debug" if path in QUIET_ROUTES else "info"
        if not self._service.log.enabled(level):
            return
        if error is not None and not self._service.repeats.tells(
            error.type, exchange.status, exchange.client, level, path, error.message,
            exchange.request_id,
        ):  # fmt: skip
            return
        line = RequestLine(
            level=level,
            message="request",
            method=scope["method"],
            path=path[:_MAX_PATH],
            status=exchange.status,
            duration_ms=_ms(seconds),
            client=exchange.client,
            documents=exchange.documents,
            tokens=exchange.tokens,
            error=kind,
            detail=None if error is None else error.message[:_MAX_PATH],
            request_id=exchange.request_id,
        )
        if exchange.queue_seconds is not None:
            line.queue_ms = _ms(exchange.queue_seconds)
            line.tokenize_ms = _ms(exchange.tokenize_seconds)
            line.inference_ms = _ms(exchange.inference_seconds)
        self._service.log.put(line)


async def respond(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = b"application/json",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Send a whole answer."""
    length = str(len(body)).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", content_type), (b"content-length", length), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


def new_request_id() -> str:
    """An id that nobody else will have."""
    return os.urandom(16).hex()


def _request_id(scope: Scope) -> str:
    """The client's X-Request-ID if it is printable ASCII of sane length, else one of ours."""
    given = header(scope, b"x-request-id")
    if given is not None:
        given = given.strip()
        if _SANE_ID.fullmatch(given):
            return given.decode("ascii")
    return new_request_id()


def _ms(seconds: float) -> float:
    return int(seconds * 1e6) / 1000  # cheaper than round()
