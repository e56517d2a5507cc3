"""What a far side is to do, what it counts, and where it listens."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Options:
    """What a far side does.

    Attributes:
        kind: ``exact``, or a name of :data:`tests.load.far.talk.BEHAVIOURS`.
        delay: Seconds from a request's last byte to its answer; for ``dribble`` of the whole
            answer, for ``stream`` between its pieces.
        freeze, every: It does nothing at all for ``freeze`` seconds every ``every`` seconds.
        eager: ``exact`` never sleeps: waking an idle core takes 0.05 ms and more, twice a request.
            For a server with a core of its own.
        nth: It misbehaves at each n-th request, and answers the others well.
        size: Bytes of an answer's body where they do not follow from the request.
        unix, host, port: Where it listens; port 0: the system chooses.
        cert, key: Files; it speaks TLS then.
    """

    kind: str = "good"
    delay: float = 0.0
    freeze: float = 0.0
    every: float = 2.0
    eager: bool = False
    nth: int = 1
    size: int = 600
    unix: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    cert: str = ""
    key: str = ""


@dataclass
class Counts:
    """What a server saw. ``requests``: read to their last byte; ``good``: of them answered as they
    should be, as far as this side knows; ``bad``: the others."""

    connections: int = 0
    requests: int = 0
    good: int = 0
    bad: int = 0
    broken: int = 0
    """Requests that ended before their last byte, or whose answer was not taken."""
    open: int = 0
    most_open: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    paths: dict[str, int] = field(default_factory=dict)

    def opened(self) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)


def listener_of(options: Options) -> socket.socket:
    if options.unix:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(options.unix)
    else:
        # With the protocol named: asyncio turns Nagle's algorithm off for no other sockets.
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
    listener.listen(4096)
    return listener
