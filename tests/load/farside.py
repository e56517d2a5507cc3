"""Servers to load against, each in a process of its own on loopback, which count what they saw.

``python -m tests.load.farside OPTIONS`` (JSON, see :class:`Options`) says on a line where it
listens, answers each line ``counts`` or ``truth PATH``, and ends with its input; use :class:`Far`.
Nothing of opsconsole is imported: the other side must not share the generator's mistakes.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import select
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
START_DEADLINE = 30.0
EXACT = ("exact",)
"""Kinds that :func:`serve_exactly` serves; the others are coroutines of :data:`BEHAVIOURS`."""


@dataclass
class Options:
    """What a far side does.

    Attributes:
        kind: ``exact``, or a name of :data:`BEHAVIOURS`.
        delay: Seconds from a request's last byte to its answer; for ``dribble`` of the whole
            answer, for ``stream`` between its pieces.
        freeze, every: It does nothing at all for ``freeze`` seconds every ``every`` seconds.
        nth: It misbehaves at each n-th request, and answers the others well.
        size: Bytes of an answer's body where they do not follow from the request.
        unix, host, port: Where it listens; port 0: the system chooses.
        cert, key: Files; it speaks TLS then.
    """

    kind: str = "good"
    delay: float = 0.0
    freeze: float = 0.0
    every: float = 2.0
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


# --- The exact server ----------------------------------------------------------------------------


class _Connection:
    __slots__ = ("buffer", "socket")

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.buffer = b""


class Exact:
    """Answers each request ``delay`` seconds after its last byte was read, to about 0.05 ms.

    One thread and one selector. ``select`` on the selector's own descriptor waits to the
    microsecond, where epoll's time-out is in whole milliseconds.
    """

    def __init__(self, options: Options, counts: Counts) -> None:
        self.listener = listener_of(options)
        self.listener.setblocking(False)
        self.options = options
        self.counts = counts
        self.read: array[int] = array("q")
        self.written: array[int] = array("q")
        self.origin = time.monotonic_ns() + round(options.every * 1e9)
        """When the first freeze begins."""

    def serve(self) -> None:
        """Until the process ends."""
        tighten_timers()
        options, counts = self.options, self.counts
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ, None)
        body = b'{"ok":true,"fill":"' + b"x" * max(0, options.size - 21) + b'"}'
        answer = (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        delay, freeze = round(options.delay * 1e9), round(options.freeze * 1e9)
        every = round(options.every * 1e9)
        waiting: deque[tuple[int, int, _Connection]] = deque()
        frozen = self.origin if freeze else 1 << 62
        ready: Any = ()
        now = time.monotonic_ns
        while True:
            if now() >= frozen:
                until = frozen + freeze
                while (left := until - now()) > 0:
                    time.sleep(left / 1e9)
                frozen += every
            for key, _ in ready:
                connection = key.data
                if connection is None:
                    self._accept(selector)
                    continue
                for _ in range(self._take(connection, selector)):
                    moment = now()
                    counts.requests += 1
                    waiting.append((moment + delay, moment, connection))
            while waiting and waiting[0][0] <= now():
                _, began, connection = waiting.popleft()
                try:
                    sent = connection.socket.send(answer)
                except OSError:
                    counts.broken += 1
                    continue
                self.read.append(began)
                self.written.append(now())
                assert sent == len(answer), "the client does not read"
                counts.good += 1
                counts.bytes_out += sent
            until = min(waiting[0][0] if waiting else 1 << 62, frozen)
            select.select([selector], [], [], min(max(until - now(), 0) / 1e9, 1.0))
            ready = selector.select(0)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        for _ in range(256):
            try:
                accepted, _ = self.listener.accept()
            except BlockingIOError:
                return
            accepted.setblocking(False)
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.counts.opened()
            selector.register(accepted, selectors.EVENT_READ, _Connection(accepted))

    def _take(self, connection: _Connection, selector: selectors.BaseSelector) -> int:
        """Read what is there; how many requests it completed."""
        try:
            data = connection.socket.recv(32_768)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        counts = self.counts
        if not data:
            counts.open -= 1
            counts.broken += bool(connection.buffer)
            selector.unregister(connection.socket)
            connection.socket.close()
            return 0
        counts.bytes_in += len(data)
        connection.buffer += data
        taken = 0
        while connection.buffer:
            end = whole(connection.buffer)
            if not end:
                break
            connection.buffer = connection.buffer[end:]
            taken += 1
        return taken


def whole(buffer: bytes) -> int:
    """Where the first request of ``buffer`` ends; 0 when it is not all there."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return 0
    length = _LENGTH.search(buffer, 0, head + 2)
    end = head + 4 + (int(length[1]) if length else 0)
    return end if len(buffer) >= end else 0


