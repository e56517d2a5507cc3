"""The routes of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from opsconsole.server.body import header, read_body, while_connected
from opsconsole.server.errors import RequestError
from opsconsole.server.exchange import KEY, ExchangeMiddleware, respond
from opsconsole.server.exposition import Format, wanted
from opsconsole.server.wire import CohereDialect, Dialect

if TYPE_CHECKING:
    from opsconsole.server.exchange import Exchange
    from opsconsole.server.service import Service

_QUERY_FORMATS: dict[str, Format] = {
    "json": "json",
    "prometheus": "prometheus",
    "openmetrics": "openmetrics",
}


class RerankRoute:
    """A route that ranks, in one dialect."""

    def __init__(self, service: Service, dialect: Dialect) -> None:
        self._service = service
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[KEY]
        settings = self._service.settings
        self._service.check_open()
        body = await read_body(
            scope, receive, limit=settings.max_body_bytes, timeout=settings.body_timeout
        )
        request = self._dialect.read(body, settings.max_documents)
        del body  # tens of megabytes would else wait beside their own copies
        async with while_connected(receive):
            ranking = await self._service.rank(request, exchange)
        await respond(send, 200, self._dialect.write(ranking))


class HealthRoute:
    """``GET /health``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        health = self._service.health()
        headers: tuple[tuple[bytes, bytes], ...] = ((b"cache-control", b"no-store"),)
        if health.http_status == 503:
            headers += ((b"retry-after", b"2"),)
        await respond(send, health.http_status, msgspec.json.encode(health), headers=headers)


class MetricsRoute:
    """``GET /metrics``: JSON, or Prometheus text when the client prefers it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        format = _format(scope)
        headers = ((b"cache-control", b"no-store"), (b"vary", b"accept"))
        if format == "json":
            body, kind = msgspec.json.encode(self._service.metrics_view()), b"application/json"
        else:
            body, kind = self._service.metrics_text(openmetrics=format == "openmetrics")
        await respond(send, 200, body, kind, headers)


def _format(scope: Scope) -> Format:
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("format")
    if asked is None:
        return wanted((header(scope, b"accept") or b"").decode("latin-1"))
    try:
        return _QUERY_FORMATS[asked[-1]]
    except KeyError:
        raise RequestError(
            400, "invalid_request", "format: expected json, prometheus or openmetrics",
            field="format",
        ) from None  # fmt: skip


def create_app(service: Service) -> Starlette:
    """The ASGI application around a service."""
    app = Starlette(
        routes=[
            Route("/rerank", RerankRoute(service, CohereDialect(return_documents=True)),
                  methods=["POST"]),
            Route("/v1/rerank", RerankRoute(service, CohereDialect(return_documents=False)),
                  methods=["POST"]),
            Route("/health", HealthRoute(service), methods=["GET"]),
            Route("/metrics", MetricsRoute(service), methods=["GET"]),
        ],
        middleware=[Middleware(ExchangeMiddleware, service=service)],
        exception_handlers={HTTPException: _pass_on},
    )  # fmt: skip
    app.router.redirect_slashes = False
    return app


async def _pass_on(request: Request, error: Exception) -> Response:
    """Leave the router's 404 and 405 to :class:`ExchangeMiddleware`."""
    raise error
