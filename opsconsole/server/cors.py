"""Pages of other origins: which may ask, and what they may read of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from opsconsole.server.body import header
from opsconsole.server.exchange import KEY

if TYPE_CHECKING:
    from opsconsole.server.exchange import Exchange

Headers = tuple[tuple[bytes, bytes], ...]

ANY = "*"
MAX_AGE = 7200
"""Seconds that a browser may remember a preflight; Chromium's own limit."""
_ASKING = (
    "authorization", "content-type", "x-api-key", "api-key", "x-request-id", "x-request-timeout",
    "x-request-priority",
)  # fmt: skip
_TELLING = (
    "x-request-id", "x-queue-time", "x-tokenization-time", "x-inference-time", "x-total-time",
    "x-compute-time", "x-compute-tokens", "x-compute-characters", "x-compute-type", "retry-after",
    "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset",
)  # fmt: skip
_EXPOSE = (b"access-control-expose-headers", ", ".join(_TELLING).encode())
_PREFLIGHT: Headers = (
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", ", ".join(_ASKING).encode()),
    (b"access-control-max-age", str(MAX_AGE).encode()),
)
_BY_ORIGIN = (b"vary", b"origin")


class CorsMiddleware:
    """Tells browsers that pages of the listed origins may ask, and nothing to any other.

    A key travels in a header that the page itself sets, so cookies and the like are never allowed.

    Args:
        app: What answers.
        origins: Scheme, host and port each, as browsers send them; or ``*``.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._any = ANY in origins
        self._origins = frozenset(origin.lower().encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; pass everything else on, with headers for its answer."""
        headers: Headers = () if self._any else (_BY_ORIGIN,)
        allow = self._allow(header(scope, b"origin"))
        if allow is not None:
            headers += ((b"access-control-allow-origin", allow),)
            asks = header(scope, b"access-control-request-method")
            if scope["method"] == "OPTIONS" and asks is not None:
                answer = [*headers, *_PREFLIGHT]
                await send({"type": "http.response.start", "status": 204, "headers": answer})
                await send({"type": "http.response.body", "body": b""})
                return
            headers += (_EXPOSE,)
        exchange: Exchange = scope[KEY]
        exchange.headers += headers  # an error's answer, whatever made it, has them too
        await self._app(scope, receive, send)

    def _allow(self, origin: bytes | None) -> bytes | None:
        """What an answer to this origin says that it may be read by; ``None``: says nothing."""
        if origin is None:
            return None
        if self._any:
            return ANY.encode()
        return origin if origin.lower() in self._origins else None
