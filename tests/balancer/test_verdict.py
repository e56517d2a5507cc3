from __future__ import annotations

from typing import Any

from opsconsole.balancer.access import Entry
from opsconsole.balancer.failover_records import Check, Settings
from opsconsole.balancer.outages import OutageNotes
from opsconsole.balancer.verdict import Evidence, conclude
from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import Client, Judgement, PhaseResult, Run, Tick, Totals
from opsconsole.load.summary import summarize
from tests.balancer.bed import pool

A, B = "127.0.0.1:1", "127.0.0.1:2"
START = 1_763_740_800.0
PHASE = Phase(name="rate", rate=10.0, duration=1800.0)


def totals(good: int, **upstreams: int) -> Totals:
    service = Histogram()
    service.record([10_000_000] * good)
    by = {A: upstreams.get("a", 0), B: upstreams.get("b", 0)}
    return Totals(sent=good, ended=good, good=good, response=service, service=service, upstreams=by)


def run(*, passed: bool = True, invalid: list[str] | None = None, metric: str = "success_rate"
        ) -> Run:  # fmt: skip
    """Ten seconds of ten requests each, half of them to either server."""
    late = Histogram()
    late.record([20_000_000] * 100)
    ticks = [
        Tick(at=float(at), seconds=1.0, phase=0, totals={"balancer": totals(10, a=5, b=5)},
             client=Client(due=10))
        for at in range(10)
    ]  # fmt: skip
    whole = PhaseResult(
        phase=PHASE, seconds=10.0, totals={"balancer": totals(100, a=50, b=50)},
        client=Client(due=100, late=late),
    )  # fmt: skip
    text = "success_rate > 99%" if metric == "success_rate" else "p95 < 50ms"
    judgement = Judgement(threshold=text, metric=metric, limit=1, observed=1, passed=passed)
    return Run(
        id="x", at=START, plan=Plan(name="failover", mode="rate", phases=(PHASE,)), profile="bed",
        fingerprint="", servers={}, phases=[whole], ticks=ticks, judgements=[judgement],
        invalid=invalid or [],
    )  # fmt: skip


def evidence(run: Run, **changes: Any) -> Evidence:
    entries = [
        Entry(at=START + (i + 1) / 10, seconds=0.1, status=200, tries=(((A, B)[i % 2], 200),))
        for i in range(100)
    ]
    values: dict[str, Any] = {
        "profile": "bed", "nginx": "1", "pool": pool(f"http://{A}", f"http://{B}"),
        "settings": Settings(), "run": run, "entries": entries,
        "stages": [("all servers", START + 1.4), ("s1 drained", START + 4.5)],
        "outages": [], "counted": {"s1": 50, "s2": None}, "steady": (START, START + 11),
        "events": [],
    }  # fmt: skip
    return Evidence(**(values | changes))


def test_the_stages_become_the_phases_of_the_stored_run() -> None:
    made = run()
    found = conclude(evidence(made))
    assert found.verdict == "passed"
    assert [stage.name for stage in found.stages] == ["all servers", "s1 drained"]
    # The second in which a stage began is of that stage.
    assert [stage.requests for stage in found.stages] == [40, 60]
    assert [result.phase.name for result in made.phases] == ["all servers", "s1 drained"]
    assert [tick.phase for tick in made.ticks] == [0] * 4 + [1] * 6
    whole = made.measured()
    assert whole is not None
    assert whole.all().good == 100


def test_a_server_that_does_not_return_or_is_not_restored_fails_it() -> None:
    notes = OutageNotes("s1", "drained", START + 20)
    notes.gone, notes.healthy, notes.awaited = START + 21, START + 25, True
    made = run()
    found = conclude(evidence(made, outages=[notes], not_restored=("s1: gone",)))
    assert found.verdict == "failed"
    assert summarize(made).verdict == "failed"  # as it is stored, too
    assert made.conclusion is not None
    assert made.conclusion.text == "s1 drained, healthy after 5.0 s, not back"
    failed = {check.what for check in found.checks if not check.passed}
    assert failed == {"s1 returns", "everything is as it was"}


def test_a_server_that_counts_less_than_it_was_sent_fails_it() -> None:
    found = conclude(evidence(run(), counted={"s1": 30, "s2": 50}))
    assert found.verdict == "failed"
    (check,) = [check for check in found.checks if not check.passed]
    assert (check.what, check.observed) == ("s1's own counter agrees", "30 against 50")


def test_other_clients_of_a_server_are_no_fault() -> None:
    found = conclude(evidence(run(), counted={"s1": 80, "s2": 50}))
    assert found.verdict == "passed"
    told = {check.what: check.observed for check in found.checks}
    assert told["s1's own counter agrees"] == "80 against 50: others ask it too"


def test_a_server_that_gets_nothing_fails_it() -> None:
    entries = [Entry(at=START + i, seconds=0.1, status=200, tries=((A, 200),)) for i in range(9)]
    found = conclude(evidence(run(), entries=entries, counted={}))
    assert "s2 gets its part" in {check.what for check in found.checks if not check.passed}


def test_late_sends_matter_where_a_latency_is_promised() -> None:
    late = ["sends were late: p99 20ms, more than 10% of the median of 10ms"]
    assert conclude(evidence(run(invalid=late))).verdict == "passed"
    found = conclude(evidence(run(invalid=late, metric="p95")))
    assert found.verdict == "invalid"
    assert found.invalid == tuple(late)


def test_what_was_stopped_is_no_failure_of_what_was_not_done() -> None:
    made = run()
    made.stopped = "interrupted"
    notes = OutageNotes("s1", "drained", START + 5)
    notes.gone = START + 6
    found = conclude(evidence(made, outages=[notes]))
    assert found.verdict == "stopped"
    assert not {"s1 is ejected", "s1 returns"} & {check.what for check in found.checks}
    assert made.conclusion is not None
    assert made.conclusion.text == "s1 drained, started at the end"


def test_a_return_that_was_not_waited_for_to_the_end_is_not_judged() -> None:
    made = run()
    made.stopped = "interrupted"
    notes = OutageNotes("s1", "killed", START + 20)
    notes.gone, notes.healthy, notes.by = START + 20.1, START + 22, "its keeper"
    checks = {check.what for check in conclude(evidence(made, outages=[notes])).checks}
    assert "s1 is started by its keeper" in checks
    assert "s1 returns" not in checks


def test_what_is_not_quite_as_it_was_is_said_and_fails_nothing() -> None:
    notes = OutageNotes("s1", "killed", START + 2)
    notes.gone, notes.healthy, notes.by = START + 2.1, START + 3, "its keeper"
    said = "s1 computes in float32 now, in bfloat16 before"
    found = conclude(evidence(run(), outages=[notes], remarks=(said,)))
    assert found.verdict == "passed"
    (check,) = [check for check in found.checks if check.what == "everything is as it was"]
    assert (check.passed, check.observed) == (True, f"all run; {said}")


def test_what_could_not_be_done_fails_it_whatever_the_figures_are_worth() -> None:
    made = run(invalid=["the generator was busy"], metric="p95")
    broken = Check("s1 comes back", False, "port 1 is taken")
    found = conclude(evidence(made, broken=broken))
    assert found.verdict == "failed"
    assert found.invalid == ("the generator was busy",)
    assert broken in found.checks
    kept = summarize(made)
    assert kept.verdict == "failed"
    assert kept.headline == "the figures are in doubt: the generator was busy"
