"""``opsconsole load delete`` and ``list``, over runs that lie there."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opsconsole.cli.load import load
from opsconsole.errors import UsageError
from opsconsole.load import store
from tests.load.sample_runs import sample_run

DAY = 86_400


def put(days: int, plan: str = "steady") -> str:
    """Store a run that is so many days old; its id."""
    run = sample_run(errors=False)
    run.at = time.time() - days * DAY
    run.id = time.strftime("%Y%m%d-%H%M%S", time.gmtime(run.at)) + f"-{plan}-0000"
    run.plan = type(run.plan)(name=plan, mode="rate", phases=run.plan.phases)
    store.save(run)
    return run.id


def call(*argv: str, **more: object) -> Result:
    return CliRunner().invoke(load, argv, standalone_mode=False, **more)  # type: ignore[arg-type]


def left() -> list[str]:
    return [summary.id for summary in store.runs()]


def test_named_runs_are_deleted() -> None:
    old, new = put(2), put(1)
    assert "1 run deleted" in call("delete", old, "--yes").output
    assert left() == [new]


def test_old_runs_are_deleted_but_never_a_baseline() -> None:
    ids = [put(days) for days in (50, 40, 35, 10)]
    store.set_baseline(ids[0])
    assert "2 runs deleted" in call("delete", "--older", "30d", "--yes").output
    assert left() == [ids[0], ids[3]]


def test_the_newest_of_each_plan_are_kept() -> None:
    smoke = [put(days, "smoke") for days in (9, 8, 7)]
    soak = [put(6, "soak")]
    call("delete", "--keep", "2", "--yes")
    assert left() == smoke[1:] + soak
    # Both: what is old and not among the newest.
    call("delete", "--keep", "0", "--older", "8d", "--yes")
    assert left() == smoke[2:] + soak


def test_it_asks_and_a_script_must_say_yes() -> None:
    run_id = put(1)
    result = call("delete", run_id)
    assert isinstance(result.exception, UsageError)
    assert "--yes" in str(result.exception)
    assert left() == [run_id]


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ((), "which runs"),
        (("latest", "--keep", "3"), "not both"),
        (("--older", "30"), "needs a unit|expected a duration"),
        (("nothing",), "no run"),
        (("latest",), "by its id, and 'latest' means the newest run"),
        (("steady",), "by its id, and 'steady' means a plan, whose newest run is 2"),
        (("2",), "is a baseline"),
    ],
)
def test_mistakes_delete_nothing(argv: tuple[str, ...], complaint: str) -> None:
    run_id = put(1)
    store.set_baseline(run_id)
    error = call("delete", *argv, "--yes").exception
    assert isinstance(error, UsageError)
    assert re.search(complaint, str(error))
    assert left() == [run_id]
    call("delete", run_id, "--yes", "--force")
    assert left() == []


def test_the_list_fits_80_columns_and_marks_the_baseline(tmp_path: Path) -> None:
    store.set_baseline(put(3))
    put(2)
    lines = call("list", env={"COLUMNS": "80"}).output.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "baseline" in lines[1]
    assert "baseline" not in lines[2]
    assert "P95" in lines[0]


def test_the_list_says_which_runs_were_changed_by_hand_and_which_percentile_is_none() -> None:
    run = sample_run()
    run.interventions = ["5s: paused", "8s: went on"]
    store.save(run)
    line = call("list", env={"COLUMNS": "200"}).output.splitlines()[1]
    assert "by hand" in line
    assert line.endswith("∞")  # 1.6 % failed: p99 falls among them
    assert line.count("∞") == 1
