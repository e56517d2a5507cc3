from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.server.logs import JsonLog, Record


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_APPEND | os.O_CREAT)
    yield fd
    os.close(fd)


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines() if line]


def test_a_line_is_one_json_object(tmp_path: Path, fd: int) -> None:
    log = JsonLog(fd)
    log.info("hello\nworld \x1b[31m", status=200, nothing=None, path=Path("/x"))
    log.debug("too quiet")
    raw = (tmp_path / "log").read_bytes()
    assert raw.count(b"\n") == 1
    assert b"\x1b" not in raw
    (line,) = lines(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "message": "hello\nworld \x1b[31m",
        "status": 200,
        "path": "/x",
    }


def test_what_json_cannot_hold_is_escaped_not_lost(tmp_path: Path, fd: int) -> None:
    JsonLog(fd).warning("bad \udce4 name", value=float("nan"), number=10**400)
    (line,) = lines(tmp_path)
    assert line["message"] == "bad \\udce4 name"


def test_a_full_disk_never_raises_and_is_told_of_later(tmp_path: Path, fd: int) -> None:
    log = JsonLog(fd)
    log.info("before")
    keep = os.dup(fd)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        os.dup2(full, fd)
        for _ in range(3):
            log.info("lost")
        assert log.lost == 3
        os.dup2(keep, fd)
    finally:
        os.close(full)
        os.close(keep)
    log.info("after")
    log.info("and on")
    assert log.lost == 0
    found = lines(tmp_path)
    assert [line["message"] for line in found] == [
        "before",
        "log lines lost: 3 (No space left on device)",
        "after",
        "and on",
    ]
    assert found[1]["lost_lines"] == 3


def test_half_a_line_does_not_spoil_the_next(
    tmp_path: Path, fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = JsonLog(fd)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:20]))
    log.info("this one does not fit")
    monkeypatch.undo()
    log.info("whole")
    torn, lost, whole = (tmp_path / "log").read_bytes().splitlines()
    assert len(torn) == 20
    assert json.loads(lost)["message"] == "log lines lost: 1 (no room for a whole line)"
    assert json.loads(whole)["message"] == "whole"


def test_the_standard_library_speaks_through_it(tmp_path: Path, fd: int) -> None:
    from opsconsole.server.logs import _Bridge

    logger = logging.Logger("somebody")  # not in the tree: the test's own handlers stay away
    logger.addHandler(_Bridge(JsonLog(fd)))
    logger.warning("%d things", 3)
    logger.warning("%d things", "no")
    try:
        raise ValueError("inside")
    except ValueError:
        logger.exception("failed")
    first, second, third = lines(tmp_path)
    assert (first["level"], first["message"], first["logger"]) == (
        "warning",
        "3 things",
        "somebody",
    )
    assert second["message"].startswith("%d things (")
    assert third["level"] == "error"
    assert "ValueError: inside" in third["exception"]


class Visit(Record, kw_only=True):
    path: str
    number: int | None = None
    detail: str | None = None


def test_a_record_is_a_line_like_any_other(tmp_path: Path, fd: int) -> None:
    log = JsonLog(fd)
    log.put(Visit(level="info", message="visit", path="/a\nb", number=0))
    log.put(Visit(level="debug", message="too quiet", path="/"))
    log.put(Visit(level="error", message="visit", path="bad \udce4 name"))
    first, second = lines(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {"level": "info", "message": "visit", "path": "/a\nb", "number": 0}
    assert list(second) == ["time", "level", "message", "path"]
    assert second["path"] == "bad \\udce4 name"
