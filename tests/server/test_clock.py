"""A wall clock that is set forward and back by an hour, as NTP or an operator does."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.server.process import PLAIN, ServerProcess, until

FAKETIME = shutil.which("faketime")
pytestmark = pytest.mark.skipif(FAKETIME is None, reason="no faketime: apt-get install faketime")

HOUR = 3600.0
JUMPS = {"+1h": HOUR, "-1h": -HOUR, "+0": 0.0}


def faked(clock: Path) -> dict[str, str]:
    """A server's environment in which the wall clock follows a file, and the monotonic does not.

    The program ``faketime`` only says where its library is: as a parent it would take the signals.
    """
    assert FAKETIME is not None
    found = subprocess.run(
        [FAKETIME, "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
    )
    return {
        "LD_PRELOAD": found.stdout.strip(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",  # seconds until a change of the file is seen
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def skew(server: ServerProcess) -> float:
    """Seconds that the server's wall clock is ahead of ours, by its newest line of log."""
    newest = datetime.fromisoformat(server.lines()[-1]["time"])
    return newest.timestamp() - time.time()


def test_requests_survive_a_clock_that_jumps(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    with ServerProcess(faked(clock)) as server:
        over = threading.Event()
        durations: list[float] = []
        failures: list[str] = []

        def ask() -> None:
            headers = {"x-request-timeout": "30"}
            body = {"query": "q", "documents": ["some text"] * 3}
            with httpx.Client(base_url=server.url, **PLAIN) as client:
                while not over.is_set():
                    answer = client.post("/v1/rerank", json=body, headers=headers)
                    if answer.status_code != 200:
                        failures.append(answer.text)
                        return
                    durations.append(float(answer.headers["x-total-time"]) / 1000)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for jump, seconds in JUMPS.items():
                clock.write_text(f"{jump}\n")
                until(
                    lambda at=seconds: failures or abs(skew(server) - at) < 60, f"it to be {jump}"
                )
                goal = len(durations) + 8
                until(lambda goal=goal: failures or len(durations) >= goal, f"answers at {jump}")
        finally:
            over.set()
            thread.join(60)
        assert failures == []
        assert all(0 <= duration < 60 for duration in durations)
        health, metrics = server.health(), server.metrics()
        assert health["status"] == "healthy"
        assert 0 <= health["uptime_seconds"] < HOUR / 2
        assert 0 <= health["engine"]["last_forward_age_seconds"] < HOUR / 2
        assert 0 <= metrics["latency"]["sum_seconds"] < HOUR / 2
        assert server.stop() == 0
