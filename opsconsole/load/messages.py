"""What the console and a generator process say to each other: msgpack with a length before it.

Four bytes, big-endian, then the message. The generator ends when its input does.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from opsconsole.load.plan import Phase, Work
from opsconsole.load.records import Client, Totals

HEADER_BYTES = 4
FRAME = 0.2
"""Seconds between frames."""


class Target(Struct, frozen=True, kw_only=True):
    """One server. ``headers`` are complete lines' names and values, its API key among them."""

    name: str
    host: str
    port: int
    base: str = ""
    """Path before every route."""
    tls: bool = False
    ca: str = ""
    """PEM file of those who may have signed its certificate, instead of the machine's."""
    check_tls: bool = True
    unix: str = ""
    """Path of a Unix socket instead of host and port."""
    headers: dict[str, str] = {}
    batch_limit: int | None = None
    """Most documents in a request."""


class Setup(Struct, frozen=True, kw_only=True, tag=True):
    """The first message: build the requests, then answer Ready. ``share`` is this process's number
    among ``shares``; each sends every ``shares``-th request of a schedule and its part of the
    clients."""

    targets: tuple[Target, ...]
    work: Work
    timeout: float
    max_in_flight: int
    upstream_header: str = ""
    share: int = 0
    shares: int = 1


class Begin(Struct, frozen=True, kw_only=True, tag=True):
    """Run these phases back to back from ``at`` (time.monotonic_ns, the same in all processes);
    PhasesEnded follows when the last request has ended."""

    phases: tuple[Phase, ...]
    first: int
    """The number of the first of them within the run."""
    at: int


class Control(Struct, frozen=True, kw_only=True, tag=True):
    """Change the running phase: None leaves a thing as it is. ``rate`` and ``concurrency`` are
    those of all processes together. A paused schedule's requests are not due."""

    paused: bool | None = None
    rate: float | None = None
    concurrency: int | None = None


class Stop(Struct, frozen=True, kw_only=True, tag=True):
    """Send nothing more; what is in flight may end within ``grace`` seconds.

    What has not ended then has failed, unless the operator's impatience is to blame (``forgive``).
    """

    grace: float = 10.0
    forgive: bool = False


class Ready(Struct, frozen=True, kw_only=True, tag=True):
    """The requests are built."""

    loop: str
    requests: int
    size: int


class Frame(Struct, frozen=True, kw_only=True, tag=True):
    """What happened since the last frame, for one phase; by target name."""

    phase: int
    begin: int
    end: int
    """time.monotonic_ns"""
    paused: int = 0
    """Nanoseconds of it in which nothing was to be sent."""
    since: int = 0
    """Since when something is in flight without a break, time.monotonic_ns."""
    totals: dict[str, Totals]
    client: Client
    examples: dict[str, str] = {}
    """For kinds of errors that are new."""


class PhasesEnded(Struct, frozen=True, kw_only=True, tag=True):
    """The phases of a Begin have ended; their last frames were sent. ``spans``: begin and end of
    each, time.monotonic_ns, the end being that of the sending or of the last answer of a phase
    that counts requests; the time of pauses is taken off the end."""

    spans: tuple[tuple[int, int], ...]


class Alive(Struct, frozen=True, kw_only=True, tag=True):
    """Phases run, and there is nothing to tell of them."""


class Broken(Struct, frozen=True, kw_only=True, tag=True):
    """The generator cannot go on; ``text`` is for the operator. ``usage``: what it was given is
    wrong, such as a file to replay."""

    text: str
    usage: bool = False


ToGenerator = Setup | Begin | Control | Stop
FromGenerator = Ready | Frame | Alive | PhasesEnded | Broken


def pack(message: ToGenerator | FromGenerator) -> bytes:
    """The message with its length before it."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


to_generator = msgspec.msgpack.Decoder(ToGenerator)
from_generator = msgspec.msgpack.Decoder(FromGenerator)
