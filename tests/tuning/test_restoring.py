"""What was there is there again: after the end, a failure, a signal, and a kill -9."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from opsconsole import daemon
from opsconsole.daemon.leftovers import tuning_journal
from opsconsole.daemon.states import DaemonState
from opsconsole.errors import OpsError
from opsconsole.tuning import Event, Request, Trial, Tuning, left_behind, restore
from opsconsole.tuning.before import hold, look, put_back, write_journal
from tests.daemon.bed import until
from tests.tuning.bed import LIGHT, Bed

RESTORE = "opsconsole tune --restore local"
pytestmark = pytest.mark.timeout(240)


def on_trial(bed: Bed) -> bool:
    """Whether a server runs whose settings are not those of the profile."""
    try:
        return "BATCH_SIZE" in bed.folder.read_spec().env
    except (OSError, ValueError):
        return False


def test_one_that_ran_runs_again_with_what_it_had(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_SIZE", "8")  # as in `BATCH_SIZE=8 opsconsole start`
    before = daemon.start(bed.profile, bed.server)
    monkeypatch.delenv("BATCH_SIZE")
    for name, value in (("DTYPE", "float32"), ("OMP_NUM_THREADS", "1")):
        monkeypatch.setenv(name, value)  # in the shell of whoever tunes
    environ, spec = bed.environ(before.pid), bed.folder.read_spec()
    found, started = look(bed.profile, bed.server)
    assert found.running
    assert found.environ["BATCH_SIZE"] == "8"
    write_journal(bed.folder, found)
    assert left_behind(bed.profile, bed.server)

    assert "running again" in put_back(bed.profile, bed.server, found, started)
    after = daemon.status(bed.profile, bed.server)
    assert after.ready
    assert after.pid != before.pid
    assert bed.environ(after.pid) == environ
    assert bed.folder.read_spec() == spec
    assert not left_behind(bed.profile, bed.server)


def test_one_that_was_stopped_is_stopped_again(bed: Bed) -> None:
    assert look(bed.profile, bed.server)[0].running is False
    daemon.start(bed.profile, bed.server)
    daemon.stop(bed.profile, bed.server)
    state = Path(bed.folder.state).read_bytes()
    found, started = look(bed.profile, bed.server)
    daemon.start(bed.profile, bed.server)
    assert "stopped again" in put_back(bed.profile, bed.server, found, started)
    assert daemon.status(bed.profile, bed.server).state is DaemonState.STOPPED
    assert Path(bed.folder.state).read_bytes() == state


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_puts_everything_back(bed: Bed, number: int) -> None:
    running = number == signal.SIGTERM
    before = daemon.start(bed.profile, bed.server) if running else None
    spec = bed.folder.read_spec() if running else None
    process = bed.tune("--only", "BATCH_SIZE", "--budget", "4m", *LIGHT)
    until("a trial", lambda: on_trial(bed), 120)
    process.send_signal(signal.SIGTSTP)  # Ctrl-Z: it must not stay on trial
    process.send_signal(number)
    process.send_signal(number)  # an impatient one
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "not suspended: the daemon is on trial" in err
    assert "STOPPED: interrupted" in out
    after = daemon.status(bed.profile, bed.server)
    if before is not None:
        assert after.ready
        assert bed.folder.read_spec() == spec
    else:
        assert after.state is DaemonState.STOPPED
        assert not Path(bed.folder.spec).exists()
    assert not left_behind(bed.profile, bed.server)
    records = (Path(os.environ["XDG_STATE_HOME"]) / "opsconsole/audit.jsonl").read_text()
    last = json.loads(records.splitlines()[-1])
    assert (last["action"], last["target"], last["outcome"]) == ("server.tune", "local", "stopped")


def test_after_a_kill_the_journal_tells_what_was_there(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = {"OMP_NUM_THREADS": "1", "HF_TOKEN": "hf-of-the-shell"}
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    before = daemon.start(bed.profile, bed.server)
    for name in shell:
        monkeypatch.delenv(name)
    environ, spec = bed.environ(before.pid), bed.folder.read_spec()
    process = bed.tune("--only", "BATCH_SIZE", "--budget", "4m", *LIGHT)
    until("a trial", lambda: on_trial(bed), 120)
    assert "another tuning is at work" in bed("--restore", "local", code=2)
    assert f"process {process.pid}" in bed(code=2)
    told = bed.opsconsole("status", "local")
    at_work = f"a tuning is at work: process {process.pid}"
    assert at_work in told.stdout
    assert "killed" not in told.stdout
    assert told.returncode != 0
    (found,) = json.loads(bed.opsconsole("status", "--json", "local").stdout)
    assert found["at_work"] == at_work
    assert at_work in bed.opsconsole("--check").stdout
    process.kill()
    process.communicate(timeout=60)
    assert left_behind(bed.profile, bed.server)
    until("the trial's server is ready", lambda: daemon.status(bed.profile, bed.server).ready, 60)
    for verb in ("status", "start"):
        assert f"a tuning was killed: {RESTORE}" in bed.opsconsole(verb, "local").stdout, verb
    assert bed.opsconsole("status", "local").returncode == 1
    assert RESTORE in bed.opsconsole("--check").stdout
    journal = Path(tuning_journal(bed.folder))
    assert "hf-of-the-shell" not in journal.read_text()
    assert journal.stat().st_mode & 0o077 == 0

    said = bed("--restore", "local", code=0, BATCH_SIZE="4")
    assert "running again as before" in said
    assert "without" not in said  # the trial's server had the secret
    after = daemon.status(bed.profile, bed.server)
    assert after.ready
    assert bed.folder.read_spec() == spec
    assert bed.environ(after.pid) == environ
    assert "killed" not in bed.opsconsole("status", "local").stdout
    assert "no tuning left anything" in bed("--restore", "local", code=0)


def test_a_secret_that_is_nowhere_any_more_is_named(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf-of-the-shell")
    daemon.start(bed.profile, bed.server)
    monkeypatch.delenv("HF_TOKEN")
    found, _ = look(bed.profile, bed.server)
    with hold(bed.profile, bed.server):
        write_journal(bed.folder, found)
    daemon.stop(bed.profile, bed.server)
    assert "but without HF_TOKEN" in (restore(bed.profile, bed.server) or "")
    assert daemon.status(bed.profile, bed.server).ready


def test_what_an_operator_decides_after_a_kill_holds(bed: Bed) -> None:
    found, _ = look(bed.profile, bed.server)  # stopped
    daemon.start(bed.profile, bed.server)

    def leave() -> None:
        with hold(bed.profile, bed.server):
            write_journal(bed.folder, found)

    leave()
    assert RESTORE in bed.opsconsole("start", "local").stdout  # runs on: nothing is decided
    assert left_behind(bed.profile, bed.server)
    assert "killed" not in bed.opsconsole("restart", "local").stdout
    assert not left_behind(bed.profile, bed.server)
    leave()
    assert "killed" not in bed.opsconsole("restart", "--rolling", "local").stdout
    assert not left_behind(bed.profile, bed.server)
    leave()
    assert "killed" not in bed.opsconsole("stop", "local").stdout
    assert not left_behind(bed.profile, bed.server)
    leave()
    assert RESTORE in bed.opsconsole("status", "local").stdout
    assert "killed" not in bed.opsconsole("start", "local").stdout
    assert daemon.status(bed.profile, bed.server).ready
    assert not left_behind(bed.profile, bed.server)


def test_the_next_tuning_puts_it_back_too(bed: Bed) -> None:
    found, _ = look(bed.profile, bed.server)  # stopped
    with hold(bed.profile, bed.server):
        write_journal(bed.folder, found)
    daemon.start(bed.profile, bed.server)
    out = bed("--preset", "cache", "--budget", "4m", *LIGHT, code=(0, 3), brief=1)
    assert "an earlier tuning was killed" in out
    assert daemon.status(bed.profile, bed.server).state is DaemonState.STOPPED


def test_what_is_told_may_fail_and_the_daemon_is_put_back(bed: Bed) -> None:
    class Gone(Exception):
        pass

    def tell(event: Event) -> None:
        if isinstance(event, Trial):
            raise Gone

    import asyncio

    tuning = Tuning(bed.profile, bed.server, Request(budget=60.0))
    with pytest.raises(Gone):
        asyncio.run(tuning.run(tell))
    assert daemon.status(bed.profile, bed.server).state is DaemonState.STOPPED
    assert restore(bed.profile, bed.server) is None


def test_a_damaged_journal_is_said(bed: Bed) -> None:
    with hold(bed.profile, bed.server):
        Path(bed.folder.path, "tune.json").write_text('{"profile"')
    with pytest.raises(OpsError, match="cannot be read"):
        restore(bed.profile, bed.server)


def test_a_stranger_on_the_port_is_left_alone(bed: Bed) -> None:
    with socket.create_server(("127.0.0.1", bed.port)):
        assert "foreign" in bed(code=2)
    assert not left_behind(bed.profile, bed.server)


def test_a_server_that_fails_is_not_tuned(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_PARALLEL_REQUESTS", "nonsense")
    begin = time.monotonic()
    assert "MAX_PARALLEL_REQUESTS" in bed(code=64)
    assert time.monotonic() - begin < 60
    assert not left_behind(bed.profile, bed.server)


def test_a_server_that_dies_under_load_is_a_failure_with_its_reason(bed: Bed) -> None:
    process = bed.tune(*LIGHT, "--budget", "4m")
    pid = until("a server", lambda: daemon.status(bed.profile, bed.server).pid, 60)
    until("it is ready", lambda: daemon.status(bed.profile, bed.server).ready, 60)
    os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 2, out + err
    assert "cannot be measured" in err
    assert "SIGKILL" in err
    assert daemon.status(bed.profile, bed.server).state is DaemonState.STOPPED
    assert not left_behind(bed.profile, bed.server)
