"""The health check without a library: every kind of sick server, and never a wait."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from opsconsole.daemon.probe import Answer, Probe
from tests.net import free_port

Serve = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves one connection with a function, and tells the port."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def begin(talk: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener, contextlib.suppress(OSError):
                client, _ = listener.accept()
                with client:
                    client.recv(65_536)
                    talk(client)
                    done.wait(5)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield begin
    done.set()
    for thread in threads:
        thread.join()


def ask(port: int, host: str = "127.0.0.1", timeout: float = 2.0) -> tuple[Answer, float]:
    """The answer, and the longest time that one step took."""
    probe = Probe(host, port, "/health", timeout, time.monotonic())
    longest = 0.0
    while True:
        began = time.monotonic()
        answer = probe.step(began)
        longest = max(longest, time.monotonic() - began)
        if answer is not None:
            assert probe.fileno() == -1
            return answer, longest
        poll = select.poll()
        poll.register(probe.fileno(), probe.interest)
        poll.poll(max(1, int((probe.deadline - time.monotonic()) * 1000)))


def says(*parts: bytes, close: bool = True, pause: float = 0.0) -> Callable[[socket.socket], None]:
    def talk(client: socket.socket) -> None:
        for part in parts:
            client.sendall(part)
            if pause:
                time.sleep(pause)
        if close:
            client.shutdown(socket.SHUT_WR)

    return talk


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("talk", "answer"),
    [
        (says(OK, b"\r\n", b'{"status":"healthy","pid":7}'), (True, "HTTP 200 healthy", 7)),
        (says(OK + b"Content-Length: 2\r\n\r\n{}", close=False), (True, "HTTP 200", None)),
        (says(OK + b"\r\n<html>"), (True, "HTTP 200", None)),
        (says(OK + b"\r\n[1]"), (True, "HTTP 200", None)),
        (says(OK + b'\r\n{"pid":true,"status":5}'), (True, "HTTP 200", None)),
        (says(OK + b'\r\n{"pid":-1}'), (True, "HTTP 200", None)),
        (
            says(b'HTTP/1.0 503 Busy\r\n\r\n{"status":"loading","reason":"weights"}'),
            (False, "HTTP 503 loading weights", None),
        ),
        (says(b"HTTP/1.1 404 Not Found\r\n\r\n"), (False, "HTTP 404", None)),
        (says(b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n"), (False, "HTTP 301", None)),
        (says(b"SSH-2.0-OpenSSH_9.7\r\n"), (False, "the answer is not HTTP", None)),
        (says(b"HTTP/1.1 twohundred\r\n\r\n"), (False, "the answer is not HTTP", None)),
        (says(b""), (False, "an empty answer", None)),
        (says(b"\0" * 100_000), (False, "the answer is not HTTP", None)),
        (says(OK + b"\r\n" + b"x" * 200_000), (True, "HTTP 200", None)),
    ],
)
def test_answers(
    serve: Serve, talk: Callable[[socket.socket], None], answer: tuple[bool, str, int | None]
) -> None:
    got, longest = ask(serve(talk))
    assert got == answer
    assert longest < 0.5


@pytest.mark.parametrize(
    "talk",
    [
        says(close=False),
        says(OK, close=False),
        says(OK + b"Content-Length: 99\r\n\r\n{", close=False),
        says(*[b"H"] * 40, pause=0.03),
    ],
    ids=["silence", "half a head", "half a body", "a byte at a time"],
)
def test_a_deadline_for_the_whole_exchange(
    serve: Serve, talk: Callable[[socket.socket], None]
) -> None:
    began = time.monotonic()
    got, longest = ask(serve(talk), timeout=0.3)
    assert got == (False, "no answer within 0.3 s", None)
    assert 0.3 <= time.monotonic() - began < 1.0
    assert longest < 0.2


def test_refused() -> None:
    assert ask(free_port())[0] == (False, "connection refused", None)


def test_a_name_of_two_addresses(serve: Serve) -> None:
    """``localhost`` may be ``::1`` first, while the server listens on 127.0.0.1 only."""
    got, _ = ask(serve(says(OK, b"\r\n")), host="localhost")
    assert got.ready


def test_a_name_that_is_none() -> None:
    got, _ = ask(1, host="no-such-host.invalid")
    assert not got.ready
    assert got.detail.startswith("no-such-host.invalid: ")


def test_reset(serve: Serve) -> None:
    def talk(client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()

    assert ask(serve(talk))[0] == (False, "connection reset", None)


def test_nobody_accepts() -> None:
    """A full backlog answers nothing at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            assert ask(port, timeout=0.3)[0].detail == "no answer within 0.3 s"
