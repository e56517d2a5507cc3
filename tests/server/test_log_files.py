"""The log of a serving process: rotated under load, and on a full disk."""

from __future__ import annotations

import json
import resource
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.server.process import PLAIN, ServerProcess, until


def ids(server: ServerProcess, path: Path, prefix: str) -> list[str]:
    return [
        line["request_id"]
        for line in server.lines(path)
        if line.get("request_id", "").startswith(prefix)
    ]


def test_rotation_under_load_loses_no_line(strict: ServerProcess) -> None:
    sent: list[str] = []
    stop = threading.Event()

    def run(number: int) -> None:
        with httpx.Client(base_url=strict.url, **PLAIN) as client:
            i = 0
            while not stop.is_set():
                name = f"rotate-{number}-{i}"
                body = {"query": "q", "documents": []}
                client.post("/rerank", json=body, headers={"X-Request-ID": name})
                sent.append(name)
                i += 1

    threads = [threading.Thread(target=run, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    rotated = []
    for turn in range(3):
        until(lambda least=60 * (turn + 1): len(sent) > least, "requests")
        rotated.append(strict.log.with_suffix(f".{turn}"))
        strict.log.rename(rotated[-1])
        strict.signal(signal.SIGUSR1)
        until(lambda: strict.log.exists() and ids(strict, strict.log, "rotate"), "a new file")
    stop.set()
    for thread in threads:
        thread.join()
    last = sent[-1]
    until(lambda: last in ids(strict, strict.log, "rotate"), "the last line")
    found = Counter(name for path in (*rotated, strict.log) for name in ids(strict, path, "rotate"))
    assert found == Counter(sent)


def test_a_folder_that_is_gone_leaves_the_old_log(strict: ServerProcess) -> None:
    aside = strict.log.parent.with_name("aside")
    strict.log.parent.rename(aside)
    try:
        strict.signal(signal.SIGUSR1)
        assert strict.post("/rerank", json={"query": "q", "documents": []}).status_code == 200
        message = "the log cannot be opened anew"
        until(
            lambda: any(x["message"] == message for x in strict.lines(aside / strict.log.name)),
            message,
        )
    finally:
        aside.rename(strict.log.parent)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process: Linux only")
def test_a_full_disk_does_not_disturb_serving(strict: ServerProcess) -> None:
    size = strict.log.stat().st_size
    limit = resource.RLIMIT_FSIZE
    _, hard = resource.prlimit(strict.pid, limit)
    resource.prlimit(strict.pid, limit, (size + 100, hard))
    body = {"query": "q", "documents": ["a"]}
    for _ in range(5):
        assert strict.post("/rerank", json=body).status_code == 200
    assert strict.log.stat().st_size == size + 100
    resource.prlimit(strict.pid, limit, (hard, hard))
    answer = strict.post("/rerank", json=body, headers={"X-Request-ID": "room-again"})
    assert answer.status_code == 200
    tail = until(
        lambda: b"room-again" in strict.log.read_bytes() and strict.log.read_bytes()[size:],
        "lines after the disk had room again",
    )
    torn, lost, *lines = tail.splitlines()
    assert len(torn) == 100
    # The line of an answer follows it: that of the fifth may have come when there was room again.
    found = json.loads(lost)["lost_lines"]
    assert found + len(lines) == 5 + 1
    assert found >= 4
    assert b"room-again" in lines[-1]
    assert b"Traceback" not in tail
