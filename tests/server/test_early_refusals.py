"""Refusals that are said before the body is read: whoever still sends it gets them whole."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.certificates import make_certificate
from tests.server.process import ServerProcess
from tests.server.raw import Answer, answers, connect, until_closed

KEY = "0123456789abcdef0123"
BODY = b"x" * 5_000_000
TIMES = 12
ENDINGS = [("1.1", "Connection: close\r\n"), ("1.0", "")]


@pytest.fixture(scope="module", params=["plain", "tls"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server that wants a key and takes a megabyte."""
    env = {"API_KEYS": f"alice:{KEY}", "OPSCONSOLE_MAX_BODY_BYTES": "1000000"}
    if request.param == "tls":
        env |= make_certificate(tmp_path_factory.mktemp("tls")).env
    with ServerProcess(env, wait="listening") as server:
        server.wait_for("ready")
        yield server


def link(server: ServerProcess) -> socket.socket:
    """A connection, over TLS if the server speaks it."""
    connection = connect(server)
    if "TLS_CERT_FILE" not in server.env:
        return connection
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def head(version: str, *headers: str) -> bytes:
    lines = "".join(headers)
    return (
        f"POST /v1/rerank HTTP/{version}\r\nHost: x\r\n{lines}Content-Length: {len(BODY)}\r\n\r\n"
    ).encode()


def post(server: ServerProcess, data: bytes) -> Answer:
    """The one answer to a request that is sent whole before anything is read."""
    with link(server) as connection:
        connection.sendall(data)
        (answer,) = answers(until_closed(connection))
    return answer


@pytest.mark.parametrize(("version", "ending"), ENDINGS)
def test_without_a_key(guarded: ServerProcess, version: str, ending: str) -> None:
    for _ in range(TIMES):
        answer = post(guarded, head(version, ending) + BODY)
        assert (answer.status, answer.error) == (401, "unauthorized")
        assert answer.headers[b"connection"] == b"close"


@pytest.mark.parametrize(("version", "ending"), ENDINGS)
def test_with_too_large_a_body(guarded: ServerProcess, version: str, ending: str) -> None:
    key = f"Authorization: Bearer {KEY}\r\n"
    for _ in range(TIMES):
        answer = post(guarded, head(version, key, ending) + BODY)
        assert (answer.status, answer.error) == (413, "body_too_large")


def test_the_rest_of_the_body_may_follow_the_answer(guarded: ServerProcess) -> None:
    if "TLS_CERT_FILE" in guarded.env:
        pytest.skip("what is readable first is TLS's own")
    for _ in range(TIMES):
        with link(guarded) as connection:
            connection.sendall(head(*ENDINGS[0]))
            assert select.select([connection], [], [], 30)[0]
            connection.sendall(BODY)
            (answer,) = answers(until_closed(connection))
        assert answer.status == 401