def tighten_timers() -> None:
    """Let Linux wake this thread on time, not 50 µs later; elsewhere it has no such slack."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK


# --- The others ----------------------------------------------------------------------------------


@dataclass
class Request:
    """A request that was read to its end. ``number``: 1 for the server's first."""

    number: int
    method: str
    path: str
    head: bytes
    body: bytes


@dataclass
class Link:
    """One connection, and what its server is to do."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    options: Options
    counts: Counts

    def put(self, data: bytes) -> None:
        self.counts.bytes_out += len(data)
        self.writer.write(data)

    async def send(self, data: bytes) -> None:
        self.put(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection by RST."""
        peer = self.writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Link, Request], Awaitable[bool]]
"""Answers a request; whether the answer was right. Closing is by the link."""
BEHAVIOURS: dict[str, Behaviour] = {}
WELL_BEHAVED = (
    "good", "stream", "chunked", "dribble", "until_close", "half_close", "polite", "closing",
    "continues", "old", "upstream",
)  # fmt: skip
"""Behaviours whose answers are right."""


def behaviour(function: Behaviour) -> Behaviour:
    BEHAVIOURS[function.__name__.rstrip("_")] = function
    return function


def results(request: Request) -> list[dict[str, float]]:
    """What a reranker says: best first, one for each document, at most ``top_n``."""
    try:
        asked = json.loads(request.body)
        count = len(asked.get("documents") or asked.get("texts") or ())
    except (ValueError, AttributeError, TypeError):
        return []
    wanted = asked.get("top_n") or count
    return [{"index": i, "relevance_score": 1 / (i + 2)} for i in range(count)][:wanted]


def json_of(request: Request) -> bytes:
    return json.dumps({"results": results(request)}, separators=(",", ":")).encode()


def http(
    body: bytes, status: str = "200 OK", *lines: str, length: int | None = None, kind: str = ""
) -> bytes:
    """A whole answer; ``length`` lies about its length, -1 does not say it."""
    head = [f"HTTP/1.1 {status}", f"content-type: {kind or 'application/json'}", *lines]
    if length != -1:
        head.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join([*head, "", ""]).encode() + body


@behaviour
async def good(link: Link, request: Request) -> bool:
    """A right answer, ``delay`` seconds later."""
    if link.options.delay:
        await asyncio.sleep(link.options.delay)
    await link.send(http(json_of(request)))
    return True


@behaviour
async def busy(link: Link, request: Request) -> bool:
    """503 with Retry-After and a type, as a full queue is answered."""
    error = {"message": "All places are taken.", "type": "queue_full"}
    body = json.dumps({"error": error}).encode()
    await link.send(http(body, "503 Service Unavailable", "retry-after: 7"))
    return False


@behaviour
async def plain_error(link: Link, request: Request) -> bool:
    """500 with a page that would paint the terminal."""
    body = b"<h1>\x1b]0;owned\x07\x1b[31mBroken\x1b[0m\r\n\x00</h1>\xff\xfe" + b"long " * 2000
    await link.send(http(body, "500 \x1b[31mOops", kind="text/html"))
    return False


@behaviour
async def many_kinds(link: Link, request: Request) -> bool:
    """A new type of error in each answer: nobody may keep them all."""
    error = {"type": f"odd-{request.number}", "message": "\x1b[31mred"}
    body = json.dumps({"error": error}).encode()
    await link.send(http(body, "500 Internal Server Error"))
    return False


