"""Who asks: a key with every request, and for each key no more than its rate."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsconsole.server.body import header
from opsconsole.server.errors import RequestError
from opsconsole.server.exchange import KEY
from opsconsole.server.limits import Quota, RateLimiter, peer, whole_seconds

if TYPE_CHECKING:
    from opsconsole.server.exchange import Exchange
    from opsconsole.server.keys import Keys

OPEN_ROUTES = frozenset({"/live", "/ready", "/v1/health/live", "/v1/health/ready"})
"""What load balancers and keepers ask, who have no key."""
_KEY_HEADERS = (b"x-api-key", b"api-key")
_CHALLENGE = (b"www-authenticate", b"Bearer")


class AuthMiddleware:
    """Lets a request through when it shows a key and has not used up its rate.

    Paths that do not exist need a key too, so that nobody without one learns which do. What is
    limited is ``POST``: everything that ranks, and nothing that watches.

    Args:
        app: What answers the requests that may pass.
        keys: The keys; ``None``: anybody may pass, and rates are counted by address.
        limiter: ``None``: as often as they like.
    """

    def __init__(self, app: ASGIApp, keys: Keys | None, limiter: RateLimiter | None) -> None:
        self._app = app
        self._keys = keys
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or raise :class:`RequestError`: 401 unauthorized, 429 rate_limited."""
        if self._keys is not None and scope["path"] not in OPEN_ROUTES:
            exchange: Exchange = scope[KEY]
            exchange.client = self._name(scope, self._keys)
        if self._limiter is not None and scope["method"] == "POST":
            send = self._limited(self._limiter, scope, send)
        await self._app(scope, receive, send)

    def _name(self, scope: Scope, keys: Keys) -> str:
        shown = _shown(scope)
        name = None if shown is None else keys.name_of(shown)
        if name is None:
            message = (
                "a key is needed: Authorization: Bearer KEY"
                if shown is None
                else "the key is not known here"
            )
            raise RequestError(401, "unauthorized", message, headers=(_CHALLENGE,))
        return name

    def _limited(self, limiter: RateLimiter, scope: Scope, send: Send) -> Send:
        """Take a request out of the client's bucket; returns a ``send`` that says what is left."""
        exchange: Exchange = scope[KEY]
        # A key's name has no blank, so that no address can pass for one.
        client = exchange.client or f"peer {peer((scope.get('client') or ('',))[0])}"
        quota = limiter.take(client)
        headers = _headers(limiter, quota)
        if quota.wait:
            raise RequestError(
                429,
                "rate_limited",
                f"more than {limiter.rate.requests} requests in {limiter.rate.period:g} s",
                retry_after=whole_seconds(quota.wait),
                headers=headers,
            )
        return functools.partial(_send_with, send, headers)


async def _send_with(
    send: Send, headers: tuple[tuple[bytes, bytes], ...], message: Message
) -> None:
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], *headers]
    await send(message)


def _headers(limiter: RateLimiter, quota: Quota) -> tuple[tuple[bytes, bytes], ...]:
    """The names of draft-ietf-httpapi-ratelimit-headers up to its sixth version."""
    return (
        (b"ratelimit-limit", b"%d" % limiter.rate.burst),
        (b"ratelimit-remaining", b"%d" % quota.remaining),
        (b"ratelimit-reset", b"%d" % whole_seconds(quota.reset)),
    )


def _shown(scope: Scope) -> bytes | None:
    """The key that a request shows, in the header that its kind of client uses."""
    given = header(scope, b"authorization")
    if given is not None:
        scheme, _, key = given.strip().partition(b" ")
        if scheme.lower() == b"bearer" and key.strip():
            return key.strip()
    for name in _KEY_HEADERS:
        given = header(scope, name)
        if given is not None and given.strip():
            return given.strip()
    return None
