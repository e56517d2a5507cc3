"""What is refused before it is a request: why, and the bytes that say so."""

from __future__ import annotations

import httptools

from opsconsole.server.errors import RequestError
from opsconsole.server.exchange import new_request_id

_TLS_HANDSHAKE = b"\x16\x03"
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n"
_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large",
            503: "Service Unavailable"}  # fmt: skip


def invalid(message: str) -> RequestError:
    """What came is not HTTP/1.1 as it is spoken here."""
    return RequestError(400, "invalid_http", message)


def too_large(message: str) -> RequestError:
    """What stands around the body is more than is taken."""
    return RequestError(431, "headers_too_large", message)


def not_http(data: bytes, error: httptools.HttpParserError) -> RequestError:
    """Why the parser could not read ``data``, guessed from how it begins."""
    if data.startswith(_TLS_HANDSHAKE):
        return invalid("this port speaks plain HTTP, not TLS")
    if data.startswith(_HTTP2_PREFACE):
        return invalid("HTTP/2.0 is not spoken here, but HTTP/1.1")
    if isinstance(error, httptools.HttpParserCallbackError):
        return invalid("the URL of the request cannot be read")
    return invalid(f"the request is not HTTP/1.1: {error.args[0]}")


def as_answer(error: RequestError) -> bytes:
    """A whole answer in the shape of all our errors, which ends the connection."""
    request_id = new_request_id()
    body = error.body(request_id)
    lines = [
        f"HTTP/1.1 {error.status} {_REASONS[error.status]}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"x-request-id: {request_id}",
        *(f"{name.decode()}: {value.decode()}" for name, value in error.headers),
        "connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
