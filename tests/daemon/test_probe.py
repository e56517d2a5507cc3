"""The health check without a library: every kind of sick server, and never a wait."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from opsconsole.daemon.probe import Answer, Probe
from tests.certificates import Certificate
from tests.net import free_port

Talk = Callable[[socket.socket], None]
Serve = Callable[[Talk], int]


@pytest.fixture
def serve(raw: Serve) -> Serve:
    """Serves one connection with a function that is called after the request."""

    def begin(talk: Talk) -> int:
        def read_and_talk(client: socket.socket) -> None:
            client.recv(65_536)
            talk(client)

        return raw(read_and_talk)

    return begin


@pytest.fixture
def raw() -> Iterator[Serve]:
    """Serves one connection with a function, and tells the port."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def begin(talk: Talk) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listener, contextlib.suppress(OSError):
                client, _ = listener.accept()
                with client:
                    talk(client)
                    done.wait(5)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield begin
    done.set()
    for thread in threads:
        thread.join()


def ask(
    port: int, host: str = "127.0.0.1", timeout: float = 2.0, *, tls: bool = False
) -> tuple[Answer, float]:
    """The answer, and the longest time that one step took."""
    probe = Probe(host, port, "/health", timeout, time.monotonic(), tls=tls)
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
NO_WAIT = 2.0
"""Seconds within which a step ends on any machine; one that waits would wait for the far side,
which holds its connection longer."""


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
    assert got[:3] == answer
    assert longest < NO_WAIT


def test_an_answer_says_its_status_and_its_word(serve: Serve) -> None:
    got, _ = ask(serve(says(b'HTTP/1.0 503 Busy\r\n\r\n{"status":"draining"}')))
    assert (got.status, got.word) == (503, "draining")
    got, _ = ask(serve(says(OK + b'\r\n{"status":[1]}')))
    assert (got.status, got.word) == (200, "")
    got, _ = ask(free_port())
    assert (got.status, got.word) == (0, "")


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
    assert got[:3] == (False, "no answer within 0.3 s", None)
    assert 0.3 <= time.monotonic() - began < 5 * NO_WAIT
    assert longest < NO_WAIT


def test_refused() -> None:
    assert ask(free_port())[0][:3] == (False, "connection refused", None)


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

    assert ask(serve(talk))[0][:3] == (False, "connection reset", None)


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


# Over TLS


def secured(certificate: Certificate, talk: Talk) -> Talk:
    """``talk`` after a handshake; what the client says first is read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)

    def shake_hands_and_talk(client: socket.socket) -> None:
        with context.wrap_socket(client.dup(), server_side=True) as link:
            link.recv(65_536)
            talk(link)

    return shake_hands_and_talk


def test_a_certificate_of_its_own_is_enough(raw: Serve, certificate: Certificate) -> None:
    answer = OK + b'Content-Length: 28\r\n\r\n{"status":"healthy","pid":7}'
    got, longest = ask(raw(secured(certificate, lambda link: link.sendall(answer))), tls=True)
    assert got[:3] == (True, "HTTP 200 healthy", 7)
    assert longest < NO_WAIT


def test_a_handshake_that_never_ends_has_the_deadline_of_all(raw: Serve) -> None:
    got, longest = ask(raw(lambda client: None), timeout=0.3, tls=True)
    assert got[:3] == (False, "no answer within 0.3 s", None)
    assert longest < NO_WAIT


def test_plain_http_where_tls_was_expected(raw: Serve) -> None:
    got, _ = ask(raw(lambda client: client.sendall(OK + b"\r\n")), tls=True)
    assert not got.ready
    assert got.detail


def test_refused_over_tls(certificate: Certificate) -> None:
    assert ask(free_port(), tls=True)[0][:3] == (False, "connection refused", None)
    assert not ask(free_port(), host="localhost", tls=True)[0].ready
