"""Two processes that load one server: each can know of the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opsconsole import paths
from opsconsole.load.beside import announced, others

URL = "http://127.0.0.1:1"
_CODE = (
    "import sys\n"
    "from opsconsole.load.beside import announced\n"
    "with announced(sys.argv[2:], sys.argv[1]):\n"
    "    print('told', flush=True)\n"
    "    sys.stdin.read()\n"
)

pytestmark = pytest.mark.usefixtures("own_folders")


@contextmanager
def somebody(plan: str, *urls: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that loads ``urls``."""
    with subprocess.Popen(
        [sys.executable, "-c", _CODE, plan, *urls], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "told\n"
        try:
            yield process
        finally:
            if process.poll() is None:
                process.communicate()


def notes() -> list[Path]:
    return list((paths.state_dir() / "load-tests-under-way").iterdir())


def test_another_process_that_loads_a_server_is_known_until_it_ends() -> None:
    assert others([URL]) == []
    with somebody("soak", URL, "http://127.0.0.1:2") as process:
        assert others([URL, "http://127.0.0.1:3"]) == [(process.pid, "soak", (URL,))]
        assert others(["http://127.0.0.1:3"]) == []
    assert others([URL]) == []
    assert notes() == []


def test_one_that_was_killed_is_not_taken_for_one_that_lives() -> None:
    with somebody("soak", URL) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(notes()) == 1
    assert others([URL]) == []
    assert notes() == []


def test_ones_own_is_not_another() -> None:
    with announced([URL], "mine"):
        assert others([URL]) == []
        assert len(notes()) == 1
    assert notes() == []


def test_a_folder_that_cannot_be_written_stops_nothing(own_folders: Path) -> None:
    paths.private_dir(paths.state_dir())
    (paths.state_dir() / "load-tests-under-way").write_text("no folder")
    with announced([URL], "mine"):
        assert others([URL]) == []
