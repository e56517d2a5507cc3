"""A failover test that ends without a word: what it left away is told, and put back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.balancer.away import begin, forget, remarks
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.holding import hold_daemon
from opsconsole.errors import OpsError
from opsconsole.profile import Profile, load
from tests.balancer.bed import needs_nginx
from tests.balancer.duo import Bed
from tests.server.process import until

pytestmark = [needs_nginx, pytest.mark.timeout(300), pytest.mark.xdist_group("failover")]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    made = Bed(tmp_path_factory.mktemp("away"))
    try:
        done = made("start")
        assert done.returncode == 0, done.stdout + done.stderr
        yield made
    finally:
        made("stop")


@pytest.fixture
def bed(started: Bed, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """The daemons, for this process too."""
    monkeypatch.setenv("XDG_STATE_HOME", started.env["XDG_STATE_HOME"])
    return started


@pytest.fixture
def profile(bed: Bed) -> Profile:
    return load(str(bed.profile))


def killed_while_away(bed: Bed) -> None:
    """A failover test, killed when it has drained r1; while it is at work it is alone."""
    command = bed.command("load", "failover", "-q", "--settle", "1s", "--rate", "30",
                          "--documents", "1", "--fail-timeout", "20s")  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=bed.env,
        stdin=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            until(lambda: bed.state("r1") == "stopped", "r1 to be drained")
            at_work = f"failover test is at work: process {process.pid}"
            told = bed("status")
            assert f"r1: away for a while: a {at_work}" in told.stderr
            assert told.stdout.count(at_work) == 2  # the other one's turn comes
            for argv in (("load", "failover"), ("load", "failover", "--restore")):
                refused = bed(*argv)
                assert refused.returncode == 2
                assert f"another {at_work}" in refused.stderr
            tuning = bed("tune", "--daemon", "r2", "--budget", "30s")
            assert tuning.returncode == 2
            assert f"r2: a {at_work}" in tuning.stderr
        finally:
            os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    told = bed("status")
    assert told.returncode == 2
    assert told.stderr == (
        "r1: left away by a failover test; back with: opsconsole load failover --restore\n"
    )
    assert bed.daemons()["r1"]["state"] == "stopped"


def test_after_a_kill_it_is_said_and_put_back_when_asked(bed: Bed) -> None:
    killed_while_away(bed)
    done = bed("load", "failover", "--restore")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "r1: running again\n"
    assert {each["state"] for each in bed.daemons().values()} == {"running"}
    assert bed("status").stderr == ""
    again = bed("load", "failover", "--restore")
    assert "duo: no failover test left anything behind" in again.stdout
    audit = bed("audit").stdout
    stopped = re.search(r"server\.stop +duo/r1 +stopped .*failover test", audit)
    back = re.search(r"server\.start +duo/r1 +running .*failover test", audit)
    assert stopped, audit
    assert back, audit
    assert stopped.start() < back.start()


def test_the_next_failover_test_begins_with_it(bed: Bed) -> None:
    killed_while_away(bed)
    done = bed("load", "failover", "--only-load", "--rate", "10", "--settle", "1s",
               "--documents", "1", "-q")  # fmt: skip
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "an earlier failover test was killed: starting r1 again" in done.stderr
    assert "r1: running again" in done.stderr
    assert bed("status").stderr == ""


def test_what_an_operator_decides_since_then_holds(bed: Bed, profile: Profile) -> None:
    with begin(profile) as journal:
        journal.away("r1")
        journal.away("r2")
        forget(profile, profile.servers[0])  # it is at work, and will put everything back
    assert len(remarks(profile, ["r1", "r2"])) == 2
    assert bed("stop", "r1").returncode == 0
    told = bed("status")
    assert told.stderr == ""  # r1 was stopped on purpose, and r2 runs
    assert bed("start", "r1").returncode == 0
    done = bed("load", "failover", "--restore")
    assert done.stdout == "r2: it runs already\n"
    assert list(Path(bed.env["XDG_STATE_HOME"]).rglob(".failover.json")) == []


def test_a_daemon_that_is_tuned_is_not_taken_away(bed: Bed, profile: Profile) -> None:
    before = bed.daemons()
    server = profile.servers[1]
    with hold_daemon(folder_of(profile, server), "tuning", server.name):
        done = bed("load", "failover", "-q")
    assert done.returncode == 2
    assert f"r2: a tuning is at work: process {os.getpid()}" in done.stderr
    assert bed.daemons() == before


def test_what_cannot_be_started_stays_written_down(bed: Bed, profile: Profile) -> None:
    with begin(profile) as journal:
        journal.away("r1")
        journal.away("gone")
    server = profile.servers[0]
    with hold_daemon(folder_of(profile, server), "tuning", server.name):
        done = bed("load", "failover", "--restore")
    assert done.returncode == 2
    assert "r1: a tuning is at work" in done.stderr
    done = bed("load", "failover", "--restore")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "r1: it runs already", "gone: no daemon of this profile any more, left as it is"
    ]  # fmt: skip
    with begin(profile) as journal:
        assert journal.names == ("gone",)
        journal.back("gone")


def test_a_damaged_journal_is_said_and_status_goes_on(bed: Bed, profile: Profile) -> None:
    with begin(profile) as journal:
        journal.away("r1")
    (path,) = Path(bed.env["XDG_STATE_HOME"]).rglob(".failover.json")
    path.write_text('{"profile"')
    try:
        told = bed("status")
        assert told.returncode == 0
        assert "r2" in told.stdout
        assert ".failover.json: cannot be read" in told.stderr
        assert bed("load", "failover").returncode == 2
        with pytest.raises(OpsError, match="cannot be read"):
            begin(profile)
    finally:
        path.unlink()
    with begin(profile):  # and no lock was left behind
        pass
