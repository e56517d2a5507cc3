"""Polls of servers that misbehave on a real socket: each ends in its class, and in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from opsconsole.fleet import Failure, ServerState, Snapshot, poll, watch
from opsconsole.fleet.http import _tls
from opsconsole.profile import Secret, Server
from tests.certificates import make_certificate
from tests.net import Talk, drips, free_port, http, sends, silent, talking
from tests.server.process import ServerProcess

HEALTH = json.dumps(
    {"status": "healthy", "model": {"name": "m", "backend": "pytorch", "device": "cpu"}}
)
METRICS = json.dumps(
    {"total_requests": 7, "successful_requests": 7, "latency": {"buckets": [[0.1, 7], ["+Inf", 7]]}}
)


@pytest.fixture
def done() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def tls_anew() -> Iterator[None]:
    """Nobody after this test trusts what it trusted."""
    _tls.cache_clear()
    yield
    _tls.cache_clear()


async def ask(talk: Talk, *, kind: str = "own", timeout: float = 20.0) -> Snapshot:
    with talking(talk) as url:
        return await poll(Server(name="s", url=url, kind=kind, timeout=timeout))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (http(b"<!doctype html><h1>It works"), Failure.NOT_JSON),
        (http(b'{"status": "hea'), Failure.NOT_JSON),
        (http(b""), Failure.NOT_JSON),
        (http(b"[1, 2]"), Failure.SHAPE),
        (http(b'{"status": 7}'), Failure.SHAPE),
        (http(b"\xff\xfe\x00"), Failure.NOT_JSON),
        (http(b"[" * 100_000), Failure.SHAPE),
        (http(b"gone", status="404 Not Found"), Failure.STATUS),
        (http(b"no", status="401 Unauthorized"), Failure.UNAUTHORIZED),
        (http(b"", status="302 Found"), Failure.STATUS),
        (http(b" " * (10 * 2**20)), Failure.TOO_LARGE),
        (b"", Failure.CLOSED),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Failure.CLOSED),
        (b"220 mail.example ESMTP\r\n\r\n", Failure.NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhalf", Failure.CLOSED),
    ],
    ids=lambda value: str(value) if isinstance(value, Failure) else repr(value[-12:]),
)
async def test_what_a_broken_server_sends_has_a_class(data: bytes, failure: Failure) -> None:
    snapshot = await ask(sends(data))
    assert snapshot.failure is failure
    assert snapshot.state in (ServerState.DOWN, ServerState.UNKNOWN)
    assert snapshot.detail


async def test_silence_and_a_drip_end_at_the_deadline(done: threading.Event) -> None:
    start = time.monotonic()
    first = await ask(silent(done), timeout=0.3)
    second = await ask(drips(http(HEALTH.encode()), done), timeout=0.3)
    assert first.failure is second.failure is Failure.TIMEOUT
    assert time.monotonic() - start < 30


async def test_refused_and_unknown_host() -> None:
    refused = await poll(Server(name="s", url=f"http://127.0.0.1:{free_port()}"))
    assert refused.failure is Failure.REFUSED
    nowhere = await poll(Server(name="s", url="http://no-such-host.invalid", timeout=10))
    assert nowhere.failure is Failure.DNS


async def test_tls_that_is_none_is_told() -> None:
    with talking(sends(http(b"plain")), listens=False) as url:
        snapshot = await poll(Server(name="s", url=url.replace("http:", "https:")))
    assert snapshot.failure is Failure.TLS


def self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


async def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True):
            pass

    with talking(talk, listens=False) as url:
        snapshot = await poll(Server(name="s", url=url.replace("http:", "https:")))
    assert snapshot.failure is Failure.TLS
    assert "certificate" in snapshot.detail


async def test_ssl_cert_file_makes_its_certificate_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls_anew: None
) -> None:
    certificate = make_certificate(tmp_path)
    with ServerProcess(certificate.env, wait="listening") as process:
        server = Server(name="s", url=process.url, timeout=10)
        assert (await poll(server)).failure is Failure.TLS
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
        _tls.cache_clear()
        assert (await poll(server)).failure is None


async def test_a_missing_secret_is_unknown_and_not_down() -> None:
    server = Server(
        name="s", url="http://127.0.0.1:1", api_key=Secret(env="OPSCONSOLE_TEST_NO_KEY")
    )
    snapshot = await poll(server)
    assert (snapshot.state, snapshot.failure) == (ServerState.UNKNOWN, Failure.SECRET)


async def test_a_key_that_no_header_can_carry_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPSCONSOLE_TEST_KEY", "hunter2\r\nx-evil: 1")
    server = Server(name="s", url="http://127.0.0.1:1", api_key=Secret(env="OPSCONSOLE_TEST_KEY"))
    snapshot = await poll(server)
    assert snapshot.failure is Failure.SECRET
    assert "hunter2" not in repr(snapshot)


async def test_the_key_is_sent_as_a_bearer_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONSOLE_TEST_KEY", "hunter2")
    heads: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        connection.sendall(http(b"ok"))

    with talking(talk, listens=False) as url:
        secret = Secret(env="OPSCONSOLE_TEST_KEY")
        server = Server(name="s", url=f"{url}/base", kind="http", health="/a b", api_key=secret)
        assert (await poll(server)).state is ServerState.UP
    assert heads[0].startswith(b"GET /base/a%20b HTTP/1.1\r\n")
    assert b"authorization: Bearer hunter2\r\n" in heads[0].lower().replace(b"bearer", b"Bearer")
    assert f"host: {url.removeprefix('http://')}".encode() in heads[0].lower()


@pytest.mark.parametrize(
    ("status", "state"),
    [("healthy", ServerState.UP), ("degraded", ServerState.DEGRADED),
     ("loading", ServerState.LOADING), ("draining", ServerState.DRAINING),
     ("sideways", ServerState.UNKNOWN)],
)  # fmt: skip
async def test_what_a_server_says_of_itself(status: str, state: ServerState) -> None:
    body = json.dumps({"status": status, "reason": "because"}).encode()
    snapshot = await ask(sends(http(body, status="503 Busy")))
    assert snapshot.state is state
    assert snapshot.metrics_failure is not None  # this one closes before it is asked for metrics


async def test_any_http_server_can_be_watched() -> None:
    assert (await ask(sends(http(b"pong", kind="text/plain")), kind="http")).state is ServerState.UP
    assert (await ask(sends(http(b"", status="500 No")), kind="http")).state is ServerState.DOWN


async def test_counters_are_read_from_a_whole_answer() -> None:
    answers = iter([HEALTH, METRICS])
    lock = threading.Lock()

    def talk(connection: object) -> None:
        with lock:
            body = next(answers).encode()
        head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)  # type: ignore[attr-defined]

    snapshot = await ask(talk)
    assert snapshot.state is ServerState.UP
    assert snapshot.counters is not None
    assert snapshot.counters.requests == 7
    assert snapshot.identity is not None
    assert snapshot.identity.device == "cpu"


async def test_a_hanging_server_does_not_hold_up_another(done: threading.Event) -> None:
    with talking(silent(done)) as slow, talking(sends(http(b"ok"))) as fast:
        servers = [
            Server(name="slow", url=slow, kind="http", interval=0.1, timeout=20),
            Server(name="fast", url=fast, kind="http", interval=0.1, timeout=5),
        ]
        seen: list[str] = []
        async with asyncio.timeout(60), aclosing(watch(servers)) as snapshots:
            async for snapshot in snapshots:
                seen.append(snapshot.server)
                if len(seen) == 5:
                    break
    assert seen == ["fast"] * 5


async def test_a_slow_consumer_gets_the_newest_and_no_backlog() -> None:
    asked: list[float] = []

    def talk(connection: socket.socket) -> None:
        asked.append(time.monotonic())
        connection.sendall(http(b"ok"))

    with talking(talk) as url:
        server = Server(name="s", url=url, kind="http", interval=0.05, timeout=5)
        async with asyncio.timeout(60), aclosing(watch([server])) as snapshots:
            await anext(snapshots)
            while len(asked) < 9:  # noqa: ASYNC110 - the slow consumer: many polls pass meanwhile
                await asyncio.sleep(0.02)
            second = await anext(snapshots)
            assert second.clock > asked[5]
