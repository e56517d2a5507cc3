"""Every dialect, sent as it is to a real server, and its answers checked."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from opsconsole.load.messages import Target
from opsconsole.load.plan import Lengths
from opsconsole.load.work import Requests
from opsconsole.load.work.prepared import Prepared
from tests.load.work.making import made
from tests.server.process import ServerProcess

DIALECTS = ("own", "cohere", "jina", "tei", "vllm", "nim")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    env = {"API_KEYS": "secret", "ENABLE_PREDICTION_CACHE": "true"}
    with ServerProcess(env, wait="listening") as server:
        server.wait_for("ready")
        yield server


def target_of(server: ServerProcess) -> Target:
    return Target(
        name="a",
        host="127.0.0.1",
        port=server.port,
        headers={"Authorization": "Bearer secret"},
        batch_limit=8,
    )


def send(server: ServerProcess, prepared: Prepared) -> tuple[int, bytes]:
    """The very bytes, over a socket; status and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.connect()
    connection.sock.sendall(prepared.data)
    method = prepared.data.split(b" ", 1)[0].decode()
    answer = http.client.HTTPResponse(connection.sock, method=method)
    answer.begin()
    try:
        return answer.status, answer.read()
    finally:
        answer.close()
        connection.close()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_real_server_answers_right(server: ServerProcess, dialect: str) -> None:
    requests = made(
        target_of(server),
        dialect=dialect,
        documents=Lengths("uniform", 1, 20),
        document_tokens=Lengths("lognormal", 30, 1.5),
        model="any",
        start=7,
    )
    for _ in range(8):
        prepared = requests.next(0)
        status, body = send(server, prepared)
        assert prepared.check is not None
        assert (status, prepared.check(status, body)) == (200, None)
        last: Any = json.loads(body)
        rows = last if isinstance(last, list) else last.get("results", last.get("data"))
        assert len(rows or last["rankings"]) == prepared.pairs <= 8


@pytest.mark.parametrize("dialect", ["own", "cohere", "jina"])
def test_the_best_few(server: ServerProcess, dialect: str) -> None:
    prepared = made(target_of(server), dialect=dialect, top_n=3).next(0)
    status, body = send(server, prepared)
    assert prepared.check is not None
    assert prepared.check(status, body) is None
    assert len(json.loads(body)["results"]) == 3


def test_any_request(server: ServerProcess) -> None:
    requests: Requests = made(target_of(server), dialect="http", path="/health")
    assert send(server, requests.next(0))[0] == 200


def test_a_repeated_pair_is_known_to_the_cache(server: ServerProcess) -> None:
    def hits() -> int:
        answer = server.get("/metrics", headers={"Authorization": "Bearer secret"})
        found: int = answer.json()["cache"]["hits"]
        return found

    before = hits()
    fresh = made(target_of(server), seed=9)
    for _ in range(5):
        send(server, fresh.next(0))
    assert hits() == before
    again = made(target_of(server), seed=9, repeat=1.0)
    for _ in range(3):
        send(server, again.next(0))
    assert hits() > before
