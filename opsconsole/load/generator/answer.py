"""The answers that come over one connection, one after the other: parsed and judged.

Part of the hot path: the parser's callbacks set marks, and nothing else.
"""

from __future__ import annotations

import re

import httptools

from opsconsole.load.generator.events import Events, are_events
from opsconsole.load.generator.failures import KEPT_BODY, example_of, kind_of_status
from opsconsole.load.work import Prepared

HEAD_LIMIT = 262_144
"""Most bytes of headers."""
BODY_LIMIT = 16 << 20
"""Most bytes of an answer that is checked."""

_FRAMED = re.compile(rb"^(?:content-length|transfer-encoding)[ \t]*:", re.I | re.M)
_CAN_BE_LENIENT = hasattr(httptools.HttpResponseParser, "set_dangerous_leniencies")


class NotHttp(Exception):
    """What came is no answer; its text tells why."""


class Answer:
    """What has come so far of the answer to one request.

    Attributes:
        bodiless: The request was a HEAD: its answer tells a length that does not come.
    """

    __slots__ = (
        "_begun",
        "_body",
        "_body_size",
        "_done",
        "_events",
        "_extra",
        "_head",
        "_headed",
        "_keep",
        "_parser",
        "_prepared",
        "_status",
        "_upstream",
        "_wanted",
        "bodiless",
    )

    def __init__(self, *, bodiless: bool) -> None:
        self.bodiless = bodiless
        self._parser: httptools.HttpResponseParser | None = None
        self._prepared: Prepared
        self._forget()

    def _forget(self) -> None:
        """Ready for the next answer."""
        self._status = self._body_size = 0
        self._head = b""
        self._headed = self._begun = self._done = self._extra = self._wanted = False
        self._keep = True
        self._body: list[bytes] = []
        self._events: Events | None = None
        self._upstream = ""

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        if _CAN_BE_LENIENT:
            # An odd character in a header is no reason to give up, and no other client does.
            parser.set_dangerous_leniencies(lenient_headers=True)
        return parser

    def _feed(self, data: bytes) -> None:
        """The next bytes.

        Raises:
            NotHttp: They are no part of an answer.
        """
        if not self._headed:
            self._head = self._head + data if self._head else data
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._done, self._keep = True, False
        except httptools.HttpParserError as error:
            if not self._done:
                text = self._head[:120].decode("utf-8", "replace")
                raise NotHttp(f"{error}: {text}" if text else str(error)) from None
            self._extra = True  # the answer was whole, what came after it is not asked for
        if not self._headed and len(self._head) > HEAD_LIMIT:
            raise NotHttp(f"more than {HEAD_LIMIT} bytes of headers")

    # The parser calls.

    def on_message_begin(self) -> None:
        if self._done:
            self._extra = True

    def on_headers_complete(self) -> None:
        if self._done:
            return
        self._headed = True
        self._status = status = self._parser.get_status_code()  # type: ignore[union-attr]
        self._wanted = not 200 <= status < 300 or self._prepared.check is not None
        if not self._wanted and are_events(self._head):
            self._events = Events()
            self._wanted = True
        if self.bodiless and status >= 200:
            self._done = True

    def on_body(self, body: bytes) -> None:
        self._begun = True
        if self._done:
            self._extra = True  # of an answer that has none
        elif self._events is not None:
            self._events.feed(body)
        elif self._wanted:
            self._body_size += len(body)
            limit = BODY_LIMIT if 200 <= self._status < 300 else KEPT_BODY
            if self._body_size <= limit:
                self._body.append(body)

    def on_message_complete(self) -> None:
        if self._done:
            return
        if 100 <= self._status < 200 and self._status != 101:
            # Not the answer yet (RFC 9110 §15.2).
            self._headed = False
            self._head = self._head.partition(b"\r\n\r\n")[2]
            return
        self._done = True
        self._keep = self._parser.should_keep_alive()  # type: ignore[union-attr]

    # What it came to.

    @property
    def _ends_with_connection(self) -> bool:
        """Whether the answer has no length, so that the connection's end is its own."""
        return self._headed and not _FRAMED.search(self._head.partition(b"\r\n\r\n")[0])

    def _kind(self) -> str | None:
        """The kind of error that the whole answer is; None for a good one."""
        status = self._status
        if not 200 <= status < 300:
            return kind_of_status(status, b"".join(self._body))
        if self._extra:
            return "unasked"
        if self._events is not None:
            return self._events.problem()
        check = self._prepared.check
        if check is None:
            return None
        if self._body_size > BODY_LIMIT:
            return "answer too large to check"
        try:
            return check(status, b"".join(self._body))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return "wrong answer"

    def _example(self, kind: str) -> str:
        if kind == "unasked":
            return "more than the one answer that was asked for"
        body = self._events.error if self._events is not None else b"".join(self._body)
        return example_of(self._status, body, self._head)
