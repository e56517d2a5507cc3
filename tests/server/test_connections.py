"""Connections within this process, where the minutes that the server waits can be made short."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from opsconsole.server import protocol
from opsconsole.server.exchange import respond
from opsconsole.server.protocol import ConnectionLimits, HttpProtocol
from tests.server.raw import get

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
KEEP_ALIVE = 0.2


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """As many bytes as the query says."""
    await respond(send, 200, b"x" * int(scope["query_string"] or b"1"))


def post(length: int, header: str = "", version: str = "1.1") -> bytes:
    """The head of a request with a body."""
    head = f"POST / HTTP/{version}\r\nHost: x\r\n{header}Content-Length: {length}\r\n\r\n"
    return head.encode()


@pytest.fixture
def state() -> ServerState:
    return ServerState()


@pytest.fixture
async def connect(state: ServerState, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
    monkeypatch.setattr(protocol, "STALL", 0.2)
    monkeypatch.setattr(protocol, "LINGER", 0.2)
    config = uvicorn.Config(
        app, http=HttpProtocol, ws="none", lifespan="off", log_config=None,
        timeout_keep_alive=KEEP_ALIVE,  # type: ignore[arg-type]
    )  # fmt: skip

    def make() -> HttpProtocol:
        return HttpProtocol(
            limits=ConnectionLimits(), config=config, server_state=state, app_state={}
        )

    loop = asyncio.get_running_loop()
    # Small buffers, so that what is not fetched stays with the server, and is seen to go.
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    server = await loop.create_server(make, sock=listener)
    address = listener.getsockname()
    writers: list[asyncio.StreamWriter] = []

    async def one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        client.setblocking(False)
        await loop.sock_connect(client, address)
        found = await asyncio.open_connection(sock=client, limit=1024)
        writers.append(found[1])
        return found

    yield one
    for writer in writers:
        writer.transport.abort()
    server.close()
    await _until(lambda: not state.connections)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing of the server's is an event
            await asyncio.sleep(0.01)


async def test_who_says_nothing_is_let_go(connect: Connect, state: ServerState) -> None:
    reader, _ = await connect()
    assert await reader.read() == b""
    await _until(lambda: not state.connections)


async def test_empty_lines_do_not_keep_a_connection(connect: Connect, state: ServerState) -> None:
    _, writer = await connect()
    await _until(lambda: bool(state.connections))
    async with asyncio.timeout(60):
        while state.connections:
            writer.write(b"\r\n")
            await asyncio.sleep(KEEP_ALIVE / 4)


@pytest.mark.parametrize("headers", [(), ("Connection: close",)])
async def test_who_does_not_fetch_his_answer_is_cut_off(
    connect: Connect, state: ServerState, headers: tuple[str, ...]
) -> None:
    _, writer = await connect()
    writer.write(get("/?50000000", *headers))
    await _until(lambda: bool(state.connections))
    await _until(lambda: not state.connections)
    assert not state.tasks


async def test_who_fetches_slowly_gets_it_all(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "STALL", 1.0)
    reader, writer = await connect()
    size = 1_000_000
    writer.write(get(f"/?{size}", "Connection: close"))
    received = 0
    while piece := await reader.read(65_536):
        received += len(piece)
        await asyncio.sleep(0.05)  # on the whole far longer than a stall may last
    assert received > size


@pytest.mark.parametrize("header", ["", "Connection: close\r\n"])
async def test_the_body_of_a_refused_request_has_its_time(
    connect: Connect, state: ServerState, header: str
) -> None:
    reader, writer = await connect()
    writer.write(post(1000, header))
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await _until(lambda: not state.connections)


@pytest.mark.parametrize(
    ("header", "version"), [("Connection: close\r\n", "1.1"), ("", "1.0"), ("", "1.1")]
)
async def test_a_connection_ends_behind_the_body_that_nobody_read(
    connect: Connect,
    state: ServerState,
    monkeypatch: pytest.MonkeyPatch,
    header: str,
    version: str,
) -> None:
    monkeypatch.setattr(protocol, "LINGER", 60)
    reader, writer = await connect()
    writer.write(post(2_000_000, header, version))
    if not header and version == "1.1":
        await reader.readuntil(b"\r\n\r\nx")
        for connection in list(state.connections):
            connection.shutdown()  # type: ignore[union-attr]
        assert await reader.read() == b""
    else:
        assert (await reader.read()).endswith(b"\r\n\r\nx")
    assert state.connections
    for _ in range(2000):
        writer.write(b"x" * 1000)
        await writer.drain()
    writer.write(get("/"))  # too late: the connection has ended
    await _until(lambda: not state.connections)
    assert state.total_requests == 1


async def test_who_sends_without_end_behind_his_answer_is_cut_off(
    connect: Connect, state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER", 60)
    monkeypatch.setattr(protocol, "LINGER_BYTES", 100_000)
    reader, writer = await connect()
    writer.write(post(1 << 40, "Connection: close\r\n"))
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.write(b"x" * 200_000)
    await _until(lambda: not state.connections)


async def test_an_answer_before_the_end_of_the_body_spoils_nothing(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
    assert (await reader.readuntil(b"\r\n\r\nx")).startswith(b"HTTP/1.1 200")
    writer.write(b"cd" + get("/", "Connection: close"))
    assert (await reader.read()).startswith(b"HTTP/1.1 200")


async def test_many_connections_leave_nothing(connect: Connect, state: ServerState) -> None:
    for _ in range(200):
        _, writer = await connect()
        writer.write(get("/?100000") * 20)
        writer.transport.abort()
    await _until(lambda: not state.connections and not state.tasks)
