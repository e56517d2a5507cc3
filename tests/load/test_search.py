"""Whole searches and stress tests against a real server, and what every face says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from opsconsole.cli.load_runs import exit_code
from opsconsole.errors import ExitCode
from opsconsole.load import LoadRun, Run, plan_for, report
from opsconsole.load.exports import export
from opsconsole.load.plan import Plan, Search, Work
from opsconsole.load.records import Conclusion, PhaseResult
from opsconsole.load.summary import sentence, summarize, verdict
from opsconsole.profile import Profile, Server
from tests.load.farside import Far
from tests.load.sample_runs import sample_run

HEALTH = Work(dialect="http", path="/health", check=0.0)


@pytest.fixture(scope="module")
def profile() -> Iterator[Profile]:
    with Far("exact", delay=0.02, size=10) as far:
        server = Server(name="far", url=f"http://127.0.0.1:{far.port}", kind="http")
        yield Profile(name="far", servers=(server,))


async def run(plan: Plan, profile: Profile) -> Run:
    load_run = LoadRun(plan, profile)
    async for _ in load_run.ticks():
        pass
    return load_run.run


def in_junit(found: Run) -> list[str]:
    """The failures and errors of the file, which must count what it holds."""
    suite = ElementTree.fromstring(export(found, "junit"))[0]
    wrong = [*suite.iter("failure"), *suite.iter("error")]
    assert int(suite.attrib["failures"]) + int(suite.attrib["errors"]) == len(wrong)
    return [each.attrib["message"] for each in wrong]


def is_a_failure(found: Run) -> None:
    """Every face says so."""
    assert verdict(found) == summarize(found).verdict == "failed"
    assert exit_code(found) is ExitCode.CRITICAL
    assert in_junit(found)
    assert export(found, "markdown").startswith("### ❌")
    assert json.loads(export(found, "json"))["verdict"] == "failed"
    assert 'class="verdict failed"' in export(found, "html")
    text = report.text(found)
    assert "× FAILED" in text
    assert "●" not in text


async def test_a_stress_test_that_not_one_client_passes_is_a_failure(profile: Profile) -> None:
    options: dict[str, Any] = {"dialect": "http", "path": "/health", "warmup": 0}
    plan = plan_for("stress", numbers=[10, 4], thresholds=("p50 < 1ms",), **options)
    found = await run(plan, profile)
    assert not found.invalid
    is_a_failure(found)
    assert sentence(found) == "FAILED: nothing held"
    assert found.conclusion is not None
    assert found.conclusion.text.startswith("not even 1 client held: p50 < 1ms")
    assert in_junit(found)[0].startswith("nothing held; not even 1 client held: p50 < 1ms")
    assert [result.phase.concurrency for result in found.phases] == [1, 1]


async def test_a_stress_test_that_holds_is_none(profile: Profile) -> None:
    options: dict[str, Any] = {"dialect": "http", "path": "/health", "warmup": 0}
    plan = plan_for("stress", numbers=[10, 2], thresholds=("p50 < 900ms",), **options)
    found = await run(plan, profile)
    assert (verdict(found), exit_code(found), in_junit(found)) == ("measured", ExitCode.OK, [])


async def test_a_search_that_only_the_generator_limits_is_invalid(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Less busy than never no generator is, however quick or slow the machine.
    monkeypatch.setattr("opsconsole.load.validity.BUSY_TIME", -1.0)
    search = Search(start=0.1, duration=0.1, warmup=0.0, arrivals="constant")
    plan = Plan(name="s", mode="search", search=search, work=HEALTH, thresholds=("p95 < 10s",))
    found = await run(plan, profile)
    assert found.conclusion is not None
    assert (found.conclusion.low, found.conclusion.high) == (None, None)
    assert "the generator was the bottleneck: " in found.conclusion.text
    assert found.invalid == ["nothing that was tried could be judged"]
    assert verdict(found) == "invalid"
    assert exit_code(found) is ExitCode.UNKNOWN
    assert len(found.phases) == 4  # each of two rates twice


def searched(low: float | None, high: float | None) -> Run:
    found = sample_run(errors=False)
    found.judgements = []
    found.plan = Plan(name="s", mode="search", search=Search())
    found.conclusion = Conclusion(text="so it was", value=low, low=low, high=high)
    return found


def test_a_search_whose_lowest_rate_breaks_is_a_failure() -> None:
    is_a_failure(searched(None, 0.05))
    for held in (searched(4.0, 5.0), searched(4.0, None)):
        assert (verdict(held), exit_code(held), in_junit(held)) == ("measured", ExitCode.OK, [])


def test_a_run_without_one_good_answer_is_a_failure() -> None:
    found = sample_run(errors=False)
    found.judgements = []
    results: list[PhaseResult] = found.phases
    for result in results:
        for totals in result.totals.values():
            totals.good = 0
    is_a_failure(found)
    assert sentence(found) == "FAILED: not one good answer"
    found.stopped = "interrupted"
    assert (verdict(found), exit_code(found)) == ("stopped", ExitCode.INTERRUPTED)
