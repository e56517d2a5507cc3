"""Bytes to a server and back, for what no HTTP library would ever send."""

from __future__ import annotations

import re
import socket
from typing import Any, NamedTuple

import msgspec

from tests.server.process import ServerProcess

HOST = b"Host: x\r\n"


class Answer(NamedTuple):
    """One answer as it came."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def error(self) -> str:
        """The type of the error that it is."""
        return str(self.json["error"]["type"])

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def connect(server: ServerProcess, timeout: float = 30.0) -> socket.socket:
    """A connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=timeout)


def until_closed(connection: socket.socket) -> bytes:
    """Everything that comes before the server closes; fails when it resets the connection."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def next_answer(connection: socket.socket) -> Answer:
    """The one answer that comes next on a connection that stays open."""
    received = b""
    while True:
        piece = connection.recv(65_536)
        assert piece, f"closed after {received!r}"
        received += piece
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?m)^content-length: (\d+)\r?$", head)
        if end and length is not None and len(body) >= int(length[1]):
            (answer,) = answers(received)
            return answer


def answers(received: bytes) -> list[Answer]:
    """All answers in what was received, each of which must be whole."""
    found = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, f"half an answer: {received!r}"
        first, *lines = head.split(b"\r\n")
        if first.startswith(b"HTTP/1.1 100 "):
            received = rest
            continue
        headers = dict(line.split(b": ", 1) for line in lines)
        length = int(headers[b"content-length"])
        assert len(rest) >= length, f"half a body: {rest!r}"
        found.append(Answer(int(first.split()[1]), headers, rest[:length]))
        received = rest[length:]
    return found


def exchange(server: ServerProcess, data: bytes) -> list[Answer]:
    """What a server says to ``data`` before it closes the connection."""
    with connect(server) as connection:
        connection.sendall(data)
        return answers(until_closed(connection))


def get(path: str, *lines: str, version: str = "1.1") -> bytes:
    """A request without a body."""
    return "\r\n".join([f"GET {path} HTTP/{version}", "Host: x", *lines, "", ""]).encode()
