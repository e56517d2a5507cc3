"""``opsconsole load`` as a user runs it, against a real server in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.load.farside import Far
from tests.load.test_beside import somebody
from tests.server.process import until

pytestmark = pytest.mark.timeout(120)


class Bed:
    """A profile over one fast server, and state of its own."""

    def __init__(self, folder: Path, far: Far, environment: str = "development") -> None:
        self.profile = folder / "bed.yaml"
        self.profile.write_text(
            f"name: bed\nenvironment: {environment}\n"
            "defaults: {kind: http, service_level: {p95: 2s, success_rate: 99%}}\n"
            f"servers: [{{name: far, url: 'http://127.0.0.1:{far.port}'}}]\n"
            "loads:\n  - {name: smoke, mode: rate, rate: 100/s, duration: 1s, arrivals: poisson}\n"
        )
        self.env = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder)}

    def command(self, *argv: str) -> list[str]:
        fleet = () if "--url" in argv else ("-p", str(self.profile))
        return [sys.executable, "-m", "opsconsole", *fleet, "load", *argv]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*argv), capture_output=True, text=True, check=False, timeout=100,
            env={**os.environ, **self.env}, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def __call__(self, *argv: str, code: int = 0) -> str:
        done = self.run(*argv)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    with Far("good", delay=0.02) as far:
        yield far


@pytest.fixture(scope="module")
def bed(far: Far, tmp_path_factory: pytest.TempPathFactory) -> Bed:
    return Bed(tmp_path_factory.mktemp("load"), far)


def test_the_checklists_line_works_as_it_is_written(bed: Bed, far: Far) -> None:
    before = far.counts()
    text = bed("load", "100", "4")
    assert "PASSED" in text
    assert "100 good" in text
    # Five more warm up, and are in no figure.
    assert far.counts().requests - before.requests == 105


def test_a_load_test_of_another_process_is_told_of(
    bed: Bed, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", bed.env["XDG_STATE_HOME"])
    url = f"http://127.0.0.1:{far.port}"
    with somebody("soak", url) as other:
        words = f"process {other.pid} runs the load test soak on it now"
        assert f"opsconsole: far: {words}; the figures" in bed.run("load", "5", "1").stderr
        assert words in bed.run("load", "5", "1", "--url", url, "--path", "/health").stderr
    assert "on it now" not in bed.run("load", "5", "1").stderr


def test_a_plan_of_the_profile_is_stored_listed_shown_and_exported(
    bed: Bed, tmp_path: Path
) -> None:
    bed("smoke")
    listed = json.loads(bed("list", "--json"))
    (smoke,) = [run for run in listed if run["plan"] == "smoke"]
    assert smoke["verdict"] == "passed"
    assert 60 < smoke["requests"] < 150
    assert "100/s Poisson" in bed("show", "smoke")
    document = json.loads(bed("export", "smoke", "-f", "json"))
    assert document["id"] == smoke["id"]
    suite = ElementTree.fromstring(bed("export", "smoke", "-f", "junit"))
    assert suite.iter("testcase")
    assert "<svg" in bed("export", "smoke", "-f", "html")
    page, lines = tmp_path / "smoke.html", tmp_path / "smoke.txt"
    bed("export", "smoke", "-o", str(page))  # by its ending
    assert "<svg" in page.read_text()
    bed("export", "smoke", "-o", str(lines))
    assert json.loads(lines.read_text())["id"] == smoke["id"]


def test_a_broken_threshold_is_critical_and_an_unknown_one_a_mistake(bed: Bed) -> None:
    assert "FAILED" in bed("load", "20", "2", "-t", "p50 < 100us", code=2)
    assert "did you mean 'p99'" in bed("load", "20", "2", "-t", "p9 < 1s", code=64)


def test_comparing_with_a_baseline_gates(bed: Bed) -> None:
    plan = ["rate", "100", "-d", "9s", "--fail-if-worse", "20%"]
    assert "no run to compare with" in bed(*plan, code=64)
    bed(*plan[:4])
    assert "is the baseline of rate" in bed("baseline", "rate")
    again = bed.run(*plan)
    assert "throughput" in again.stdout
    assert "no difference" in again.stdout
    # Whether the same server is slower the second time is this machine's matter.
    worse = "worse than allowed" in again.stderr
    told = "cannot be told" not in again.stderr
    assert again.returncode == (2 if worse else 0 if told else 3), again.stdout + again.stderr


def test_an_interrupt_reports_what_was_measured(bed: Bed, far: Far) -> None:
    before = far.counts().requests
    argv = bed.command("rate", "50", "-d", "60s")
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **bed.env},
    )  # fmt: skip
    state = Path(bed.env["XDG_STATE_HOME"])
    until(lambda: far.counts().requests > before + 100, "load to report on", 30)
    assert _generators(process.pid)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 130, text
    assert "interrupted" in text
    assert "good" in text
    assert any(state.rglob("summary.json"))
    assert not _generators(process.pid)


def _generators(parent: int) -> list[int]:
    import psutil

    try:
        children = psutil.Process(parent).children(recursive=True)
        return [c.pid for c in children if "opsconsole.load.generator" in c.cmdline()]
    except psutil.Error:
        return []


def test_a_server_that_is_not_there_fails_and_is_not_invalid(bed: Bed) -> None:
    text = bed("load", "5", "--url", "http://127.0.0.1:9", code=2)
    assert "refused" in text
    assert "INVALID" not in text


def test_production_is_loaded_only_when_it_is_said(far: Far, tmp_path: Path) -> None:
    production = Bed(tmp_path, far, "production")
    before = far.counts().requests
    said = production("rate", "50", "-d", "10m", "--times", "3", code=64)
    assert "production" in said
    assert "3 runs take 30m; Ctrl-C ends it earlier, and what was measured is kept" in said
    assert far.counts().requests == before
    production("load", "5", "1", "--yes")
    assert far.counts().requests > before