@behaviour
async def stream(link: Link, request: Request) -> bool:
    """Five events of a chat, ``delay`` seconds apart: the first at once, so 4 × ``delay`` long."""
    await link.send(
        http(b"", "200 OK", "transfer-encoding: chunked", kind="text/event-stream", length=-1)
    )
    for number in range(5):
        if number:
            await asyncio.sleep(link.options.delay)
        event = b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n'
        await link.send(b"%x\r\n%s\r\n" % (len(event), event))
    await link.send(b"0\r\n\r\n")
    return True


@behaviour
async def chunked(link: Link, request: Request) -> bool:
    """A right answer in chunks of 1 to 7 bytes, with extensions and a trailer."""
    body = json_of(request)
    out = [http(b"", "200 OK", "transfer-encoding: chunked", "trailer: x-sum", length=-1)]
    at = 0
    while at < len(body):
        piece = body[at : at + 1 + at % 7]
        out.append(b"%X;odd=1\r\n%s\r\n" % (len(piece), piece))
        at += len(piece)
    out.append(b"0\r\nx-sum: 5\r\n\r\n")
    whole_answer = b"".join(out)
    half = len(whole_answer) // 2 + request.number % 5  # cut within a chunk's head, too
    await link.send(whole_answer[:half])
    await asyncio.sleep(0)
    await link.send(whole_answer[half:])
    return True


@behaviour
async def dribble(link: Link, request: Request) -> bool:
    """A right answer a byte at a time, over ``delay`` seconds."""
    answer = http(json_of(request))
    for i in range(len(answer)):
        await link.send(answer[i : i + 1])
        await asyncio.sleep(link.options.delay / len(answer))
    return True


@behaviour
async def silent(link: Link, request: Request) -> bool:
    """Nothing, until the other side has had enough."""
    await link.reader.read()
    link.writer.close()
    return False


