"""What surrounds every request: its id, its errors as JSON, its count and its log line."""

from __future__ import annotations

import asyncio
import os
import re
import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsconsole.server.body import header
from opsconsole.server.errors import ClientGone, RequestError
from opsconsole.server.logs import trace_of
from opsconsole.server.metrics import CLIENT_GONE, REFUSALS

if TYPE_CHECKING:
    from opsconsole.server.service import Service

KEY = "opsconsole.exchange"
RERANK_ROUTES = frozenset({"/rerank", "/v1/rerank"})
QUIET_ROUTES = frozenset({"/health", "/metrics"})
_SANE_ID = re.compile(r"[!-~]{1,128}")
_MAX_PATH = 200
_TYPES = {404: "not_found", 405: "method_not_allowed"}


class Exchange:
    """One request and its answer, as they become known."""

    __slots__ = (
        "documents",
        "error",
        "queue_seconds",
        "request_id",
        "started",
        "status",
        "tokens",
    )

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.started = time.perf_counter()
        self.status = 0
        """0 until the answer begins."""
        self.documents: int | None = None
        self.tokens: int | None = None
        self.queue_seconds: float | None = None
        self.error: RequestError | None = None


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
        except HTTPException as error:
            exchange.error = _routing_error(error, scope)
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
        if path in RERANK_ROUTES:
            refusal = error.type if error is not None and error.type in REFUSALS else None
            self._service.metrics.ended(path, exchange.status, seconds, refusal)
        queue = exchange.queue_seconds
        self._service.log.write(
            "debug" if path in QUIET_ROUTES else "info",
            "request",
            method=scope["method"],
            path=path[:_MAX_PATH],
            status=exchange.status,
            duration_ms=round(seconds * 1000, 3),
            documents=exchange.documents,
            tokens=exchange.tokens,
            queue_ms=None if queue is None else round(queue * 1000, 3),
            error=error.type if error is not None else None,
            detail=error.message[:_MAX_PATH] if error is not None else None,
            # Last: the longest value, and the one least often read.
            request_id=exchange.request_id,
        )


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
        text = given.decode("latin-1").strip()
        if _SANE_ID.fullmatch(text):
            return text
    return new_request_id()


def _routing_error(error: HTTPException, scope: Scope) -> RequestError:
    headers = tuple((k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items())
    path = scope["path"][:_MAX_PATH]
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        message = f"{path} does not take {scope['method']}, but {allow}"
    elif error.status_code == 404:
        message = f"there is no {path} here"
    else:
        message = str(error.detail)
    kind = _TYPES.get(error.status_code, "http_error")
    return RequestError(error.status_code, kind, message, headers=headers)
