"""GET with a deadline, a size limit, and every failure sorted into one class."""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import cache
from typing import Any, NamedTuple

import msgspec

from opsconsole.errors import OpsError
from opsconsole.fleet.lean_httpx import httpx
from opsconsole.fleet.snapshot import Failure
from opsconsole.profile import Server

MAX_BODY = 2 * 2**20


class FetchError(Exception):
    """A request that brought no usable answer: its class, and one line in words."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    content_type: str
    body: bytes

    def json(self, type: Any = Any) -> Any:
        """The body as ``type``.

        Raises:
            FetchError: it is not JSON, or JSON of another shape.
        """
        try:
            return msgspec.json.decode(self.body, type=type)
        except msgspec.ValidationError as error:
            raise FetchError(Failure.SHAPE, f"unexpected answer: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            what = _kind_of_body(self.body, self.content_type)
            raise FetchError(Failure.NOT_JSON, f"expected JSON, got {what}") from None


@cache
def _tls() -> ssl.SSLContext:
    """One context for all clients: reading the certificate store takes 10 ms and more."""
    return ssl.create_default_context()


def client_for(server: Server) -> httpx.AsyncClient:
    """A client for one server: its own connections, key and time limit; redirects not followed.

    Raises:
        OpsError: the server's API key cannot be had.
    """
    headers = {"accept": "application/json", "user-agent": "opsconsole"}
    if server.api_key is not None:
        headers["authorization"] = f"Bearer {server.api_key.reveal()}"
    return httpx.AsyncClient(
        base_url=server.url,
        headers=headers,
        timeout=httpx.Timeout(server.timeout),
        limits=httpx.Limits(max_connections=4, max_keepalive_connections=2, keepalive_expiry=60),
        verify=_tls() if server.url.startswith("https:") else False,
        trust_env=False,  # a poll of 127.0.0.1 must not go through $HTTP_PROXY
    )


async def fetch(
    client: httpx.AsyncClient,
    path: str,
    *,
    method: str = "GET",
    json: Any = None,
    limit: int = MAX_BODY,
) -> Answer:
    """One request; the caller bounds its time with ``asyncio.timeout``.

    Raises:
        FetchError: anything but a whole HTTP answer of at most ``limit`` bytes.
    """
    content = msgspec.json.encode(json) if json is not None else None
    headers = {"content-type": "application/json"} if json is not None else None
    try:
        async with client.stream(method, path, content=content, headers=headers) as response:
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > limit:
                    raise FetchError(Failure.TOO_LARGE, f"answer larger than {limit // 2**20} MiB")
                chunks.append(chunk)
            kind = response.headers.get("content-type", "")
            return Answer(response.status_code, kind, b"".join(chunks))
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise _classify(error) from None
    except (ssl.SSLError, OSError, UnicodeError) as error:
        raise FetchError(Failure.UNREACHABLE, _words(error)) from None


def _classify(error: Exception) -> FetchError:
    cause: BaseException | None = error
    chain: list[BaseException] = []
    while cause is not None and len(chain) < 10:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return FetchError(Failure.TLS, f"certificate: {link.verify_message}")
        if isinstance(link, ssl.SSLError):
            return FetchError(Failure.TLS, f"TLS: {link.reason or _words(link)}")
        if isinstance(link, ConnectionRefusedError):
            return FetchError(Failure.REFUSED, "connection refused: nothing listens there")
        if type(link).__name__ == "gaierror":
            return FetchError(Failure.DNS, f"host name not found: {_words(link)}")
        if isinstance(link, ConnectionResetError | BrokenPipeError):
            return FetchError(Failure.CLOSED, "the server closed the connection")
    if isinstance(error, httpx.TimeoutException | asyncio.TimeoutError):
        return FetchError(Failure.TIMEOUT, "no answer in time")
    if isinstance(error, httpx.DecodingError):
        return FetchError(Failure.NOT_HTTP, "the answer's compression is broken")
    if isinstance(error, httpx.RemoteProtocolError):
        text = str(error)
        if "illegal" in text:
            return FetchError(Failure.NOT_HTTP, "what answers there does not speak HTTP")
        if "disconnected" in text or "closed" in text or "incomplete" in text:
            return FetchError(Failure.CLOSED, "the server closed the connection within its answer")
        return FetchError(Failure.NOT_HTTP, "what answers there does not speak HTTP")
    if "refused" in str(error).lower() or "all connection attempts failed" in str(error).lower():
        return FetchError(Failure.REFUSED, "connection refused: nothing listens there")
    return FetchError(Failure.UNREACHABLE, _words(error))


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return re.sub(r"\s+", " ", str(text))[:200]


def _kind_of_body(body: bytes, content_type: str) -> str:
    start = body[:200].lstrip().lower()
    if not body:
        return "an empty body"
    if start.startswith((b"<!doctype", b"<html", b"<head")):
        return "an HTML page"
    if start.startswith((b"{", b"[")):
        return "JSON that ends too early or is broken"
    return f"{content_type.split(';')[0] or 'something else'} ({len(body)} bytes)"


def secret_failure(error: OpsError) -> FetchError:
    """A missing API key as the failure of a poll."""
    return FetchError(Failure.SECRET, str(error))
