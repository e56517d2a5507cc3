"""A flood of refusals: few lines and the whole number, in the log; every one in the metrics."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole.server.logs import JsonLog
from opsconsole.server.repeats import FEW, KINDS, MOST, Repeats
from tests.server.process import PLAIN, ServerProcess, until

SENT = 200


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_APPEND | os.O_CREAT)
    yield fd
    os.close(fd)


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]


async def test_what_is_held_back_is_told_as_a_number(tmp_path: Path, fd: int) -> None:
    repeats = Repeats(JsonLog(fd), window=0.05, most=3)
    told = sum(repeats.tells("loading", 503, "shop") for _ in range(1204))
    assert told == 3
    assert repeats.tells("loading", 503)  # of somebody else
    assert repeats.tells("draining", 503, "shop")
    deadline = time.monotonic() + 20
    while not (tmp_path / "log").read_bytes():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    (line,) = lines(tmp_path)
    assert line.pop("time")
    assert line == {
        "level": "info", "message": "and 1,201 more in 0.05 s", "status": 503, "client": "shop",
        "error": "loading", "count": 1201,
    }  # fmt: skip
    assert repeats.tells("loading", 503, "shop")  # the next window has lines of its own


async def test_what_fails_elsewhere_or_otherwise_has_its_own_lines(tmp_path: Path, fd: int) -> None:
    """One client's flood does not swallow the others' lines."""
    repeats = Repeats(JsonLog(fd), window=3600, most=3)

    def tells(path: str, detail: str, request_id: str) -> bool:
        return repeats.tells("invalid_request", 422, None, "info", path, detail, request_id)

    flood = [tells("/rerank", f"texts: expected {i} of {i} texts", f"r{i}") for i in range(50)]
    assert flood == [True] * 3 + [False] * 47  # its numbers are no reasons
    assert tells("/rerank", "query: expected text", "other")
    assert tells("/score", "texts: expected 1 of 1 texts", "other")
    repeats.flush()
    (line,) = lines(tmp_path)
    assert line.pop("time")
    assert line == {
        "level": "info", "message": "and 47 more in 3600 s", "path": "/rerank", "status": 422,
        "error": "invalid_request", "detail": "texts: expected 3 of 3 texts", "count": 47,
        "request_id": "r3", "last_request_id": "r49",
    }  # fmt: skip


async def test_kinds_without_end_have_few_lines(tmp_path: Path, fd: int) -> None:
    repeats = Repeats(JsonLog(fd), window=3600)
    sent = [f"/{i:x}" for i in range(5000) for _ in range(20)]
    told = sum(repeats.tells("not_found", 404, None, "info", path, f"no {path}") for path in sent)
    assert told == FEW * MOST + (KINDS - FEW) + MOST
    assert repeats.tells("not_found", 404, "shop", "info", "/x", "no /x")  # of somebody else
    repeats.flush()
    found = lines(tmp_path)
    assert len(found) == KINDS + 1
    assert told + sum(line["count"] for line in found) == len(sent)
    assert "path" not in found[-1]  # of all the others


async def test_the_end_of_the_log_loses_no_number(tmp_path: Path, fd: int) -> None:
    repeats = Repeats(JsonLog(fd), window=3600, most=1)
    for _ in range(5):
        repeats.tells("queue_full", 503, level="warning")
    repeats.flush()
    repeats.flush()
    (line,) = lines(tmp_path)
    assert (line["count"], line["level"]) == (4, "warning")


async def test_failures_and_a_debug_log_are_told_one_by_one(fd: int) -> None:
    repeats = Repeats(JsonLog(fd), most=1)
    assert all(repeats.tells("engine_error", 500) for _ in range(5))
    searching = Repeats(JsonLog(fd, "debug"), most=1)
    assert all(searching.tells("loading", 503) for _ in range(5))


def test_a_flood_of_refusals_does_not_fill_the_log() -> None:
    with ServerProcess() as server:
        with httpx.Client(base_url=server.url, **PLAIN) as client:
            for _ in range(SENT):
                assert client.post("/rerank", content=b"{", headers={
                    "content-type": "application/json"}).status_code == 400  # fmt: skip
        for _ in range(SENT):
            with socket.create_connection(("127.0.0.1", server.port)) as raw:
                raw.sendall(b"nonsense\r\n\r\n")
                assert raw.recv(100).startswith(b"HTTP/1.1 400")
        by_status = server.metrics()["requests_by_status"]
        assert by_status == {"400": SENT}
        assert server.stop() == 0
        found = until(server.lines)
    for error, begins in (("invalid_json", "request"), ("invalid_http", "127.0.0.1:")):
        of_it = [line for line in found if line.get("error") == error and "count" in line]
        told = [line for line in found if line["message"].startswith(begins)
                and line.get("error", error) == error and "count" not in line]  # fmt: skip
        assert len(told) + sum(line["count"] for line in of_it) == SENT
        assert of_it
        # A window has its lines; a slow machine needs several of them for all this.
        assert len(told) <= MOST * (1 + len(of_it))
