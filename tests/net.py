"""Servers at the far side of a wire: what a broken one sends, byte for byte."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Talk = Callable[[socket.socket], None]


_chance = random.SystemRandom()  # the common one is seeded by whoever tests with it
_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, a new one with each call.

    Below those that the system chooses from, for connections and for port 0: until it is listened
    on, nobody else is given it.
    """
    while True:
        port = _chance.randrange(15_000, 32_000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def http(body: bytes, *, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole HTTP/1.1 answer."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def talking(talk: Talk, *, listens: bool = True) -> Iterator[str]:
    """A TCP server that reads one request head (if it ``listens``), then lets ``talk`` answer;
    yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(10)
                data = b""
                while listens and b"\r\n\r\n" not in data:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    data += piece
                talk(connection)
            except OSError:
                return

    def accept() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        listener.close()


def sends(*pieces: bytes) -> Talk:
    """Sends these bytes, then closes."""

    def talk(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return talk


def drips(data: bytes, done: threading.Event, seconds: float = 0.05) -> Talk:
    """Sends one byte at a time until all is sent or ``done`` is set."""

    def talk(connection: socket.socket) -> None:
        for i in range(len(data)):
            connection.sendall(data[i : i + 1])
            if done.wait(seconds):
                return

    return talk


def silent(done: threading.Event) -> Talk:
    """Takes the request and says nothing until ``done`` is set."""

    def talk(connection: socket.socket) -> None:
        done.wait(30)

    return talk
