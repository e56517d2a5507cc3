"""What a replayed file holds belongs to the plan, not where it lies."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from msgspec import structs

from opsconsole.errors import UsageError
from opsconsole.load import LoadRun, Plan, exports, plan_for, report
from opsconsole.load.comparable import differences
from opsconsole.load.compare import compare
from opsconsole.load.replay_file import look_into, refuse_changed
from opsconsole.load.run import _fingerprint
from opsconsole.load.targets import profile_of
from tests.load.sample_runs import sample_run


def write(path: Path, *bodies: str) -> Path:
    path.write_text("".join(f"{json.dumps({'query': body})}\n" for body in bodies))
    return path


def plan_of(path: Path, mode: str = "replay") -> Plan:
    return plan_for(mode, replay=str(path), requests=50)


@pytest.mark.parametrize("mode", ["replay", "throughput"])
def test_a_plan_knows_what_its_file_holds(tmp_path: Path, mode: str) -> None:
    path = write(tmp_path / "day.jsonl", "a", "b", "c")
    held = plan_of(path, mode).work.replayed
    assert held is not None
    data = path.read_bytes()
    assert (held.requests, held.size) == (3, len(data))
    assert held.sha256 == hashlib.sha256(data).hexdigest()


def test_another_content_is_another_plan_and_another_name_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "same.jsonl", "a", "b")
    moved = write(tmp_path / "copy.jsonl", "a", "b")
    profile = profile_of("http://127.0.0.1:9")
    before, elsewhere = plan_of(path), plan_of(moved)
    assert list(differences(before, elsewhere)) == []
    assert _fingerprint(before, profile) == _fingerprint(elsewhere, profile)
    write(path, "a", "c")
    after = plan_of(path)
    [told] = differences(before, after)
    assert told.startswith("replay: 2 requests, 30 B, sha256:")
    assert told.count("sha256:") == 2
    assert _fingerprint(before, profile) != _fingerprint(after, profile)
    old, new = sample_run(run_id="a", seconds=12), sample_run(run_id="b", seconds=12)
    old.plan, new.plan = before, after
    with pytest.raises(UsageError, match="of different plans"):
        compare(old, new)


def test_an_older_run_that_does_not_know_its_file_is_no_run_of_this_one(tmp_path: Path) -> None:
    plan = plan_of(write(tmp_path / "day.jsonl", "a"))
    old = structs.replace(plan, work=structs.replace(plan.work, replayed=None))
    [told] = differences(old, plan)
    assert "of unknown content against 1 request" in told
    assert list(differences(old, old)) == []


def test_a_file_that_was_changed_since_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    path = write(tmp_path / "day.jsonl", "a", "b")
    plan = plan_of(path)
    refuse_changed(plan.work)
    path.write_text(path.read_text().replace("a", "x"))
    with pytest.raises(UsageError, match="was changed since the plan was made") as caught:
        refuse_changed(plan.work)
    assert caught.value.where == str(path)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        refuse_changed(plan.work)


async def test_a_run_of_a_changed_file_ends_before_it_begins(tmp_path: Path) -> None:
    path = write(tmp_path / "day.jsonl", "a")
    run = LoadRun(plan_of(path), profile_of("http://127.0.0.1:9"))
    write(path, "b")
    with pytest.raises(UsageError, match="was changed since"):
        async for _ in run.ticks():
            pass
    assert run.run.phases == []


def test_a_file_is_read_again_only_when_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "day.jsonl", "a")
    # Its moment is told by the status change, which nobody can set: a fresh file is read anew.
    first = look_into(path)
    write(path, "b")
    second = look_into(path)
    assert first != second
    assert look_into(path) == second
    os.utime(path, ns=(0, 0))
    assert look_into(path) == second


def test_reports_and_exports_tell_it(tmp_path: Path) -> None:
    plan = plan_of(write(tmp_path / "day.jsonl", "a", "b"))
    run = sample_run(seconds=3)
    run.plan = structs.replace(run.plan, work=plan.work)
    assert plan.work.replayed is not None
    shown = f"sha256:{plan.work.replayed.sha256[:8]}"
    assert f"replay day.jsonl: 2 requests, 30 B, {shown}" in report.text(run, width=100)
    for format_ in ("html", "markdown"):
        assert shown in exports.export(run, format_)
    work = json.loads(exports.export(run, "json"))["plan"]["work"]
    assert work["replayed"]["sha256"] == plan.work.replayed.sha256
