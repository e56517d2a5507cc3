"""What a tuning that was killed has left is told of its daemon; one that is at work is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from opsconsole.daemon.holding import hold_daemon
from opsconsole.daemon.leftovers import forget_tuning, tuning_journal
from tests.daemon.bed import Daemon

_TUNES = """
import sys
from opsconsole.daemon.folder import Folder
from opsconsole.daemon.holding import hold_daemon
with hold_daemon(Folder(sys.argv[1]), "tuning", "odd"):
    open(sys.argv[1] + "/tune.json", "w").close()
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_a_killed_tuning_is_told_until_its_journal_is_gone(daemon: Daemon) -> None:
    healthy = daemon.start()
    assert (healthy.left_behind, healthy.remedy) == ("", "")
    process = subprocess.Popen(
        [sys.executable, "-c", _TUNES, daemon.folder.path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        found = daemon.status()
        assert found.left_behind == ""
        assert found.at_work == f"a tuning is at work: process {process.pid}"
        assert found.remarks.startswith(found.at_work)
        process.kill()
        process.wait()
    for found in (daemon.status(), daemon.start(), daemon.stop()):
        assert found.left_behind == "a tuning was killed"
        assert found.remedy == "opsconsole tune --restore odd"
        assert found.at_work == ""
    assert found.remarks.startswith("a tuning was killed: opsconsole tune --restore odd")
    with hold_daemon(daemon.folder, "tuning", "odd"):  # whoever puts it back
        assert daemon.status().left_behind == ""
        assert not forget_tuning(daemon.folder, "odd")
    assert Path(tuning_journal(daemon.folder)).exists()
    assert forget_tuning(daemon.folder, "odd")
    assert daemon.status().left_behind == ""
