"""Whatever is wrong with the disk, the terminal or the moment of a signal: a report is kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.bed import until
from tests.tuning.bed import LIGHT, Bed
from tests.tuning.test_restoring import on_trial

pytestmark = pytest.mark.timeout(240)
_SIGNALS_BEFORE_IT_IS_KEPT = """
import os, signal
import opsconsole.cli.tune as tune
import opsconsole.tuning.steps as steps
steps._CACHED = 1
keep = tune.keep
def late(report):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    return keep(report)
tune.keep = late
from opsconsole.cli import main
main()
"""


def test_a_file_that_cannot_be_written_and_signals_at_the_end_lose_no_report(
    bed: Bed, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    argv = ("--preset", "cache", "--budget", "4m", *LIGHT, "-o", str(gone / "report.txt"))
    process = subprocess.Popen(
        [sys.executable, "-c", _SIGNALS_BEFORE_IT_IS_KEPT, "-p", str(bed.path), "tune", *argv],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **bed.env},
    )  # fmt: skip
    until("it has begun", lambda: Path(bed.folder.spec).exists() or on_trial(bed), 60)
    shutil.rmtree(gone)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 3, out + err  # once is too seldom for a verdict
    assert "the report cannot be written" in err
    assert "Enable caching" in out
    (kept,) = (tmp_path / "state" / "opsconsole" / "tunings").iterdir()
    assert str(kept) in err
    report = json.loads(kept.read_bytes())
    assert (report["server"], report["step"]["name"]) == ("local", "Enable caching")
