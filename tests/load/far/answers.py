"""Behaviours whose answers are right, however they come."""

from __future__ import annotations

import asyncio

from tests.load.far.talk import Link, Request, behaviour, http, json_of

WELL_BEHAVED = (
    "good", "stream", "chunked", "dribble", "until_close", "half_close", "polite", "closing",
    "continues", "old", "upstream",
)  # fmt: skip
"""Behaviours whose answers are right."""


@behaviour
async def good(link: Link, request: Request) -> bool:
    """A right answer, ``delay`` seconds later."""
    if link.options.delay:
        await asyncio.sleep(link.options.delay)
    await link.send(http(json_of(request)))
    return True


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
async def until_close(link: Link, request: Request) -> bool:
    """A right answer to the end of the stream, in HTTP/1.1 without a length."""
    await link.send(http(json_of(request), length=-1))
    link.writer.close()
    return True


@behaviour
async def half_close(link: Link, request: Request) -> bool:
    """A right answer to the end of the stream, of which it closes its own half only."""
    await link.send(http(json_of(request), "200 OK", "connection: close", length=-1))
    link.writer.write_eof()
    await link.reader.read()
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
async def chatters(link: Link, request: Request) -> bool:
    """A right answer, and another that nobody asked for."""
    await link.send(http(json_of(request)) + http(b'{"results":[]}'))
    return True


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
