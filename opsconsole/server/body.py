"""Reading a request's body within limits, and noticing that its client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any

from opsconsole.server.errors import ClientGone, RequestError
from opsconsole.server.uploads import KEY, Uploads

SLOWEST = 1024
"""Bytes per second."""
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def header(scope: MutableMapping[str, Any], name: bytes) -> bytes | None:
    """The first header of that (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def read_body(
    scope: MutableMapping[str, Any], receive: Receive, *, limit: int, timeout: float
) -> bytes:
    """The whole body.

    The limit holds for what arrives, whatever Content-Length says; a declared length above it
    is refused before a byte is read. A byte now and then does not keep a body alive: beyond
    ``timeout``, it has to come at :data:`SLOWEST` on the whole.

    Raises:
        RequestError: 413 over ``limit`` bytes, 408 ``timeout`` seconds of silence or too slow,
            415 encoded, 503 too many bodies at a time.
        ClientGone: the connection broke.
    """
    _check_encoding(scope)
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)
    uploads: Uploads = scope.get("state", {}).get(KEY) or Uploads(limit)
    loop = asyncio.get_running_loop()
    start = loop.time()
    pieces: list[bytes] = []
    size = 0
    more = True
    with uploads.one() as upload:
        while more:
            now = loop.time()
            latest = start + timeout + size / SLOWEST
            try:
                async with asyncio.timeout_at(min(now + timeout, latest)):
                    message = await receive()
            except TimeoutError:
                raise _too_slow(timeout) from None
            if message["type"] != "http.request":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            upload.add(len(piece))
            pieces.append(piece)
            more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check_encoding(scope: MutableMapping[str, Any]) -> None:
    for name, plain in (
        (b"content-encoding", (b"", b"identity")),
        (b"transfer-encoding", (b"", b"identity", b"chunked")),
    ):
        encoding = header(scope, name)
        if encoding is not None and encoding.strip().lower() not in plain:
            raise RequestError(
                415,
                "unsupported_encoding",
                "compressed bodies are not taken",
                field=name.decode().title(),
            )


def _too_slow(timeout: float) -> RequestError:
    return RequestError(
        408,
        "body_timeout",
        f"nothing more of the body came for {timeout:g} s, or less than {SLOWEST} bytes/s did",
        headers=((b"connection", b"close"),),
    )


def _too_large(limit: int) -> RequestError:
    return RequestError(413, "body_too_large", f"the body is over {limit} bytes")


class while_connected:
    """Cancel the block when the client leaves, and raise :class:`ClientGone` from it.

    To enter after the whole body was read: the next event can then only be the disconnect.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._watch = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.cancel()
        # As asyncio.timeout does it: only our own cancellation becomes our own exception.
        if self._gone and self._task.uncancel() <= self._cancelling and kind is not None:
            raise ClientGone from None
