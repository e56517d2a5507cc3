"""``/health`` and ``/metrics``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from opsconsole.server.body import header
from opsconsole.server.errors import RequestError
from opsconsole.server.exchange import respond
from opsconsole.server.exposition import Format, wanted

if TYPE_CHECKING:
    from opsconsole.server.service import Service

_QUERY_FORMATS: dict[str, Format] = {
    "json": "json",
    "prometheus": "prometheus",
    "openmetrics": "openmetrics",
}


def headers_of(status: int) -> tuple[tuple[bytes, bytes], ...]:
    """Of an answer about the present state, which is 503 where it will soon be another."""
    fresh = ((b"cache-control", b"no-store"),)
    return fresh if status == 200 else (*fresh, (b"retry-after", b"2"))


class HealthRoute:
    """``GET /health``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        health = self._service.health()
        status = health.http_status
        await respond(send, status, msgspec.json.encode(health), headers=headers_of(status))


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
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    asked = query.get("format")
    if asked is None:
        return wanted((header(scope, b"accept") or b"").decode("latin-1"))
    try:
        return _QUERY_FORMATS[asked[-1]]
    except KeyError:
        raise RequestError(
            400, "invalid_request", "format: expected json, prometheus or openmetrics",
            field="format",
        ) from None  # fmt: skip
