"""GET with a deadline, a size limit, and every failure sorted into one class."""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from opsconsole import trust
from opsconsole.errors import OpsError
from opsconsole.fleet.lean_httpcore import httpcore
from opsconsole.fleet.snapshot import Failure
from opsconsole.profile import Secret, Server, Tls

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
def _tls(tls: Tls | None = None) -> ssl.SSLContext:
    """One context for all clients: reading the certificate store takes 10 ms and more."""
    return trust.context((tls.ca if tls else None) or "", verify=tls is None or tls.verify)


class Client:
    """The connections to one server, with its key and its time limit.

    This is httpcore, the transport under httpx, without httpx: a poll needs no redirects, cookies,
    proxies or decoding, and costs half the processor time and a quarter of the import without.

    Raises:
        OpsError: the server's API key or its CA's file cannot be had.
    """

    def __init__(self, server: Server) -> None:
        parts = urlsplit(server.url)
        if server.unix:
            self._scheme, self._host, self._port, self._base = b"http", b"localhost", 80, ""
        else:
            host = (parts.hostname or "").encode("idna")
            self._scheme, self._host, self._port = parts.scheme.encode(), host, server.port
            self._base = parts.path
        self._headers = [(b"accept", b"application/json"), (b"user-agent", b"opsconsole")]
        if server.api_key is not None:
            self._headers.append((b"authorization", b"Bearer " + header_value(server.api_key)))
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_tls(server.tls) if parts.scheme == "https" else None,
            max_connections=4,
            max_keepalive_connections=2,
            keepalive_expiry=60.0,
            uds=server.unix or None,
        )
        self.timeout = server.timeout

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    def open(
        self, method: str, path: str, content: bytes | None
    ) -> AbstractAsyncContextManager[httpcore.Response]:
        """A request on its way; the body of its response is still to be read."""
        target = quote(self._base + path, safe="/%?=&:+,;@~!$'()*").encode()
        url = httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=target)
        headers = [*self._headers, (b"host", self._authority())]
        if content is not None:
            headers.append((b"content-type", b"application/json"))
        limits = dict.fromkeys(("connect", "read", "write", "pool"), self.timeout)
        return self._pool.stream(
            method, url, headers=headers, content=content, extensions={"timeout": limits}
        )

    def _authority(self) -> bytes:
        host = b"[" + self._host + b"]" if b":" in self._host else self._host
        if self._port == {b"http": 80, b"https": 443}[self._scheme]:
            return host
        return host + b":" + str(self._port).encode()


def header_value(secret: Secret) -> bytes:
    """The secret for a header. One that no header can carry is refused here, because the error
    of the HTTP library would repeat it.

    Raises:
        OpsError: it cannot be had, or no header can carry it.
    """
    value = secret.reveal()
    if not (value.isascii() and value.isprintable()):
        raise OpsError(f"secret {secret.source} holds characters that no header can carry")
    return value.encode()


def client_for(server: Server) -> Client:
    """A client for one server; errors as those of :class:`Client`."""
    return Client(server)


async def fetch(
    client: Client, path: str, *, method: str = "GET", json: Any = None, limit: int = MAX_BODY
) -> Answer:
    """One request; redirects are not followed. The caller bounds its time with ``asyncio.timeout``.

    Raises:
        FetchError: anything but a whole HTTP answer of at most ``limit`` bytes.
    """
    content = msgspec.json.encode(json) if json is not None else None
    try:
        async with client.open(method, path, content) as response:
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.aiter_stream():
                size += len(chunk)
                if size > limit:
                    raise FetchError(Failure.TOO_LARGE, f"answer larger than {limit // 2**20} MiB")
                chunks.append(chunk)
            kind = next((v for k, v in response.headers if k.lower() == b"content-type"), b"")
            return Answer(response.status, kind.decode("latin-1"), b"".join(chunks))
    except FetchError:
        raise
    except (ssl.SSLError, OSError, UnicodeError, *_HTTP_ERRORS) as error:
        raise _classify(error) from None


_HTTP_ERRORS = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


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
            if link.reason == "WRONG_VERSION_NUMBER":
                return FetchError(Failure.TLS, "that port does not speak TLS")
            return FetchError(Failure.TLS, f"TLS: {link.reason or _words(link)}")
        if isinstance(link, ConnectionRefusedError | FileNotFoundError):  # no such socket
            return FetchError(Failure.REFUSED, "connection refused: nothing listens there")
        if isinstance(link, socket.gaierror):
            return FetchError(Failure.DNS, f"host name not found: {_words(link)}")
        if isinstance(link, ConnectionResetError | BrokenPipeError):
            return FetchError(Failure.CLOSED, "the server closed the connection")
    if isinstance(error, httpcore.TimeoutException):
        return FetchError(Failure.TIMEOUT, "no answer in time")
    if isinstance(error, httpcore.RemoteProtocolError):
        text = str(error)
        if "illegal" in text:
            return FetchError(Failure.NOT_HTTP, "what answers there does not speak HTTP")
        if "disconnected" in text or "closed" in text or "incomplete" in text:
            return FetchError(Failure.CLOSED, "the server closed the connection within its answer")
        return FetchError(Failure.NOT_HTTP, "what answers there does not speak HTTP")
    if isinstance(error, httpcore.ReadError | httpcore.WriteError):
        return FetchError(Failure.CLOSED, "the server closed the connection")
    if "all connection attempts failed" in str(error).lower():
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
    """A missing API key, or a CA that cannot be read, as the failure of a poll."""
    kind = Failure.TLS if isinstance(error, trust.TrustError) else Failure.SECRET
    return FetchError(kind, str(error))
