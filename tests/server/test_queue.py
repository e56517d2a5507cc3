"""Admission seen from outside: one runs, two wait, the rest is refused."""

from __future__ import annotations

import json
import threading

import httpx

from tests.server.process import ServerProcess, until
from tests.server.test_bodies import open_request
from tests.server.test_routes import error_of


class Blocker:
    """A request with minutes of work, taken back at the end of the block."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    def __enter__(self) -> None:
        body = json.dumps({"query": "q", "documents": [f"{i} word" * 100 for i in range(1500)]})
        head = f"Content-Length: {len(body)}\r\n"
        self._connection = open_request(self._server, head, body.encode())
        until(lambda: self._server.health()["controller"]["active"] == 1, "it to run")

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_a_full_queue_refuses_at_once_and_the_others_succeed(strict: ServerProcess) -> None:
    # The server is shared: another test may have been refused for another reason.
    before = strict.metrics()
    full_before = before["rejected_by_reason"].get("queue_full", 0)
    waiting: list[httpx.Response] = []
    body = {"query": "q", "documents": ["a"]}
    threads = [
        threading.Thread(target=lambda: waiting.append(strict.post("/rerank", json=body)))
        for _ in range(2)
    ]
    with Blocker(strict):
        for thread in threads:
            thread.start()
        until(lambda: strict.health()["controller"]["waiting"] == 2, "two to wait")
        refused = strict.post("/rerank", json=body)
        assert refused.status_code == 503
        assert error_of(refused)["type"] == "queue_full"
        assert int(refused.headers["retry-after"]) >= 1
        # Before a byte of its body was read.
        with open_request(strict, "Content-Length: 1000\r\n") as connection:
            assert connection.recv(12) == b"HTTP/1.1 503"
        assert not waiting
        assert strict.health()["status"] == "healthy"
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in waiting] == [200, 200]
    metrics = strict.metrics()
    assert metrics["rejected_requests"] == before["rejected_requests"] + 2
    assert metrics["rejected_by_reason"]["queue_full"] == full_before + 2
    assert metrics["success_rate"] < 1
    assert metrics["queue_time"]["max_ms"] > 1


def test_who_leaves_the_queue_makes_room(strict: ServerProcess) -> None:
    body = b'{"query": "q", "documents": ["a"]}'
    head = f"Content-Length: {len(body)}\r\n"
    with Blocker(strict):
        first, second = (open_request(strict, head, body) for _ in range(2))
        until(lambda: strict.health()["controller"]["waiting"] == 2, "two to wait")
        first.close()
        until(lambda: strict.health()["controller"]["waiting"] == 1, "one to leave")
        third = open_request(strict, head, body)
        until(lambda: strict.health()["controller"]["waiting"] == 2, "another to wait")
    for connection in (second, third):
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.close()
    controller = strict.health()["controller"]
    assert (controller["active"], controller["waiting"]) == (0, 0)
