"""What the console and its embedded engine say to each other over a pipe.

A message is four bytes of length, big endian, and that many bytes of msgpack.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from opsconsole.engine.records import ModelInfo, Options, Scores
from opsconsole.engine.settings import EngineSettings
from opsconsole.errors import OpsError

HEADER_BYTES = 4
MOST_BYTES = 256 << 20
"""Longest message; a length beyond it means that the stream is not ours."""


class Load(msgspec.Struct, tag=True, frozen=True):
    """To the worker, first: which model."""

    settings: EngineSettings


class Score(msgspec.Struct, tag=True, frozen=True):
    """To the worker: score these; the answer carries the same number."""

    number: int
    query: str
    documents: list[str]
    options: Options = Options()


class Cancel(msgspec.Struct, tag=True, frozen=True):
    """To the worker: nobody waits for this answer any more."""

    number: int


class Loaded(msgspec.Struct, tag=True, frozen=True):
    """From the worker: ready."""

    info: ModelInfo


class Scored(msgspec.Struct, tag=True, frozen=True):
    """From the worker: an answer."""

    number: int
    scores: Scores


class Failed(msgspec.Struct, tag=True, frozen=True):
    """From the worker: a request, or with no number the loading, failed."""

    number: int | None
    what: str
    where: str
    hint: str

    @classmethod
    def of(cls, number: int | None, error: BaseException) -> Failed:
        """Describe an error; any but :class:`OpsError` by its type and text."""
        if isinstance(error, OpsError):
            return cls(number, error.what, error.where, error.hint)
        return cls(number, f"{type(error).__name__}: {error}", "embedded engine", "")

    def error(self) -> OpsError:
        """The error again, on the other side."""
        return OpsError(self.what, where=self.where, hint=self.hint)


Request = Load | Score | Cancel
Answer = Loaded | Scored | Failed


class Readable(Protocol):
    """A blocking byte stream."""

    def read(self, size: int, /) -> bytes: ...


def pack(message: Request | Answer) -> bytes:
    """A message with its length before it.

    Raises:
        OpsError: it is longer than the pipe takes.
    """
    body = msgspec.msgpack.encode(message)
    if len(body) > MOST_BYTES:
        raise OpsError(
            f"{len(body) >> 20} MiB of text in one request, {MOST_BYTES >> 20} MiB are taken",
            where="embedded engine",
            hint="score fewer documents at once",
        )
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_length(header: bytes) -> int:
    """The length that a header announces.

    Raises:
        OpsError: it is none of ours.
    """
    length = int.from_bytes(header, "big")
    if length > MOST_BYTES:
        raise OpsError("the pipe carries something that is no message", where="embedded engine")
    return length


def read_request(stream: Readable) -> Request | None:
    """The next request, blocking; ``None`` at the end of the stream.

    Raises:
        OpsError: the stream is not ours.
        msgspec.MsgspecError: the message is none of ours.
    """
    header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    length = body_length(header)
    body = stream.read(length)
    if len(body) < length:
        return None
    request: Request = msgspec.msgpack.decode(body, type=Request)
    return request


def unpack_answer(body: bytes) -> Answer:
    """The answer in a message's body.

    Raises:
        msgspec.MsgspecError: it is none of ours.
    """
    answer: Answer = msgspec.msgpack.decode(body, type=Answer)
    return answer
