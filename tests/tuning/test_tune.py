"""``opsconsole tune`` as a user runs it, on a real daemon."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from opsconsole import daemon
from opsconsole.daemon.states import DaemonState
from opsconsole.load.plan import Lengths, Work
from opsconsole.tuning import Event, Request, Trial, Tuning, as_json, ladder, sweep
from opsconsole.tuning.report import text
from tests.tuning.bed import LIGHT, Bed

pytestmark = pytest.mark.timeout(240)
WORK = Work(documents=Lengths("fixed", 2), document_tokens=Lengths("fixed", 10))


def test_a_sweep_measures_confirms_and_says_what_did_not_come_up(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Short runs, and one pair of them for the confirmation: it ends long before its budget, which
    # is for the slowest machine.
    for name, value in (("SHORTEST", 1.0), ("LONGEST", 1.5), ("FEWEST_REPETITIONS", 1),
                        ("_MOST_REPETITIONS", 1)):  # fmt: skip
        monkeypatch.setattr(ladder, name, value)
    monkeypatch.setattr(sweep, "FIRST_SECONDS", 1.0)
    monkeypatch.setattr(sweep, "SHORTEST", 1.0)
    monkeypatch.setattr(sweep, "FEWEST_REPETITIONS", 1)
    events: list[Event] = []
    budget = 180.0
    request = Request(
        budget=budget, clients=2, work=WORK, only=("BATCH_SIZE", "MAX_QUEUE_SIZE"),
        values={"BATCH_SIZE": ("2",), "MAX_QUEUE_SIZE": ("nonsense",)},
    )  # fmt: skip
    report = asyncio.run(Tuning(bed.profile, bed.server, request).run(events.append))
    assert [e for e in events if isinstance(e, Trial)] == list(report.trials)
    assert report.was["BATCH_SIZE"] == "32"
    assert report.was["MAX_QUEUE_SIZE"] == "32"
    measured = [trial for trial in report.trials if trial.state == "measured"]
    assert {tuple(t.settings) for t in measured} >= {(), ("BATCH_SIZE",)}
    for trial in report.trials:
        if trial.settings.get("MAX_QUEUE_SIZE") == "nonsense":
            assert trial.state == "failed"
            assert "MAX_QUEUE_SIZE" in trial.reason
    found = report.recommendation
    assert found is not None
    assert found.evidence is not None
    assert found.evidence.repetitions >= 1
    assert found.evidence.before.requests > 10
    assert report.seconds < budget + 30  # the restoring is not in the budget
    assert daemon.status(bed.profile, bed.server).state is DaemonState.STOPPED
    document = json.loads(as_json(report))
    assert document["recommendation"]["evidence"]["changes"][0]["metric"] == "rate"
    for width in (80, 120):
        assert max(map(len, text(report, width=width).splitlines())) <= width
    assert "as it was" in text(report)
    assert text(report, unicode=False).isascii()


def test_the_step_of_the_cache_is_judged(bed: Bed, tmp_path: Path) -> None:
    before = daemon.start(bed.profile, bed.server)
    report = tmp_path / "report.json"
    bed("--daemon", "local", "--preset", "cache", "--budget", "4m", "--json", "-o", str(report),
        *LIGHT, code=0, brief=3)  # fmt: skip
    step = json.loads(report.read_text())["step"]
    assert step["settings"] == {"ENABLE_PREDICTION_CACHE": "true"}
    assert [condition["passed"] for condition in step["conditions"]] == [True, True]
    after = daemon.status(bed.profile, bed.server)
    assert after.ready
    assert after.pid != before.pid


def test_the_step_of_the_queue_fills_it(bed: Bed) -> None:
    options = ("--preset", "queue", "--budget", "4m", "--p95", "10s", *LIGHT)
    out = bed(*options, "-c", "4", code=64)
    assert "4 clients never fill a queue of 32, with 4 in the engine" in out
    assert not Path(bed.folder.spec).exists()  # nothing was touched
    out = bed(*options, code=(0, 2, 3), brief=1)
    assert "MAX_QUEUE_SIZE=64" in out
    assert "68 clients" in out
    assert "fewer rejected" in out


def test_a_time_too_short_says_so(bed: Bed) -> None:
    out = bed("--budget", "30s", "--only", "BATCH_SIZE", code=64)
    assert "too short" in out
    assert daemon.status(bed.profile, bed.server).state is DaemonState.STOPPED


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--daemon", "far"), "not a daemon of this machine"),
        (("--daemon", "loca"), "did you mean 'local'"),
        (("--budget", "5s"), "30s or more"),
        (("--budget", "10"), "expected a duration"),
        (("--only", "BATCHSIZE"), "is not tuned"),
        (("--set", "BATCH_SIZE=0"), "BATCH_SIZE"),
        (("--preset", "cache", "--only", "DTYPE"), "alone"),
        (("--load", "nightly"), "no load test"),
        (("--p95", "fast"), "--p95"),
        (("-o", "/nonexistent/report.txt"), "nothing can be written there"),
    ],
)
def test_mistakes(bed: Bed, argv: tuple[str, ...], words: str) -> None:
    assert words in bed(*argv, code=64)
    assert not Path(bed.folder.path).exists()


def test_production_asks(tmp_path: Path) -> None:
    assert "is production" in Bed(tmp_path, "production")(code=64)


def test_the_help_says_what_happens_after_a_kill(bed: Bed) -> None:
    assert "--restore NAME" in bed("--help", code=0)
