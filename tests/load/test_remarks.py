"""What a report says of the figures: which answers were checked, and requests in parts."""

from __future__ import annotations

import json

import msgspec
import pytest

from opsconsole.load.comparable import notes
from opsconsole.load.exports import export
from opsconsole.load.plan import Lengths, Work
from opsconsole.load.records import Client, PhaseResult, Run, ServerFacts, Totals
from opsconsole.load.remarks import remarks
from opsconsole.load.report import text
from opsconsole.load.summary import nothing_held
from tests.load.sample_runs import sample_run


def run_of(work: Work, totals: Totals, facts: ServerFacts | None = None) -> Run:
    run = sample_run(seconds=1)
    run.plan = msgspec.structs.replace(run.plan, work=work)
    phase = next(one.phase for one in run.phases if one.phase.measured)
    run.phases = [PhaseResult(phase=phase, seconds=5.0, totals={"a": totals}, client=Client())]
    run.servers = {"a": facts or ServerFacts(url="http://a")}
    return run


def of(good: int, checked: int, wrong: int) -> Totals:
    errors = {"wrong answer: indices": wrong} if wrong else {}
    return Totals(ended=good + wrong, good=good, errors=errors, checked=checked)


@pytest.mark.parametrize(
    ("totals", "told"),
    [
        (of(300, 300, 0), []),
        (of(297, 300, 3), []),
        (of(300, 0, 0), ["answers were not checked: what counts as good may be wrong"]),
        (of(300, 3, 0), ["3 of 300 answers were checked, and were right"]),
        (
            of(297, 3, 3),
            [
                "3 of 3 checked answers were wrong; 3 of 300 were checked, and the others count as "
                "good in the same proportion"
            ],
        ),
    ],
)
def test_what_was_checked_is_told(totals: Totals, told: list[str]) -> None:
    assert remarks(run_of(Work(), totals)) == told
    assert remarks(run_of(Work(dialect="http", path="/"), totals)) == []


PARTS = (
    "a: requests of at most 4 documents: its batch limit; a larger one is several requests, and a "
    "latency that of one"
)


@pytest.mark.parametrize(
    ("documents", "is_told"),
    [
        (Lengths("fixed", 4), False),
        (Lengths("fixed", 5), True),
        (Lengths("uniform", 1, 4), False),
        (Lengths("uniform", 1, 5), True),
        (Lengths("lognormal", 2, 0.5), True),
        (Lengths("lognormal", 2, 0.0), False),
    ],
)
def test_requests_in_parts_are_told(documents: Lengths, is_told: bool) -> None:
    work = Work(dialect="tei", documents=documents)
    limited = ServerFacts(url="http://a", batch_limit=4)
    assert remarks(run_of(work, of(9, 9, 0), limited)) == ([PARTS] if is_told else [])
    assert remarks(run_of(work, of(9, 9, 0))) == []
    replay = msgspec.structs.replace(work, replay="r.jsonl")
    assert remarks(run_of(replay, of(9, 9, 0), limited)) == []


@pytest.mark.parametrize("format_", ["text", "json", "markdown", "html", "junit"])
def test_every_report_says_so(format_: str) -> None:
    run = run_of(Work(dialect="tei"), of(297, 3, 3), ServerFacts(url="http://a", batch_limit=4))
    whole = text(run, width=400) if format_ == "text" else export(run, format_)
    for remark in ("3 of 3 checked answers were wrong", "requests of at most 4 documents"):
        assert remark in whole


def test_the_figures_agree_with_what_is_said() -> None:
    run = run_of(Work(), of(297, 3, 3))
    document = json.loads(export(run, "json"))
    measured = document["measured"]
    assert (measured["success_rate"], measured["goodput"], measured["checked"]) == (0, 0, 3)
    assert document["summary"]["errors"] == 300
    assert document["summary"]["p50"] is None
    assert "297 good or not checked, 3 failed (0.0% good)" in text(run)
    assert nothing_held(run) == "not one good answer"


def test_another_batch_limit_is_noted() -> None:
    four, eight = (
        run_of(Work(dialect="tei"), of(9, 9, 0), ServerFacts(url="http://a", batch_limit=limit))
        for limit in (4, 8)
    )
    assert "a's batch limit: 4 → 8" in list(notes(four, eight, 1))
