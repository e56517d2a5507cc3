"""Ctrl-Z while ``opsconsole load`` runs: the load stops with it, and goes on with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.load.farside import Far
from tests.server.process import until

pytestmark = pytest.mark.timeout(120)


def _is_still(far: Far) -> bool:
    before = far.counts().requests
    time.sleep(1.0)
    return far.counts().requests == before


def test_a_suspended_run_sends_nothing(tmp_path: Path) -> None:
    with Far("good", delay=0.001) as far:
        command = [
            sys.executable, "-m", "opsconsole", "load", "rate", "100", "-d", "3s", "--dialect",
            # Not kept if the second of the suspension counted.
            "http", "--path", "/x", "-t", "goodput > 80/s", "-f", "json",
            "--url", f"http://127.0.0.1:{far.port}",
        ]  # fmt: skip
        # A session of its own would be an orphaned group, which the system never suspends.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)}, process_group=0,
        )  # fmt: skip
        until(lambda: far.counts().requests > 60, "load")
        process.send_signal(signal.SIGTSTP)
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, "a stop")
        until(lambda: _is_still(far), "the load to stop too")
        stopped = far.counts().requests
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=60)
        # What was left to send came only now: generators that went on would be through.
        assert far.counts().requests > stopped
    assert process.returncode == 0, out + err
    document = json.loads(out)
    paused, went_on = document["interventions"]
    assert paused.endswith("paused")
    assert went_on.endswith("went on")
    assert document["invalid"] == []
