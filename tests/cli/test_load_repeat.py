"""Repetitions on the command line: run against a real server, and compared as they are stored."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from opsconsole.cli import load_runs
from opsconsole.cli.load import load
from opsconsole.errors import ExitCode, UsageError
from opsconsole.load import store
from tests.cli.test_load import Bed
from tests.load.farside import Far
from tests.load.test_repetitions import moody

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with Far("good", delay=0.02) as far:
        yield Bed(tmp_path_factory.mktemp("repeat"), far)


def test_repetitions_are_stored_and_told_in_a_line_each(bed: Bed) -> None:
    done = bed.run("load", "40", "2", "--warmup", "0s", "--times", "3")
    assert [line[:3] for line in done.stdout.splitlines()[:3]] == ["1/3", "2/3", "3/3"]
    runs = json.loads(bed("list", "--json"))
    assert [run["requests"] for run in runs] == [40, 40, 40]
    assert {run["series"] for run in runs} == {runs[0]["id"]}
    # A loaded machine can make a run invalid, which is told.
    assert done.returncode == (3 if "invalid" in {run["verdict"] for run in runs} else 0)
    assert ("median" in done.stdout) == (sum(run["verdict"] == "passed" for run in runs) > 1)


def test_a_gate_that_cannot_close_is_refused_before_anything_is_sent(bed: Bed) -> None:
    bed.run("latency", "10")
    gate = ("--against", "latest", "--fail-if-worse", "5%")
    before = len(json.loads(bed("list", "--json", "-n", "100")))
    text = bed("latency", "10", "--times", "3", *gate, code=64)
    assert "cannot tell a difference from chance" in text
    text = bed("latency", "10", "--times", "3", "-f", "json", code=64)
    assert "no one report" in text
    assert len(json.loads(bed("list", "--json", "-n", "100"))) == before


def put(name: str, count: int, scale: float = 1.0, *, series: bool = True) -> list[str]:
    """Store ``count`` runs; their ids, in the order of time."""
    ids: list[str] = []
    for number in range(count):
        run = moody((name, number), scale=scale)
        run.id = f"20261121-1200{number:02}-{name}"
        run.series = (ids[0] if ids else run.id) if series else ""
        store.save(run)
        ids.append(run.id)
    return ids


def call(*argv: str) -> tuple[int, str]:
    result = CliRunner().invoke(load, argv, standalone_mode=False, env={"COLUMNS": "80"})
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), result.output


def test_one_of_several_repetitions_stands_for_all() -> None:
    base, new = put("a", 5), put("b", 5, scale=2.0)
    code, text = call("compare", base[2], new[0])
    assert code == 0
    assert "exact Wilcoxon rank-sum test over 5 and 5 runs" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "worse" in text
    document = json.loads(call("compare", base[2], new[0], "--json")[1])
    assert (document["bases"], document["news"]) == (base, new)
    assert document["changes"][0]["p"] < 0.01
    assert call("compare", base[0], new[0], "--fail-if-worse", "5%")[0] == 2


def test_sides_are_named_with_commas_or_chosen_by_number() -> None:
    base, new = put("a", 6, series=False), put("b", 4, series=False)
    document = json.loads(call("compare", ",".join(base[:4]), ",".join(new), "--json")[1])
    assert document["bases"] == base[:4]
    assert document["news"] == new
    with pytest.raises(UsageError, match=r"of the last 50 runs up to .* there are 1"):
        call("compare", base[0], new[3], "--last", "50")
    # Both were run by the same plan, and so they are one sequence in time.
    found = [summary.id for summary in store.side(base[3], last=4)]
    assert found == [new[1], base[2], new[2], base[3]]


def test_a_lone_run_is_compared_with_a_lone_one() -> None:
    [lone] = put("lone", 1)
    several = put("s", 4)
    with pytest.raises(UsageError, match=r"too short to compare|no measured phase"):
        call("compare", lone, several[3])


def test_a_gate_that_cannot_tell_does_not_pass() -> None:
    base, new = put("few", 2), put("fewer", 2, scale=3.0)
    code, text = call("compare", ",".join(base), ",".join(new), "--fail-if-worse", "5%")
    assert code == 3
    assert "cannot be told to be no worse: too few runs" in text
    assert call("compare", ",".join(base), ",".join(new))[0] == 0


def test_a_certain_failure_outweighs_what_cannot_be_told() -> None:
    assert load_runs.gravest(ExitCode.CRITICAL, ExitCode.UNKNOWN) is ExitCode.CRITICAL
    assert load_runs.gravest(ExitCode.UNKNOWN, ExitCode.WARNING) is ExitCode.UNKNOWN
    assert load_runs.gravest(ExitCode.CRITICAL, ExitCode.INTERRUPTED) is ExitCode.INTERRUPTED
    assert load_runs.gravest(ExitCode.OK, ExitCode.WARNING) is ExitCode.WARNING


def test_a_broken_threshold_stays_one_where_nothing_can_be_compared(bed: Bed) -> None:
    bed.run("latency", "10")
    gated = ("--against", "latest", "--fail-if-worse", "5%")
    assert "not compared" in bed("latency", "10", "-t", "p50 < 1us", *gated, code=2)
