"""The one shape of every answer that is not a result."""

from __future__ import annotations

import re

import msgspec

ERROR_TYPES: dict[str, tuple[int, str]] = {
    "invalid_http": (400, "What came is not HTTP/1.1."),
    "invalid_json": (400, "The body is not JSON."),
    "unauthorized": (401, "The request carries no key, or one that is not known."),
    "forbidden": (403, "The key does not allow this."),
    "not_found": (404, "There is no such route."),
    "method_not_allowed": (405, "The route takes other methods, which `Allow` names."),
    "header_timeout": (408, "The head of the request did not come in time."),
    "body_timeout": (408, "No more of the body came."),
    "body_too_large": (413, "The body is longer than is taken."),
    "too_many_documents": (413, "There are more documents than one request may hold."),
    "unsupported_encoding": (415, "The body is compressed."),
    "unsupported_media_type": (415, "The body is of a type other than JSON."),
    "invalid_request": (422, "A field or header is missing, or its value makes no sense."),
    "text_too_long": (422, "A text has more characters than are taken."),
    "input_too_long": (422, "A text does not fit the model, and truncation is off."),
    "rate_limited": (429, "The key has used up its rate; `Retry-After` says when to go on."),
    "headers_too_large": (431, "The head of the request is longer than is taken."),
    "engine_error": (500, "The model failed on this request."),
    "internal_error": (500, "The server failed on this request; its log says why."),
    "loading": (503, "The model is still being loaded."),
    "draining": (503, "The server is stopping."),
    "queue_full": (503, "All places to run and to wait are taken."),
    "overloaded": (503, "More tokens wait than the server takes at a time."),
    "deadline_unmeetable": (503, "The work ahead takes longer than `X-Request-Timeout` leaves."),
    "out_of_memory": (503, "A text alone does not fit the device's memory."),
    "too_many_connections": (503, "All connections that the server takes are in use."),
    "deadline_exceeded": (504, "The time of `X-Request-Timeout` passed before the scores came."),
}
"""Every ``type`` that an error can have: its usual HTTP status, and what it means."""


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
        type: A stable name, one of :data:`ERROR_TYPES`.
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
        assert type in ERROR_TYPES, type
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message
        self.field = field
        self.headers = headers
        if retry_after is not None:
            self.headers += ((b"retry-after", str(retry_after).encode()),)
        self.retry_after = retry_after

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
    # "[...]" is somewhere inside of what it follows, no path that a client could follow.
    field = place[1].partition("[...]")[0] if place else ""
    message = text[: place.start()] if place else text
    missing = _MISSING.search(message)
    if missing:
        field = f"{field}.{missing[1]}" if field else missing[1]
        message = "required, but missing"
    if field:
        message = f"{field}: {message[:1].lower()}{message[1:]}"
    return RequestError(422, "invalid_request", message.replace("`", ""), field=field or None)
