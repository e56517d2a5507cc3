"""A stream of events (text/event-stream), read for what goes wrong after its head said 200.

A server that fails in the midst of a stream can say so only in an event: vLLM, TGI, llama.cpp and
others send an object with ``error``. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

MOST = 1 << 20
"""Bytes of an event that is looked into."""

ERROR = "wrong answer: error in the stream"
UNENDED = "wrong answer: the stream ends without [DONE]"

_KIND = re.compile(rb"^content-type:[ \t]*text/event-stream", re.I | re.M)
_CHUNK = re.compile(rb'"choices"\s*:\s*\[')
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')


def are_events(head: bytes) -> bool:
    """Whether the head says that a stream of events follows."""
    return b"event-stream" in head and _KIND.search(head) is not None


class _Event(Struct):
    error: Raw | UnsetType = UNSET


_EVENT = msgspec.json.Decoder(_Event)


class Events:
    """One stream as far as it has come.

    Attributes:
        error: The first event that is an error; empty without one.
    """

    __slots__ = ("_chunks", "_data", "_ended", "_fails", "_rest", "error")

    def __init__(self) -> None:
        self.error = b""
        self._rest = b""
        self._data: list[bytes] = []
        self._chunks = self._ended = self._fails = False

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body."""
        if self.error:
            return
        *lines, rest = (self._rest + piece).split(b"\n")
        self._rest = rest if len(rest) <= MOST else b""
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].strip())
            elif line.startswith(b"error:"):  # llama.cpp's way
                self.error = line[6:].strip() or b"error"
            elif line.startswith(b"event:"):
                self._fails = line[6:].strip() == b"error"
            elif not line and self._data:
                self._event(b"\n".join(self._data))
                self._data.clear()
                self._fails = False

    def _event(self, data: bytes) -> None:
        if self._fails:
            self.error = data
        elif data == b"[DONE]":
            self._ended = True
        elif data.startswith(b"{"):
            # OpenAI's: a stream of completions ends with [DONE], and no choice without a reason.
            self._chunks = self._chunks or _CHUNK.search(data) is not None
            self._ended = self._ended or _FINISHED.search(data) is not None
            if b'"error"' in data and _is_error(data):
                self.error = data

    def problem(self) -> str | None:
        """The kind of error that the whole stream is; None for a good one."""
        if not self.error:
            self.feed(b"\n\n")  # the last event, where no empty line ends it
        if self.error:
            return ERROR
        return UNENDED if self._chunks and not self._ended else None


def _is_error(data: bytes) -> bool:
    try:
        error = _EVENT.decode(data).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return not isinstance(error, UnsetType) and bytes(error) not in (b"null", b"false", b'""')
