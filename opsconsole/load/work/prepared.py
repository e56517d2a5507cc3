"""A request that is ready to be sent."""

from __future__ import annotations

from typing import NamedTuple

from opsconsole.load.work.checking import Check


class Prepared(NamedTuple):
    """A request that is ready to be sent.

    Attributes:
        data: The whole HTTP/1.1 message, head and body.
        pairs: What it asks to score; 1 where there are no pairs.
        check: (status, body) → the kind of error, None when the answer is right; None: the body is
            not checked this time.
        at: Seconds from the first request of a recording; None where none is recorded.
    """

    data: bytes
    pairs: int
    check: Check | None
    at: float | None
