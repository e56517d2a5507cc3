"""Certificates under load: whom the generator believes, and what the report says of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.load import report
from opsconsole.load.exports import export
from opsconsole.load.records import ServerFacts
from tests.certificates import Certificate, make_certificate
from tests.load.bed import CLIENTS, COUNT
from tests.load.driving import check_sums, closed, drive, setup_for, target_of
from tests.load.farside import Far
from tests.load.sample_runs import sample_run


@pytest.fixture
def made(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def far(made: Certificate) -> Iterator[Far]:
    with Far(cert=str(made.cert), key=str(made.key)) as far:
        yield far


def test_each_server_has_its_own_trust(far: Far, made: Certificate) -> None:
    setup = setup_for(
        target_of(far, "named", tls=True, ca=str(made.cert)),
        target_of(far, "unchecked", tls=True, check_tls=False),
        target_of(far, "machine", tls=True),
    )
    driven = drive(setup, closed(COUNT, CLIENTS))
    check_sums(driven)
    totals = driven.first.totals
    each = COUNT // 3
    assert (totals["named"].good, totals["unchecked"].good) == (each, each)
    assert totals["machine"].errors == {"tls": each}
    assert "certificate not trusted" in driven.examples["tls"]
    assert "ca: FILE" in driven.examples["tls"]


def load(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    # PATH and HOME of the user, but a state of its own.
    return subprocess.run(
        ["env", f"XDG_STATE_HOME={folder}", sys.executable, "-m", "opsconsole", *argv],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_url_of_the_command_line(far: Far, made: Certificate, tmp_path: Path) -> None:
    plain = ["load", "load", "4", "1", "--dialect", "http", "--path", "/x", "--warmup", "0s"]
    argv = [*plain, "--url", f"https://127.0.0.1:{far.port}"]
    done = load(tmp_path, *argv)
    assert done.returncode == 2
    assert "certificate not trusted" in done.stdout
    done = load(tmp_path, *argv, "--ca", str(made.cert))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "certificate not checked" not in done.stdout
    done = load(tmp_path, *argv, "--insecure")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "certificate not checked" in done.stdout
    for wrong, what in (
        ([*argv, "--ca", str(made.cert), "--insecure"], "contradicts"),
        ([*argv, "--ca", str(tmp_path / "gone.pem")], "No such file"),
        ([*plain, "--url", f"http://127.0.0.1:{far.port}", "--insecure"], "only an https URL"),
        ([*plain, "--insecure"], "belongs to --url"),
    ):
        done = load(tmp_path, *wrong)
        assert (done.returncode, done.stdout) == (64, "")
        assert what in done.stderr


def test_a_profiles_trust_reaches_the_generator(
    far: Far, made: Certificate, tmp_path: Path
) -> None:
    profile = tmp_path / "p.yaml"
    for tls, said in (("{ca: server.pem}", False), ("{verify: false}", True)):
        profile.write_text(
            f"name: p\nservers:\n  - name: far\n    url: https://127.0.0.1:{far.port}\n"
            f"    kind: http\n    tls: {tls}\n"
        )
        argv = ["load", "load", "4", "1", "--dialect", "http", "--path", "/x"]
        done = load(tmp_path, "-p", str(profile), *argv)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("certificate not checked" in done.stdout) is said


def test_every_report_says_that_nobody_looked() -> None:
    run = sample_run()
    run.servers = {"alpha": ServerFacts(url="https://h:1", certificate="not checked")}
    assert "https://h:1 · certificate not checked" in report.text(run)
    assert "certificate not checked" in export(run, "html")
    assert "Certificate not checked: alpha" in export(run, "markdown")
    assert '"certificate": "not checked"' in export(run, "json")
