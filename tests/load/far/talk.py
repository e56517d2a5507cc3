"""Connections that are conversed over: what a behaviour is given, and how it answers."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.load.far.options import LENGTH, Counts, Options

_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


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


async def _read(link: Link) -> Request | None:
    """The next request; None at the end of the connection."""
    counts = link.counts
    try:
        head = await link.reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        counts.broken += bool(error.partial)
        return None
    length = LENGTH.search(head)
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
            answers = BEHAVIOURS[options.kind if misbehaves else "good"]
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
