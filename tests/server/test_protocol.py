"""What is HTTP, what is nearly HTTP, and what others might take for it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest

from tests.server.process import ServerProcess
from tests.server.raw import HOST, answers, connect, exchange, get, until_closed

CLOSE = b"Connection: close\r\n"
POST = b"POST /v1/rerank HTTP/1.1\r\n" + HOST
BODY = b'{"query": "q", "documents": ["a"]}'


@pytest.fixture(scope="module")
def plain(server: ServerProcess) -> Iterator[ServerProcess]:
    """The server of all tests; afterwards its log has no traceback."""
    yield server
    assert [line["exception"] for line in server.lines() if "exception" in line] == []
    assert server.get("/live").status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"Content-Length: 3, 3\r\n\r\nabc",
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: -3\r\n\r\nabc",
        POST + b"Content-Length: 0x3\r\n\r\nabc",
        POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\n\r\nabc",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nnot-hex\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /live HTTP/1.1\r\n\r\n",
        b"GET /live HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET /live HTTP/1.1\nHost: x\n\n",
        b"GET /live HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /live HTTP/1.1\r\n" + HOST + b"A: b\x00c\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /live HTTP/2.0\r\n" + HOST + b"\r\n",
        b"GET /live HTTP/0.9\r\n\r\n",
        b"GET /live\r\n\r\n",
        b"GET http://x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT x:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"\x00" * 10_000,
        b"{}\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_400(plain: ServerProcess, data: bytes) -> None:
    (answer,) = exchange(plain, data)
    assert (answer.status, answer.error) == (400, "invalid_http")
    assert answer.headers[b"connection"] == b"close"
    assert answer.headers[b"x-request-id"].decode() == answer.json["request_id"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", "URL"),
        (b"GET /" + b"a" * 300_000, "URL|head"),
        (b"GET /live HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 300_000, "head"),
        (b"GET /live HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 300 + b"\r\n", "headers"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"b" * 300_000, "trailer"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1;a=" + b"b" * 300_000, "trailer"),
    ],
)
def test_heads_have_a_bound(plain: ServerProcess, data: bytes, what: str) -> None:
    (answer,) = exchange(plain, data)
    assert (answer.status, answer.error) == (431, "headers_too_large")
    assert re.search(what, answer.json["error"]["message"])


def test_a_head_within_the_bound_passes(plain: ServerProcess) -> None:
    lines = [f"X-{number}: {'y' * 500}" for number in range(100)]
    (answer,) = exchange(plain, get("/live", *lines, "Connection: close"))
    assert answer.status == 200


def test_a_thousand_pipelined_requests_are_answered_in_order(plain: ServerProcess) -> None:
    names = [f"piped-{number}" for number in range(1000)]
    data = b"".join(get("/live", f"X-Request-ID: {name}") for name in names)
    found = exchange(plain, data + get("/live", "Connection: close"))
    assert [a.headers[b"x-request-id"].decode() for a in found[:-1]] == names
    assert {answer.status for answer in found} == {200}


def test_pipelined_bodies_are_told_apart(plain: ServerProcess) -> None:
    data = b""
    for number in range(50):
        body = b'{"query": "q", "documents": [%s]}' % b",".join([b'"a"'] * (number % 5 + 1))
        data += POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    found = exchange(plain, data + get("/live", "Connection: close"))
    assert [answer.status for answer in found] == [200] * 51
    assert [len(a.json["results"]) for a in found[:-1]] == [n % 5 + 1 for n in range(50)]


def test_who_does_not_fetch_pipelined_answers_costs_no_memory(plain: ServerProcess) -> None:
    with connect(plain) as connection:
        connection.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:  # far more than what the kernel's buffers take
                sent += connection.send(get("/live") * 2000)
    assert sent < 64 << 20
    assert plain.get("/live").status_code == 200


def test_garbage_after_a_request_leaves_it_its_answer(plain: ServerProcess) -> None:
    head = POST + b"Content-Length: %d\r\n\r\n" % len(BODY)
    first, second = exchange(plain, head + BODY + b"\x00\x01garbage")
    assert (first.status, len(first.json["results"])) == (200, 1)
    assert (second.status, second.error) == (400, "invalid_http")


def test_a_broken_body_behind_two_requests(plain: ServerProcess) -> None:
    broken = POST + b"Transfer-Encoding: chunked\r\n\r\nnot-hex\r\n"
    found = exchange(plain, get("/live") + get("/live") + broken)
    assert [answer.status for answer in found] == [200, 200, 400]


def test_nothing_after_close_is_answered(plain: ServerProcess) -> None:
    found = exchange(plain, get("/live", "Connection: close") + get("/health"))
    assert len(found) == 1


def test_http_1_0(plain: ServerProcess) -> None:
    (answer,) = exchange(plain, b"GET /live HTTP/1.0\r\n\r\n")
    assert answer.status == 200
    assert answer.headers[b"connection"] == b"close"


@pytest.mark.parametrize("path", ["http://elsewhere/live", "https://x:1/live?a=b", "/live?%ff=%00"])
def test_urls_that_are_fine(plain: ServerProcess, path: str) -> None:
    (answer,) = exchange(plain, get(path, "Connection: close"))
    assert (answer.status, answer.json) == (200, {"status": "live"})


@pytest.mark.parametrize("path", ["/%00", "/%ff%fe", "/live%00", "//live", "/../live", "/%"])
def test_odd_paths_are_just_not_there(plain: ServerProcess, path: str) -> None:
    (answer,) = exchange(plain, get(path, "Connection: close"))
    assert (answer.status, answer.error) == (404, "not_found")


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.2"])
def test_upgrades_are_not_taken(plain: ServerProcess, upgrade: str) -> None:
    asking = get("/live", "Connection: Upgrade", f"Upgrade: {upgrade}")
    found = exchange(plain, asking + get("/live", "Connection: close"))
    assert [answer.status for answer in found] == [200, 200]


def test_a_body_is_asked_for(plain: ServerProcess) -> None:
    head = POST + CLOSE + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    with connect(plain) as connection:
        connection.sendall(head)
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        (answer,) = answers(until_closed(connection))
    assert answer.status == 200


def test_chunks_with_extensions_and_trailers(plain: ServerProcess) -> None:
    chunks = b"".join(b"1;note=x\r\n%c\r\n" % byte for byte in BODY)
    data = POST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    (answer,) = exchange(plain, data + b"0\r\nX-Request-ID: of-a-trailer\r\n\r\n")
    assert answer.status == 200
    assert answer.headers[b"x-request-id"] != b"of-a-trailer"


@pytest.mark.parametrize("encoding", ["gzip, chunked", "deflate, chunked"])
def test_bodies_compressed_in_transfer_are_refused(plain: ServerProcess, encoding: str) -> None:
    head = POST + CLOSE + f"Transfer-Encoding: {encoding}\r\n\r\n".encode()
    (answer,) = exchange(plain, head + b"0\r\n\r\n")
    assert (answer.status, answer.error) == (415, "unsupported_encoding")


def test_a_request_in_pieces_of_every_size(plain: ServerProcess) -> None:
    data = POST + CLOSE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    for size in (1, 2, 3, 7):
        with connect(plain) as connection:
            for start in range(0, len(data), size):
                connection.sendall(data[start : start + size])
            (answer,) = answers(until_closed(connection))
            assert answer.status == 200
