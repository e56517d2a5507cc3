"""Stored runs: what comes back, what a list reads, what a full disk and a damaged file do."""

from __future__ import annotations

import errno
import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole import paths
from opsconsole.errors import OpsError, UsageError
from opsconsole.load import packing, store
from opsconsole.load.histogram import Histogram
from opsconsole.load.judge import judge
from opsconsole.load.records import Totals
from opsconsole.load.summary import Summary, summarize, verdict
from opsconsole.load.thinning import thin
from opsconsole.profile.threshold import parse_threshold
from tests.load.sample_runs import empty_run, sample_run, soak_run


def test_a_run_comes_back_as_it_was() -> None:
    run = sample_run(invalid=("the generator sent late",), stopped="interrupted")
    place = store.save(run)
    assert place == paths.state_dir() / "loads" / run.id
    assert store.find(run.id) == run
    assert store.find("latest") == run


def test_a_run_that_measured_nothing_is_stored_too() -> None:
    run = empty_run()
    store.save(run)
    assert store.find(run.id) == run
    assert store.runs()[0].verdict == "stopped"


def test_files_are_the_operators_alone() -> None:
    place = store.save(sample_run())
    assert place.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in place.iterdir())


def test_saving_again_replaces() -> None:
    run = sample_run()
    store.save(run)
    run.stopped = "interrupted"
    store.save(run)
    assert store.find(run.id).stopped == "interrupted"
    assert len(store.runs()) == 1


def test_a_list_reads_no_histogram() -> None:
    run = sample_run()
    place = store.save(run)
    (place / "run.bin").unlink()
    assert store.runs() == [summarize(run)]


def test_a_list_leaves_out_what_is_no_run() -> None:
    run = sample_run()
    store.save(run)
    (store.folder() / "half").mkdir()
    broken = store.folder() / "broken"
    broken.mkdir()
    (broken / "summary.json").write_text("{")
    moved = store.folder() / "another-name"
    moved.mkdir()
    (moved / "summary.json").write_bytes((store.folder() / run.id / "summary.json").read_bytes())
    assert [summary.id for summary in store.runs()] == [run.id]


def test_nothing_is_stored_yet() -> None:
    assert store.runs() == []
    with pytest.raises(UsageError, match="no load test is stored"):
        store.find("latest")


def test_a_run_is_found_by_prefix_plan_and_profile() -> None:
    for run_id, plan in (
        ("20261121-100000-smoke-aa11", "smoke"),
        ("20261121-110000-night-bb22", "night"),
        ("20261121-120000-smoke-cc33", "smoke"),
    ):
        store.save(sample_run(run_id=run_id, plan=plan, seconds=2))
    assert store.find("smoke").id == "20261121-120000-smoke-cc33"
    assert store.find("night").id == "20261121-110000-night-bb22"
    assert store.find("20261121-10").id == "20261121-100000-smoke-aa11"
    assert store.find("latest", profile="dev").id == "20261121-120000-smoke-cc33"
    with pytest.raises(UsageError, match="3 runs begin"):
        store.find("2026")
    with pytest.raises(UsageError) as caught:
        store.find("smok")
    assert "'smoke'" in caught.value.hint
    with pytest.raises(UsageError):
        store.find("latest", profile="other")


@pytest.mark.parametrize("word", ["../../etc", "/etc", "", ".", "run.bin", "\x1b[2J"])
def test_no_word_leads_out_of_the_folder(word: str) -> None:
    store.save(sample_run(seconds=1))
    with pytest.raises(UsageError) as caught:
        store.find(word)
    assert "\x1b" not in str(caught.value)


def test_a_baseline_belongs_to_plan_and_profile() -> None:
    run = sample_run(seconds=9, errors=False)
    store.save(run)
    assert store.baseline("smoke", "dev") is None
    assert store.set_baseline("latest").id == run.id
    assert store.baseline("smoke", "dev") == run
    assert store.baseline("smoke", "prod") is None
    assert store.baseline("night", "dev") is None
    for file in (store.folder() / run.id).iterdir():
        file.unlink()
    assert store.baseline("smoke", "dev") is None


def test_an_invalid_run_is_no_baseline() -> None:
    store.save(sample_run(seconds=1, invalid=("the core was full",)))
    with pytest.raises(UsageError, match="invalid"):
        store.set_baseline("latest")


