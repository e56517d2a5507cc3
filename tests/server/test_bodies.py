"""Bodies that are huge, slow, cut short or abandoned."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import httpx

from tests.server.process import PLAIN, ServerProcess, until
from tests.server.test_routes import error_of

MIB = 1 << 20


def open_request(server: ServerProcess, headers: str, body: bytes = b"") -> socket.socket:
    """A connection on which a request has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(f"POST /rerank HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode() + body)
    return connection


def read_answer(connection: socket.socket) -> httpx.Response:
    """One answer with a Content-Length."""
    stream = connection.makefile("rb")
    status = int(stream.readline().split()[1])
    headers = []
    while line := stream.readline().strip():
        name, _, value = line.partition(b": ")
        headers.append((name, value))
    length = int(dict(headers)[b"content-length"])
    return httpx.Response(status, headers=headers, content=stream.read(length))


def test_too_large_by_its_own_account_is_refused_unread(strict: ServerProcess) -> None:
    with open_request(strict, f"Content-Length: {20 * MIB}\r\n") as connection:
        answer = read_answer(connection)
    assert answer.status_code == 413
    assert error_of(answer)["type"] == "body_too_large"


def test_too_large_with_expect_continue_is_never_asked_for(strict: ServerProcess) -> None:
    headers = f"Content-Length: {20 * MIB}\r\nExpect: 100-continue\r\n"
    with open_request(strict, headers) as connection:
        assert read_answer(connection).status_code == 413


def test_too_large_without_content_length_is_refused_while_it_streams(
    strict: ServerProcess,
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"query":"q","documents":["'
        for _ in range(200):
            yield b"x" * 65536
        yield b'"]}'

    answer = strict.post("/rerank", content=pieces())
    assert answer.status_code == 413
    assert error_of(answer)["type"] == "body_too_large"


def test_the_whole_of_a_refused_body_may_be_sent(strict: ServerProcess) -> None:
    with httpx.Client(base_url=strict.url, **PLAIN) as client:
        answer = client.post("/rerank", content=b"x" * (12 * MIB))
        assert answer.status_code == 413
        # The connection is not spoiled by it.
        assert client.get("/health").status_code == 200


def test_who_never_ends_a_refused_body_is_cut_off(strict: ServerProcess) -> None:
    with open_request(strict, f"Content-Length: {20 * MIB}\r\n") as connection:
        assert read_answer(connection).status_code == 413
        connection.sendall(b"more")
        assert connection.recv(1) == b""


def test_a_body_of_30_megabytes_passes_the_default_limit(client: httpx.Client) -> None:
    body = json.dumps({"query": "q", "documents": ["short"], "padding": "x" * (30 * MIB)})
    answer = client.post("/rerank", content=body.encode())
    assert answer.status_code == 200
    answer = client.post("/rerank", content=b"x" * (33 * MIB))
    assert answer.status_code == 413


def test_a_slow_body_is_taken_and_holds_no_place(strict: ServerProcess) -> None:
    body = b'{"query": "q", "documents": ["a"]}'
    with open_request(strict, f"Content-Length: {len(body)}\r\n") as connection:
        for byte in body[:-1]:
            connection.sendall(bytes([byte]))
        controller = strict.health()["controller"]
        assert (controller["active"], controller["waiting"]) == (0, 0)
        connection.sendall(body[-1:])
        assert read_answer(connection).status_code == 200


def test_a_body_that_stops_coming_times_out(strict: ServerProcess) -> None:
    with open_request(strict, "Content-Length: 100\r\n", b'{"query"') as connection:
        answer = read_answer(connection)
        assert answer.status_code == 408
        assert error_of(answer)["type"] == "body_timeout"
        assert connection.recv(1) == b""


def test_a_client_that_leaves_within_its_body_is_counted_as_gone(strict: ServerProcess) -> None:
    before = strict.metrics()["cancelled_requests"]
    open_request(strict, "Content-Length: 100\r\n", b'{"query"').close()
    until(lambda: strict.metrics()["cancelled_requests"] == before + 1, "the cancellation")


def test_a_client_that_leaves_frees_its_place_and_the_device(server: ServerProcess) -> None:
    before = server.metrics()["cancelled_requests"]
    # Minutes of work, of which next to nothing may be done.
    body = json.dumps({"query": "q", "documents": [f"{i} word" * 100 for i in range(3000)]})
    head = f"Content-Length: {len(body)}\r\nX-Request-ID: left-alone\r\n"
    connection = open_request(server, head, body.encode())
    until(lambda: server.health()["controller"]["active"] == 1, "the request to run")
    connection.close()
    until(lambda: server.health()["controller"]["active"] == 0, "the place to be free")
    assert server.metrics()["cancelled_requests"] == before + 1
    answer = server.post("/rerank", json={"query": "q", "documents": ["a"]})
    assert answer.status_code == 200
    (line,) = [x for x in server.lines() if x.get("request_id") == "left-alone"]
    assert line["status"] == 499


def test_health_and_metrics_answer_while_the_device_is_busy(
    server: ServerProcess, client: httpx.Client
) -> None:
    answers: list[httpx.Response] = []
    documents = [f"document number {i}" + " and more of it" * 2 for i in range(2000)]
    long = threading.Thread(
        target=lambda: answers.append(
            server.post("/v1/rerank", json={"query": "q", "documents": documents})
        )
    )
    long.start()
    until(lambda: server.health()["controller"]["active"] == 1, "the request to run")
    meanwhile = 0
    while not answers:
        assert client.get("/health").json()["status"] == "healthy"
        assert client.get("/metrics").status_code == 200
        meanwhile += not answers
    long.join()
    assert meanwhile >= 3
    assert answers[0].status_code == 200
    assert len(answers[0].json()["results"]) == 2000