@behaviour
async def stalls(link: Link, request: Request) -> bool:
    """Half an answer, then nothing."""
    answer = http(json_of(request))
    await link.send(answer[: len(answer) // 2])
    return await silent(link, request)


@behaviour
async def short(link: Link, request: Request) -> bool:
    """One result too few."""
    await link.send(http(json.dumps({"results": results(request)[:-1]}).encode()))
    return False


@behaviour
async def nan(link: Link, request: Request) -> bool:
    """A score that is no number."""
    found = results(request)
    found[-1]["relevance_score"] = float("nan")
    await link.send(http(json.dumps({"results": found}).encode()))
    return False


@behaviour
async def unsorted(link: Link, request: Request) -> bool:
    """The worst first."""
    await link.send(http(json.dumps({"results": results(request)[::-1]}).encode()))
    return False


@behaviour
async def twice(link: Link, request: Request) -> bool:
    """The same document in two places."""
    found = results(request)
    found[-1]["index"] = found[0]["index"]
    await link.send(http(json.dumps({"results": found}).encode()))
    return False


@behaviour
async def no_json(link: Link, request: Request) -> bool:
    """A page that says 200."""
    await link.send(http(b"<html>It works!</html>"))
    return False


@behaviour
async def not_http(link: Link, request: Request) -> bool:
    """Another protocol."""
    await link.send(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n")
    link.writer.close()
    return False


@behaviour
async def bad_length(link: Link, request: Request) -> bool:
    """A length that is none."""
    await link.send(b"HTTP/1.1 200 OK\r\ncontent-length: lots\r\n\r\n{}")
    link.writer.close()
    return False


@behaviour
async def half_body(link: Link, request: Request) -> bool:
    """Gone in the middle of the body, orderly."""
    body = json_of(request)
    await link.send(http(body[: len(body) // 2], length=len(body)))
    link.writer.close()
    return False


@behaviour
async def half_head(link: Link, request: Request) -> bool:
    """Gone in the middle of the head."""
    await link.send(b"HTTP/1.1 200 OK\r\ncontent-ty")
    link.writer.close()
    return False


@behaviour
async def half_chunk(link: Link, request: Request) -> bool:
    """Gone in the middle of a chunk."""
    await link.send(
        http(b"20\r\nnot thirty-two", "200 OK", "transfer-encoding: chunked", length=-1)
    )
    link.writer.close()
    return False


@behaviour
async def half_reset(link: Link, request: Request) -> bool:
    """Reset in the middle of the body."""
    body = json_of(request)
    await link.send(http(body[: len(body) // 2], length=len(body)))
    await asyncio.sleep(0.005)  # it is to arrive before the reset, which throws away what has not
    link.reset()
    return False


@behaviour
async def resets(link: Link, request: Request) -> bool:
    """A reset instead of an answer, ``delay`` seconds later."""
    await asyncio.sleep(link.options.delay)
    link.reset()
    return False


@behaviour
async def hangs_up(link: Link, request: Request) -> bool:
    """An orderly end instead of an answer, ``delay`` seconds after the whole request had come."""
    await asyncio.sleep(link.options.delay)
    link.writer.close()
    return False


@behaviour
async def shuts(link: Link, request: Request) -> bool:
    """Closes its own half instead of answering, and goes on reading."""
    link.writer.write_eof()
    await link.reader.read()
    link.writer.close()
    return False


@behaviour
async def half_close(link: Link, request: Request) -> bool:
    """A right answer to the end of the stream, of which it closes its own half only."""
    await link.send(http(json_of(request), "200 OK", "connection: close", length=-1))
    link.writer.write_eof()
    await link.reader.read()
    link.writer.close()
    return True


@behaviour
async def until_close(link: Link, request: Request) -> bool:
    """A right answer to the end of the stream, in HTTP/1.1 without a length."""
    await link.send(http(json_of(request), length=-1))
    link.writer.close()
    return True


@behaviour
async def old(link: Link, request: Request) -> bool:
    """HTTP/1.0."""
    await link.send(http(json_of(request)).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    link.writer.close()
    return True


@behaviour
async def polite(link: Link, request: Request) -> bool:
    """A right answer that says it is the connection's last."""
    await link.send(http(json_of(request), "200 OK", "connection: close"))
    link.writer.close()
    return True


@behaviour
async def closing(link: Link, request: Request) -> bool:
    """A right answer; the connection is closed ``delay`` seconds later without a word."""
    await link.send(http(json_of(request)))
    if link.options.delay:
        try:
            async with asyncio.timeout(link.options.delay):
                data = await link.reader.read(1)
        except TimeoutError:
            data = b""
        if data:  # a request was faster: as a server that had not yet decided to close
            link.counts.broken += 1
    link.writer.close()
    return True


@behaviour
async def continues(link: Link, request: Request) -> bool:
    """Two interim answers, a while before the right one."""
    await link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await link.send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n")
    return await good(link, request)


@behaviour
async def redirect(link: Link, request: Request) -> bool:
    """Elsewhere."""
    await link.send(http(b"", "307 Temporary Redirect", f"location: /elsewhere{request.path}"))
    return False


@behaviour
async def chatters(link: Link, request: Request) -> bool:
    """A right answer, and another that nobody asked for."""
    await link.send(http(json_of(request)) + http(b'{"results":[]}'))
    return True


@behaviour
async def early(link: Link, request: Request) -> bool:
    """413 before the body was read (see :func:`_read`), then an orderly end: what still comes is
    read and thrown away, because closing on unread data is a reset that takes the answer along."""
    await link.send(http(b"", "413 Content Too Large", "connection: close"))
    link.writer.write_eof()
    while await link.reader.read(65_536):
        pass
    link.writer.close()
    return False


@behaviour
async def upstream(link: Link, request: Request) -> bool:
    """A right answer that names one of three servers, one after the other."""
    name = f"10.0.0.{request.number % 3}:8000"
    await link.send(http(json_of(request), "200 OK", f"X-Served-By: {name}"))
    return True


@behaviour
async def many_upstreams(link: Link, request: Request) -> bool:
    """A right answer that names a server that was never heard of, in C1's control characters."""
    await link.send(http(json_of(request), "200 OK", f"X-Served-By: \x9b1mpod-{request.number}"))
    return True


async def _read(link: Link) -> Request | None:
    """The next request; None at the end of the connection."""
    counts = link.counts
    try:
        head = await link.reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        counts.broken += bool(error.partial)
        return None
    length = _LENGTH.search(head)
    body = b""
    if length and link.options.kind != "early":
        try:
            body = await link.reader.readexactly(int(length[1]))
        except asyncio.IncompleteReadError:
            counts.broken += 1
            return None
    counts.requests += 1
    counts.bytes_in += len(head) + len(body)
    method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    plain = path.partition("?")[0]
    if plain in counts.paths or len(counts.paths) < 20:
        counts.paths[plain] = counts.paths.get(plain, 0) + 1
    return Request(counts.requests, method, path, head, body)


async def _converse(
    options: Options, counts: Counts, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    link = Link(reader, writer, options, counts)
    counts.opened()
    try:
        while not writer.is_closing() and (request := await _read(link)):
            misbehaves = request.number % options.nth == 0
            answers = BEHAVIOURS[options.kind] if misbehaves else good
            # Before the answer: whoever asks once all were answered sees all of them.
            counts.bad += 1
            right = await answers(link, request)
            counts.bad -= right
            counts.good += right
            if _CLOSE.search(request.head):
                break
    except (OSError, asyncio.IncompleteReadError):
        counts.broken += 1
    finally:
        counts.open -= 1
        writer.close()


async def serve_oddly(options: Options, listener: socket.socket, counts: Counts) -> None:
    """Serve a behaviour until the process ends."""
    context = None
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _converse(options, counts, reader, writer)

    start = asyncio.start_unix_server if options.unix else asyncio.start_server
    server = await start(converse, sock=listener, ssl=context, limit=1 << 20, backlog=4096)
    async with server:
        await server.serve_forever()


# --- The process ---------------------------------------------------------------------------------


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


def raise_limit() -> None:
    """As many files as may be: 10,000 connections want them."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(options: Options) -> None:
    """The process's whole life."""
    raise_limit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    counts = Counts()
    exact = Exact(options, counts) if options.kind in EXACT else None
    listener = exact.listener if exact else listener_of(options)
    port = 0 if options.unix else listener.getsockname()[1]
    print(json.dumps({"port": port, "origin": exact.origin if exact else 0}), flush=True)

    def answer() -> None:
        for line in sys.stdin:
            asked, _, path = line.strip().partition(" ")
            if asked == "truth" and exact:
                with open(path, "wb") as file:
                    taken = len(exact.written)
                    exact.read[:taken].tofile(file)
                    exact.written[:taken].tofile(file)
            print(json.dumps(asdict(counts)), flush=True)
        os._exit(0)

    threading.Thread(target=answer, daemon=True).start()
    if exact:
        exact.serve()
    else:
        asyncio.run(serve_oddly(options, listener, counts))


class Far:
    """A far side, as its parent sees it; ended with the block.

    Args:
        kind: See :class:`Options`, whose other attributes are keywords.
        core: The only processor core it may use, where the system can do that.

    Attributes:
        port, host, unix: Where it listens.
        origin: time.monotonic_ns of the begin of its first freeze.
        pid: Its process.
    """

    def __init__(self, kind: str = "good", *, core: int | None = None, **options: Any) -> None:
        self.options = Options(kind, **options)
        self._core = core

    def __enter__(self) -> Far:
        argv = [sys.executable, "-m", "tests.load.farside", json.dumps(asdict(self.options))]
        with on_core(self._core):
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        self.pid = self.process.pid
        said = self._answer()
        self.port: int = said["port"]
        self.origin: int = said["origin"]
        self.host, self.unix = self.options.host, self.options.unix
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()

    def kill(self) -> None:
        """End it without a word to its clients; the system closes what is open."""
        self.process.kill()
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the far side {self.options.kind} ended with {self.process.wait()}"
        return json.loads(line)  # type: ignore[no-any-return]

    def _ask(self, line: str) -> Counts:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        return Counts(**self._answer())

    def counts(self) -> Counts:
        """What it saw so far."""
        return self._ask("counts")

    def truth(self, folder: Path) -> tuple[array[int], array[int]]:
        """Of each request that ``exact`` answered: when it had been read and when its answer was
        written, time.monotonic_ns, in the order of the answers."""
        path = folder / "truth"
        self._ask(f"truth {path}")
        both: array[int] = array("q", path.read_bytes())
        half = len(both) // 2
        return both[:half], both[half:]


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Processes started in the block have one core only, where the system can do that."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[core % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    serve(Options(**json.loads(sys.argv[1])))