def test_what_could_never_be_compared_is_no_baseline() -> None:
    run = sample_run(seconds=4, errors=False)
    store.save(run)
    for force in (False, True):
        with pytest.raises(UsageError, match="too short to compare: 4 measured seconds") as caught:
            store.set_baseline("latest", force=force)
        assert "at least 8 are needed" in caught.value.hint
    nothing = empty_run(stopped="")
    nothing.at += 1
    store.save(nothing)
    with pytest.raises(UsageError, match="no measured phase"):
        store.set_baseline("latest", force=True)
    assert store.baselines() == frozenset()
    # Repetitions are compared as wholes.
    run.series, run.at = run.id, run.at + 2
    store.save(run)
    assert store.set_baseline("latest").id == run.id


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"errors": True}, "failed: 1 of 2 thresholds broken"),
        ({"errors": False, "stopped": "interrupted"}, "was stopped: interrupted"),
    ],
)
def test_a_failed_or_stopped_run_is_a_baseline_only_when_it_is_meant(
    made: dict[str, Any], said: str
) -> None:
    run = sample_run(seconds=12, **made)
    store.save(run)
    with pytest.raises(UsageError, match=said) as caught:
        store.set_baseline("latest")
    assert "--force" in caught.value.hint
    assert store.baselines() == frozenset()
    assert store.set_baseline("latest", force=True).id == run.id
    assert store.baselines() == {run.id}


def test_a_run_changed_by_hand_is_no_baseline_and_no_repetition() -> None:
    changed = sample_run(run_id="20261121-100000-smoke-aaaa", seconds=1)
    changed.interventions = ["5s: paused", "8s: went on"]
    store.save(changed)
    with pytest.raises(UsageError, match="changed by hand") as caught:
        store.set_baseline("latest")
    assert caught.value.hint == "5s: paused; 8s: went on"
    assert store.baselines() == frozenset()
    later = sample_run(run_id="20261121-110000-smoke-bbbb", seconds=1)
    later.at = changed.at + 60
    store.save(later)
    with pytest.raises(UsageError, match="there are 1"):
        store.side(later.id, last=2)


def test_a_summary_from_before_that_was_told_reads_as_unchanged() -> None:
    run = sample_run(seconds=9, errors=False)
    path = store.save(run) / "summary.json"
    brief = json.loads(path.read_bytes())
    del brief["by_hand"]
    path.write_text(json.dumps(brief))
    assert store.set_baseline(run.id).by_hand == ""


