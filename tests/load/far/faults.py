"""Behaviours whose answers are wrong, or none."""

from __future__ import annotations

import asyncio
import json

from tests.load.far.answers import WORD, event
from tests.load.far.talk import BEHAVIOURS, Link, Request, behaviour, http, json_of, results


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
async def echo(link: Link, request: Request) -> bool:
    """401 with the whole request, as many gateways do: the key that was sent is in it."""
    await link.send(http(request.head + request.body, "401 Unauthorized", kind="text/plain"))
    return False


@behaviour
async def many_kinds(link: Link, request: Request) -> bool:
    """A new type of error in each answer: nobody may keep them all."""
    error = {"type": f"odd-{request.number}", "message": "\x1b[31mred"}
    body = json.dumps({"error": error}).encode()
    await link.send(http(body, "500 Internal Server Error"))
    return False


EVENTS = {
    "fails_in_stream": (WORD, b'{"error": {"message": "CUDA out of memory"}}'),
    "stops_in_stream": (WORD, WORD),
}


async def _stream(link: Link, request: Request) -> bool:
    """A stream of events that ends in order, and not as it should."""
    head = "transfer-encoding: chunked"
    await link.send(http(b"", "200 OK", head, kind="text/event-stream", length=-1))
    for data in EVENTS[link.options.kind]:
        chunk = event(data)
        for half in (chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :]):
            await link.send(half)
            await asyncio.sleep(0)
    await link.send(b"0\r\n\r\n")
    return False


BEHAVIOURS.update(dict.fromkeys(EVENTS, _stream))


@behaviour
async def moved(link: Link, request: Request) -> bool:
    """307 to where it is now, with a key in it."""
    where = f"https://me:word@else.where{request.path}&api_key=abcdef&x=1"
    await link.send(http(b"", "307 Temporary Redirect", f"Location: {where}"))
    return False


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
async def redirect(link: Link, request: Request) -> bool:
    """Elsewhere."""
    await link.send(http(b"", "307 Temporary Redirect", f"location: /elsewhere{request.path}"))
    return False


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
