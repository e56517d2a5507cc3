"""A client that costs next to nothing: prebuilt bytes over kept connections, in its own process.

``python -m tests.benchmarks.http_client`` reads a job a line and answers with a line; use
:func:`open_client` and :func:`drive`. One thread and one blocking socket for each client, which
takes about 20 µs of this process for a request: a client library would take what is to be measured.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from tests.benchmarks.peers import Child

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
TIMEOUT = 300.0


class Stream(msgspec.Struct):
    """Requests of one kind, sent in turn by some clients, each after its last answer."""

    name: str
    requests: list[bytes]
    """Whole HTTP messages."""
    clients: int = 1
    pause: float = 0.0
    """Seconds between an answer and the next request."""


class Job(msgspec.Struct):
    """Streams to run beside each other for some seconds."""

    port: int
    streams: list[Stream]
    seconds: float = 0.0
    rounds: int = 0
    """Instead of ``seconds``: so often all requests of each stream, shared by its clients."""


class Outcome(msgspec.Struct):
    """What one stream saw."""

    name: str
    latencies: list[float] = []
    """Seconds of each request answered with 200, in the order of their ends."""
    failed: int = 0
    """Other statuses."""
    elapsed: float = 0.0
    """Seconds from the first request to the last answer."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.elapsed


def message(path: str, body: dict[str, Any]) -> bytes:
    """A POST of JSON, as bytes."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(data) + data


def rerank(
    queries: Sequence[str], documents: Sequence[str], *, path: str = "/v1/rerank", **more: Any
) -> list[bytes]:
    """A request a query for all documents."""
    return [message(path, {"query": q, "documents": list(documents), **more}) for q in queries]


def exchange(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send one request; (status, body) of its answer, which must have a Content-Length."""
    connection.sendall(request)
    received = connection.recv(1 << 18)
    while True:
        end = received.find(b"\r\n\r\n")
        if end >= 0:
            length = _LENGTH.search(received, 0, end + 2)
            if length is None:
                raise ConnectionError("an answer without a Content-Length")
            if len(received) >= (whole := end + 4 + int(length[1])):
                if len(received) > whole:
                    raise ConnectionError("more than one answer to a request")
                return int(received[9:12]), received[end + 4 :]
        piece = connection.recv(1 << 18)
        if not piece:
            raise ConnectionError("closed without a whole answer")
        received += piece


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def open_client() -> Child:
    """The client's process."""
    return Child([sys.executable, "-m", "tests.benchmarks.http_client"])


def drive(client: Child, job: Job) -> dict[str, Outcome]:
    """Run a job in the client's process; its streams' outcomes by name."""
    answer = client.ask(**msgspec.to_builtins(job))
    return {name: msgspec.convert(seen, Outcome) for name, seen in answer.items()}


class _Run:
    """One job, with a thread for each client."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._errors: list[Exception] = []

    def run(self) -> dict[str, Outcome]:
        seen = {stream.name: Outcome(stream.name) for stream in self._job.streams}
        self._begin = time.perf_counter()
        threads = [
            threading.Thread(target=self._client, args=(stream, number, seen[stream.name]))
            for stream in self._job.streams
            for number in range(stream.clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return seen

    def _client(self, stream: Stream, number: int, seen: Outcome) -> None:
        try:
            with connect(self._job.port) as connection:
                self._send_all(connection, stream, number, seen)
        except Exception as error:
            self._errors.append(error)

    def _send_all(
        self, connection: socket.socket, stream: Stream, number: int, seen: Outcome
    ) -> None:
        end = self._begin + self._job.seconds
        most = self._job.rounds * len(stream.requests)
        while (number < most) if most else (time.perf_counter() < end):
            start = time.perf_counter()
            status, _ = exchange(connection, stream.requests[number % len(stream.requests)])
            now = time.perf_counter()
            with self._lock:
                if status == 200:
                    seen.latencies.append(now - start)
                else:
                    seen.failed += 1
                seen.elapsed = now - self._begin
            number += stream.clients
            if stream.pause:
                time.sleep(stream.pause)


def main() -> None:
    for line in sys.stdin:
        job = msgspec.convert(json.loads(line), Job)
        print(msgspec.json.encode(_Run(job).run()).decode(), flush=True)


if __name__ == "__main__":
    main()