def test_a_full_disk_leaves_nothing_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """write(2) cannot be made to fail here without a device of one's own, so its caller does."""
    real = paths.write_atomic

    def full(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        if path.name == "summary.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, data, mode=mode)

    monkeypatch.setattr(paths, "write_atomic", full)
    with pytest.raises(OpsError) as caught:
        store.save(sample_run(seconds=1))
    assert "No space left" in str(caught.value)
    assert str(store.folder()) in caught.value.where
    assert list(store.folder().iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    state = paths.state_dir()
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text("a file where the folder should be")
    with pytest.raises(OpsError) as caught:
        store.save(sample_run(seconds=1))
    assert "loads" in caught.value.where


def test_damage_is_told_and_never_believed() -> None:
    run = sample_run(seconds=3)
    path = store.save(run) / "run.bin"
    whole = path.read_bytes()
    random_ = random.Random(4)
    for _ in range(200):
        damaged = bytearray(whole[: random_.randrange(len(whole))])
        path.write_bytes(damaged)
        with pytest.raises(OpsError):
            store.read(run.id)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[random_.randrange(len(damaged))] ^= 1 << random_.randrange(8)
        path.write_bytes(damaged)
        try:
            found = store.read(run.id)
        except OpsError:
            continue
        assert found == run  # a bit that fills up the last byte of the data, and says nothing
    path.unlink()
    with pytest.raises(OpsError, match="cannot be read"):
        store.read(run.id)


def test_a_night_is_stored_small_and_keeps_every_count() -> None:
    run = soak_run(8)
    sent = sum(tick.all().sent for tick in run.ticks)
    place = store.save(run)
    assert (place / "run.bin").stat().st_size < 1 << 20
    back = store.find(run.id)
    assert len(back.ticks) == packing.MOST_TICKS
    assert sum(tick.all().sent for tick in back.ticks) == sent
    assert sum(tick.seconds for tick in back.ticks) == pytest.approx(8 * 3600)
    assert len(run.ticks) == 8 * 3600, "the run given is not changed"
    assert run.ticks[0].all().sent == back.ticks[0].all().sent / 8


def test_ticks_of_two_phases_are_not_merged() -> None:
    ticks = sample_run(seconds=30).ticks
    merged = thin(ticks, 8)
    assert len(merged) <= 8
    whole = Totals()
    for tick in merged:
        whole.add(tick.all())
    assert whole.ended == sum(tick.all().ended for tick in ticks)
    assert {tick.phase for tick in merged} == {0, 1}
    assert merged[1].phase == 1
    assert merged[1].at == 5.0
    assert max(sample.waiting or 0 for t in merged for sample in t.servers.values()) == 9.0


@given(st.lists(st.integers(min_value=0, max_value=1 << 60), max_size=200))
def test_a_histogram_comes_back_as_it_was(values: list[int]) -> None:
    histogram = Histogram()
    histogram.record(values)
    assert packing.unpack_histogram(packing.pack_histogram(histogram)) == histogram


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        histogram = packing.unpack_histogram(data)
    except ValueError:
        return
    assert sum(histogram.counts.values()) == histogram.total


def test_a_summary_says_what_was_measured() -> None:
    run = sample_run()
    summary = summarize(run)
    assert summary.requests == 3000
    assert summary.errors == 48
    assert summary.rate == pytest.approx(2952 / 30)
    assert summary.verdict == "failed"
    assert (summary.thresholds, summary.broken) == (2, 1)
    assert msgspec.json.decode(msgspec.json.encode(summary), type=type(summary)) == summary


def test_a_summary_counts_a_failed_request_as_thresholds_do() -> None:
    run = sample_run()
    totals = run.phases[1].all()
    judged = {
        text: judge(run.phases[1], [parse_threshold(f"{text} < 500ms")])[0].observed
        for text in ("p50", "p95", "p99", "max")
    }
    summary = summarize(run)
    assert totals.good < totals.ended
    assert (summary.p50, summary.p95, summary.p99, summary.largest) == tuple(judged.values())
    assert summary.largest == math.inf
    store.save(run)
    [listed] = store.runs()
    assert listed == summary
    # In JSON it is null, and null without a request is none.
    assert msgspec.json.decode(msgspec.json.encode(listed))["largest"] is None
    assert summarize(empty_run()).p95 is None


def test_a_summary_of_an_older_version_says_so_too() -> None:
    """It held the percentiles of good requests: 602 ms of a run that mostly failed."""
    old = msgspec.json.decode(msgspec.json.encode(summarize(sample_run())))
    old |= {"requests": 100, "errors": 20, "p50": 0.1, "p95": 0.602, "p99": 0.7, "largest": 0.8}
    told = msgspec.convert(old, Summary)
    assert (told.p50, told.p95, told.p99, told.largest) == (0.1, math.inf, math.inf, math.inf)


def test_verdicts() -> None:
    assert verdict(sample_run(errors=False)) == "passed"
    assert verdict(sample_run(errors=False, stopped="interrupted")) == "stopped"
    assert verdict(sample_run()) == "failed"
    assert verdict(sample_run(invalid=("late",))) == "invalid"
    run = sample_run()
    run.judgements = []
    assert verdict(run) == "measured"


def stored(count: int = 2) -> list[str]:
    """The ids of ``count`` stored runs, oldest first."""
    ids = []
    for number in range(count):
        run = sample_run()
        run.id = f"20261121-1430{number:02}-steady-0000"
        store.save(run)
        ids.append(run.id)
    return ids


def test_a_deleted_run_is_gone_and_the_others_stay() -> None:
    first, second = stored()
    store.delete(first)
    assert [summary.id for summary in store.runs()] == [second]
    assert not (store.folder() / first).exists()


def test_a_baseline_is_deleted_only_by_force() -> None:
    first, second = stored()
    store.set_baseline(first, force=True)
    assert store.baselines() == {first}
    with pytest.raises(UsageError, match="is a baseline"):
        store.delete(first)
    store.delete(first, force=True)
    assert store.baselines() == frozenset()
    assert [summary.id for summary in store.runs()] == [second]


@pytest.mark.parametrize("word", ["", ".", "..", "../loads", "/etc", "a/b", "nothing", "a\0b"])
def test_what_is_no_run_is_not_deleted(word: str) -> None:
    [run_id] = stored(1)
    with pytest.raises(UsageError):
        store.delete(word)
    assert [summary.id for summary in store.runs()] == [run_id]


def test_links_are_not_followed(tmp_path: Path) -> None:
    [run_id] = stored(1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    (store.folder() / "link").symlink_to(elsewhere)
    with pytest.raises(OpsError, match="link"):
        store.delete("link")
    (store.folder() / run_id / "inner").symlink_to(elsewhere)
    store.delete(run_id)
    assert (elsewhere / "kept").read_text() == "kept"


def test_a_damaged_run_can_be_deleted() -> None:
    [run_id] = stored(1)
    (store.folder() / run_id / "summary.json").write_text("{")
    store.delete(run_id)
    assert not (store.folder() / run_id).exists()


def test_what_cannot_be_deleted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    [run_id] = stored(1)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # Root, as whom tests may run, is refused by no permission.
    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(OpsError, match="cannot be deleted: Permission denied"):
        store.delete(run_id)
