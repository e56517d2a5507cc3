"""Connections that a server closed while they were kept, and what came over them unasked.

A request that goes out while the server closes is lost, and nobody is to blame (RFC 9112 §9.5); one
that the server took and dropped is its failure. A reset does not tell the one from the other: the
system sends it for bytes that nobody had read, and the server sends it because it wants to. The
rule, for a request that is lost over a connection which had carried an answer, before a byte of its
own answer came: it is sent again once, over a new connection, and told, where

1. it certainly had not arrived: it could not be written, or the end of the stream acknowledges
   less;
2. its method is idempotent: clients send such a request again (RFC 9110 §9.2.2), and lose the time,
   which counts, and nothing else;
3. the connection had been idle, so that the server may have closed it for that, and ended about
   when the request could have arrived;
4. it was reset, and that is rare, or no more frequent than 1: a server that closes after so many
   answers, and does not say so, does both. One that resets again and again fails: nearly no client
   of a reranker sends a POST again.

What the server says of when it will close is heeded before: see :func:`life_of`.
"""

from __future__ import annotations

import re
import socket
import struct
import sys

IDLE_NS = 250_000_000
"""Nanoseconds that a connection was idle before a server may have closed it for that: well below
the second that is the least for most of them, so that the clocks of both sides do not matter."""
STALE_NS = 250_000_000
"""Nanoseconds, beside two connect times, in which the end of such a connection is taken for one
that was on its way when the request was sent: either side may have stood still for a while."""
FEW = 3
"""Resets that are no failures, beside one in :data:`IN` requests, and one for each request that had
certainly not arrived."""
IN = 100
FOREVER = 1 << 62
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110 §9.2.2."""

_TIMEOUT = re.compile(rb"\nkeep-alive[ \t]*:[^\r\n]*\btimeout[ \t]*=[ \t]*\"?(\d{1,9})", re.I)


class Losses:
    """What one server lost of the requests that went over kept connections.

    Attributes:
        idempotent: The requests may be repeated whatever became of them.
        started: Requests so far. ``untaken``: those of them that certainly had not arrived;
            ``forgiven``: those that were reset and sent again.
    """

    __slots__ = ("forgiven", "idempotent", "started", "untaken")

    def __init__(self, *, idempotent: bool) -> None:
        self.idempotent = idempotent
        self.started = self.untaken = self.forgiven = 0

    def excused(self, *, untaken: bool, stale: bool, reset: bool) -> bool:
        """Whether a lost request is sent again by the rule above: it certainly had not arrived, the
        connection had been idle and ended about then, it did not end in order."""
        self.untaken += untaken
        if untaken or stale or self.idempotent:
            return True
        if reset and self.forgiven < FEW + self.started // IN + self.untaken:
            self.forgiven += 1
            return True
        return False


def never_taken(sock: socket.socket | None, size: int) -> bool:
    """Whether a stream that the server ended in order did so before a request of ``size`` bytes had
    reached it: the end of a TCP stream acknowledges what had come until then. False: not known."""
    if sock is None or sys.platform != "linux" or sock.family == socket.AF_UNIX:
        return False
    import fcntl
    import termios

    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return False
    (unacknowledged,) = struct.unpack("i", answer)
    return bool(unacknowledged >= size)


def may_be_stale(idle: int, since: int, connect: int) -> bool:
    """Whether a connection that ended ``since`` a request was sent over it had been ``idle`` for
    so long that the server may have closed it for that. All in nanoseconds."""
    return idle >= IDLE_NS and since <= 2 * connect + STALE_NS


def life_of(head: bytes) -> int:
    """Nanoseconds for which a connection may be idle and be used again, by the ``head`` of an
    answer over it: a second less than ``Keep-Alive: timeout=N`` says, for the way there and the
    clocks, but half of it at least; :data:`FOREVER` where it does not say."""
    told = _TIMEOUT.search(head)
    if told is None:
        return FOREVER
    timeout = int(told[1]) * 1_000_000_000
    return max(timeout - 1_000_000_000, timeout // 2)


def is_unasked(data: bytes) -> bool:
    """Whether bytes on an idle connection are an answer to nothing: an empty line is none, and 408
    says only that the server has waited for long enough (RFC 9110 §15.5.9)."""
    return bool(data.strip(b"\r\n")) and data[9:12] != b"408"
