"""Whatever is wrong with the terminal, the pipe or the disk: what was measured is not lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from opsconsole.errors import ExitCode
from tests.cli.test_load import Bed
from tests.load.farside import Far
from tests.server.process import until

pytestmark = pytest.mark.timeout(120)
_FEW = ("load", "5", "1", "--warmup", "0s")


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    with Far("good", delay=0.02) as far:
        yield far


@pytest.fixture
def bed(far: Far, tmp_path: Path) -> Bed:
    return Bed(tmp_path, far)


def stored(bed: Bed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bed("list", "--json"))
    return found


def shell(bed: Bed, script: str, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``script`` in bash, in which ``"$@"`` is the command."""
    return subprocess.run(
        ["bash", "-c", script, "-", *bed.command(*argv)],
        capture_output=True, text=True, check=False, timeout=100, stdin=subprocess.DEVNULL,
        env={**os.environ, **bed.env, **env},
    )  # fmt: skip


def test_where_nothing_can_be_written_nothing_is_begun(bed: Bed, far: Far, tmp_path: Path) -> None:
    before = far.counts().requests
    assert "nothing can be written there" in bed(*_FEW, "-o", "/nonexistent/r.txt", code=64)
    assert "nothing can be written there" in bed(*_FEW, "-o", f"{bed.profile}/r.txt", code=64)
    assert far.counts().requests == before
    bed(*_FEW, "-o", str(tmp_path / "r.txt"))
    assert "5 good" in (tmp_path / "r.txt").read_text()
    bed(*_FEW, "-o", "/dev/null")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_report_that_finds_no_room_costs_only_itself(bed: Bed) -> None:
    done = shell(bed, '"$@" > /dev/full', *_FEW)
    assert done.returncode == ExitCode.WARNING, done.stderr
    assert "the report cannot be written: No space left" in done.stderr
    assert "Traceback" not in done.stderr
    # What is broken for certain is told by the exit code all the same.
    assert shell(bed, '"$@" > /dev/full', *_FEW, "-t", "p50 < 1us").returncode == ExitCode.CRITICAL
    assert shell(bed, '"$@" > /dev/full', "show").returncode == ExitCode.WARNING
    assert len(stored(bed)) == 2


def test_a_reader_that_is_gone_costs_nothing(bed: Bed) -> None:
    done = shell(bed, '"$@" | true; exit ${PIPESTATUS[0]}', *_FEW)
    assert (done.returncode, done.stderr) == (0, "")
    closed = shell(bed, '"$@" >&-', *_FEW)
    assert closed.returncode == ExitCode.WARNING, closed.stderr
    assert "Traceback" not in closed.stderr
    assert len(stored(bed)) == 2


def test_a_full_disk_costs_only_the_record(bed: Bed) -> None:
    done = shell(bed, 'ulimit -f 0; "$@"', *_FEW)
    assert done.returncode == ExitCode.WARNING
    assert "5 good" in done.stdout
    assert "cannot be stored" in done.stderr


def test_a_terminal_that_shows_only_ascii_loses_nothing(bed: Bed) -> None:
    bed.profile.write_text(
        bed.profile.read_text().replace("{name: smoke,", "{name: smoke, model: é,")
    )
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    for format_ in ("text", "markdown", "json", "junit", "html"):
        done = shell(bed, '"$@"', "smoke", "-f", format_, **ascii_only)
        assert done.returncode == 0, done.stderr
        if format_ == "junit":
            assert ElementTree.fromstring(done.stdout) is not None
        if format_ == "json":
            assert json.loads(done.stdout)["plan"]["work"]["model"] == "é"
    assert len(stored(bed)) == 5


def begun(bed: Bed, far: Far, *argv: str, **how: Any) -> subprocess.Popen[str]:
    """A long run under way."""
    before = far.counts().requests
    process = subprocess.Popen(
        bed.command("rate", "50", "-d", "60s", "--warmup", "0s", *argv),
        text=True, env={**os.environ, **bed.env}, **how,
    )  # fmt: skip
    until(lambda: far.counts().requests > before + 60, "load", 30)
    return process


_PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}


def test_two_interrupts_end_it_at_once_and_lose_nothing(tmp_path: Path) -> None:
    with Far("exact", delay=30.0) as far:
        bed = Bed(tmp_path, far)
        process = begun(bed, far, "--timeout", "50s", **_PIPES)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)  # two at the same time are one
        process.send_signal(signal.SIGINT)
        # Far sooner than what is in flight would take, or be waited for.
        out, err = process.communicate(timeout=25)
        assert process.returncode == ExitCode.INTERRUPTED, err
        assert "interrupted" in out
        assert "Traceback" not in err
        assert len(stored(bed)) == 1


def test_a_terminal_that_is_closed_ends_and_stores_it(bed: Bed, far: Far) -> None:
    master, slave = os.openpty()
    process = begun(
        bed, far, stdin=slave, stdout=slave, stderr=slave, preexec_fn=lambda: os.login_tty(0)
    )
    os.close(slave)
    os.close(master)
    process.send_signal(signal.SIGHUP)  # the shell says so too
    assert process.wait(30) == ExitCode.INTERRUPTED
    [run] = stored(bed)
    assert run["verdict"] == "stopped"
    assert run["requests"] > 50


def test_nohup_bears_a_closed_terminal(bed: Bed, far: Far) -> None:
    ignore = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    code = ignore + "os.execv(sys.argv[1], sys.argv[1:])"
    before = far.counts().requests
    process = subprocess.Popen(
        [sys.executable, "-c", code, *bed.command("rate", "50", "-d", "60s")],
        text=True, env={**os.environ, **bed.env}, **_PIPES,
    )  # fmt: skip
    until(lambda: far.counts().requests > before + 60, "load", 30)
    process.send_signal(signal.SIGHUP)
    so_far = far.counts().requests
    until(lambda: far.counts().requests > so_far + 30, "it to go on", 30)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
