"""Behaviours whose answers are right, however they come."""

from __future__ import annotations

import asyncio
import json
import socket

from tests.load.far.talk import Link, Request, behaviour, http, json_of

WELL_BEHAVED = (
    "good", "stream", "chunked", "dribble", "until_close", "half_close", "polite", "continues",
    "old", "upstream",
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
async def tei(link: Link, request: Request) -> bool:
    """Text embeddings inference: four documents at most, as it says itself."""
    if request.path == "/info":
        about = {"model_id": "BAAI/bge-reranker-base", "max_client_batch_size": 4}
        await link.send(http(json.dumps(about).encode()))
        return True
    texts = json.loads(request.body)["texts"]
    ranked = [{"index": i, "score": 1 / (i + 2)} for i in range(len(texts))]
    await link.send(http(json.dumps(ranked).encode()))
    return len(texts) <= 4


@behaviour
async def stream(link: Link, request: Request) -> bool:
    """Five events of a chat, ``delay`` seconds apart: the first at once, so 4 × ``delay`` long."""
    await link.send(
        http(b"", "200 OK", "transfer-encoding: chunked", kind="text/event-stream", length=-1)
    )
    for number in range(5):
        if number:
            await asyncio.sleep(link.options.delay)
        await link.send(event(WORD))
    await link.send(event(b"[DONE]") + b"0\r\n\r\n")
    return True


WORD = b'{"choices":[{"delta":{"content":"a word, no \\"error\\""}}]}'


def event(data: bytes) -> bytes:
    """An event of a stream, a chunk of its own."""
    return b"%x\r\ndata: %b\n\n\r\n" % (len(data) + 8, data)


@behaviour
async def thinks(link: Link, request: Request) -> bool:
    """The head at once, as uvicorn sends it; ``delay`` seconds later a chat's events."""
    head = "transfer-encoding: chunked"
    await link.send(http(b"", "200 OK", head, kind="text/event-stream; charset=utf-8", length=-1))
    await asyncio.sleep(link.options.delay)
    await link.send(event(WORD))
    await asyncio.sleep(link.options.delay)
    await link.send(event(WORD) + event(b"[DONE]") + b"0\r\n\r\n")
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
async def tells(link: Link, request: Request) -> bool:
    """A right answer that says for how long the connection is kept: a second."""
    await link.send(http(json_of(request), "200 OK", "Keep-Alive: max=99, timeout=1"))
    return True


@behaviour
async def closing(link: Link, request: Request) -> bool:
    """A right answer; the connection is closed ``delay`` seconds later without a word: a request
    that comes meanwhile is taken and dropped, or met by a reset."""
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
async def corked(link: Link, request: Request) -> bool:
    """A right answer and the end of the connection in one segment, without a word: it is closed
    before anybody can send again. On Linux."""
    peer = link.writer.get_extra_info("socket")
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    await link.send(http(json_of(request)))
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
async def repeats(link: Link, request: Request) -> bool:
    """A right answer, and the same again ``delay`` seconds later."""
    answer = http(json_of(request))
    await link.send(answer)
    await asyncio.sleep(link.options.delay)
    await link.send(answer)
    return True


@behaviour
async def times_out(link: Link, request: Request) -> bool:
    """A right answer; ``delay`` seconds later 408 to nobody, as proxies end what is idle."""
    await link.send(http(json_of(request)))
    await asyncio.sleep(link.options.delay)
    await link.send(http(b"", "408 Request Timeout", "connection: close"))
    link.writer.close()
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


_ONE = asyncio.Lock()


@behaviour
async def serial(link: Link, request: Request) -> bool:
    """A right answer, one after the other: each takes ``delay`` seconds, whoever waits."""
    async with _ONE:
        await asyncio.sleep(link.options.delay)
    await link.send(http(json_of(request)))
    return True
