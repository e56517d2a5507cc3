"""Clients that take their time: slow heads, slow bodies, many of them, and idle ones."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.server.process import ServerProcess, until
from tests.server.raw import HOST, Answer, answers, connect, get, next_answer, until_closed

BODY = b'{"query": "q", "documents": ["a"]}'


@pytest.fixture(scope="module")
def hasty() -> Iterator[ServerProcess]:
    """A second for a head, a second of silence in a body, 100 KB of all bodies together."""
    env = {
        "OPSCONSOLE_HEADER_TIMEOUT": "1",
        "OPSCONSOLE_BODY_TIMEOUT": "1",
        "OPSCONSOLE_MAX_UPLOAD_BYTES": "100000",
    }
    with ServerProcess(env) as server:
        yield server


def post(length: int, *, close: bool = True) -> bytes:
    end = b"Connection: close\r\n" if close else b""
    head = b"POST /v1/rerank HTTP/1.1\r\n" + HOST
    return head + end + f"Content-Length: {length}\r\n\r\n".encode()


class Trickle(threading.Thread):
    """Sends a byte now and then until it is cut off, or the block ends."""

    def __init__(self, connection: socket.socket, data: bytes, pause: float) -> None:
        super().__init__()
        self._connection = connection
        self._data = data
        self._pause = pause
        self._ended = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            for byte in self._data:
                self._connection.sendall(bytes([byte]))
                if self._ended.wait(self._pause):
                    return

    def __enter__(self) -> Trickle:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


def last_answer(connection: socket.socket) -> Answer:
    return answers(until_closed(connection))[-1]


@pytest.mark.parametrize("beginning", [b"G", b"GET /live HTTP/1.1\r\nHost: x\r\nA: b"])
def test_a_head_that_endeds_is_cut_off(hasty: ServerProcess, beginning: bytes) -> None:
    with connect(hasty) as connection:
        connection.sendall(beginning)
        answer = last_answer(connection)
    assert (answer.status, answer.error) == (408, "header_timeout")
    assert answer.headers[b"connection"] == b"close"
    assert answer.headers[b"x-request-id"].decode() == answer.json["request_id"]


def test_a_head_that_trickles_is_cut_off(hasty: ServerProcess) -> None:
    with connect(hasty) as connection:
        head = b"GET /live HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(1000))
        with Trickle(connection, head, 0.05):
            answer = last_answer(connection)
    assert (answer.status, answer.error) == (408, "header_timeout")


def test_the_second_head_of_a_connection_too(hasty: ServerProcess) -> None:
    with connect(hasty) as connection:
        connection.sendall(get("/live") + b"GET /li")
        found = answers(until_closed(connection))
    assert [answer.status for answer in found] == [200, 408]


def test_a_pause_between_two_requests_is_none_within_a_head(hasty: ServerProcess) -> None:
    with connect(hasty) as connection:
        connection.sendall(get("/live"))
        assert next_answer(connection).status == 200
        time.sleep(1.5)  # longer than a head may take: what is tested is that nothing happens
        connection.sendall(get("/live", "Connection: close"))
        assert last_answer(connection).status == 200


def test_a_body_that_trickles_is_cut_off(hasty: ServerProcess) -> None:
    with connect(hasty) as connection:
        connection.sendall(post(1_000_000))
        with Trickle(connection, b"x" * 1000, 0.1):  # never a second of silence
            answer = last_answer(connection)
    assert (answer.status, answer.error) == (408, "body_timeout")


def test_a_body_that_comes_steadily_may_take_long(hasty: ServerProcess) -> None:
    body = BODY + b" " * 12_000
    with connect(hasty) as connection:
        connection.sendall(post(len(body)))
        for start in range(0, len(body), 1000):  # 2.4 s, which neither limit alone would allow
            connection.sendall(body[start : start + 1000])
            time.sleep(0.2)
        assert last_answer(connection).status == 200


def test_bodies_together_have_a_bound(hasty: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(connect(hasty)) for _ in range(2))
        first.sendall(post(90_000) + b" " * 60_000)
        second.sendall(post(90_000) + b" " * 60_000)
        found = {answer.error: answer for answer in (last_answer(first), last_answer(second))}
    assert set(found) == {"overloaded", "body_timeout"}
    refused = found["overloaded"]
    assert (refused.status, refused.headers[b"retry-after"]) == (503, b"1")


def test_a_body_alone_passes_whatever_the_bound(hasty: ServerProcess) -> None:
    body = BODY + b" " * 3_000_000
    for _ in range(3):  # what the last one took was given back
        answer = hasty.post("/v1/rerank", content=body)
        assert answer.status_code == 200


def test_hundreds_of_slow_clients_hinder_nobody(hasty: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(hasty)) for _ in range(300)]
        for connection in slow:
            connection.sendall(b"POST /rerank HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for _ in range(20):
            assert hasty.get("/live").status_code == 200
        assert {last_answer(connection).error for connection in slow} == {"header_timeout"}
    until(lambda: hasty.get("/live").status_code == 200, "it to live")


def test_connections_have_a_bound() -> None:
    with (
        ServerProcess({"OPSCONSOLE_MAX_CONNECTIONS": "3"}, wait="listening") as server,
        contextlib.ExitStack() as stack,
    ):
        held = [stack.enter_context(connect(server)) for _ in range(3)]
        for connection in held:
            connection.sendall(get("/live"))
            assert next_answer(connection).status == 200
        with connect(server) as one_more:
            answer = last_answer(one_more)
        assert (answer.status, answer.error) == (503, "too_many_connections")
        assert answer.headers[b"retry-after"] == b"1"
        for connection in held:  # they go on
            connection.sendall(get("/live"))
            assert next_answer(connection).status == 200
        held[0].close()

        def admitted() -> bool:
            with connect(server) as connection:
                connection.sendall(get("/live", "Connection: close"))
                return last_answer(connection).status == 200

        until(admitted, "a place")
        assert not any("exception" in line for line in server.lines())
