"""The one shape of every answer that is not a result."""

from __future__ import annotations

import re

import msgspec


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong, by a stable type, in words, and in which field of the request."""

    type: str
    message: str
    field: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The JSON of an error."""

    error: ErrorBody
    request_id: str


class RequestError(Exception):
    """An answer other than a result.

    Args:
        status: HTTP status.
        type: A stable name, such as ``queue_full``.
        message: One sentence for the client; never a traceback.
        field: The path in the request, such as ``documents[3].text``.
        retry_after: Seconds after which another try makes sense.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        type: str,
        message: str,
        *,
        field: str | None = None,
        retry_after: int | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message
        self.field = field
        self.headers = headers
        if retry_after is not None:
            self.headers += ((b"retry-after", str(retry_after).encode()),)

    def body(self, request_id: str) -> bytes:
        """The JSON."""
        return msgspec.json.encode(
            ErrorAnswer(ErrorBody(self.type, self.message, self.field), request_id)
        )


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""


_PLACE = re.compile(r" - at `(?:key in )?\$?\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")


def invalid(error: msgspec.ValidationError) -> RequestError:
    """The 422 for a body of the wrong shape, with the field's path as the client wrote it."""
    text = str(error)
    place = _PLACE.search(text)
    field = place[1] if place else ""
    message = text[: place.start()] if place else text
    missing = _MISSING.search(message)
    if missing:
        field = f"{field}.{missing[1]}" if field else missing[1]
        message = "required, but missing"
    if field:
        message = f"{field}: {message[:1].lower()}{message[1:]}"
    return RequestError(422, "invalid_request", message.replace("`", ""), field=field or None)
