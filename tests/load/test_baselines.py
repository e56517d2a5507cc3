"""Which run is the newest, and baselines that cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.errors import OpsError
from opsconsole.load import store
from tests.load.farside import Far
from tests.load.sample_runs import sample_run


def test_the_newest_is_the_one_that_was_begun_last() -> None:
    """However its folder is called: after the clock went back, or on a foreign machine."""
    for run_id, at in (("20991231-235959-smoke-aa", 100.0), ("20261121-023000-smoke-bb", 300.0),
                       ("20261121-025900-smoke-cc", 200.0)):  # fmt: skip
        run = sample_run(run_id=run_id, seconds=1)
        run.at = at
        store.save(run)
    assert [summary.id[-2:] for summary in store.runs()] == ["aa", "cc", "bb"]
    assert store.find("latest").at == 300.0
    assert store.find("smoke").at == 300.0
    assert [summary.id[-2:] for summary in store.side("latest", last=2)] == ["cc", "bb"]


def test_ids_are_in_utc() -> None:
    """The zone of a process is read once: another one."""
    script = (
        "import time\n"
        "from opsconsole.load.run import _new_id\n"
        "before = time.time()\n"
        "made = _new_id('x')\n"
        "times = [time.strftime('%Y%m%d-%H%M%S', time.gmtime(t)) for t in (before, time.time())]\n"
        "assert times[0] <= made[:15] <= times[1], (made, times)\n"
    )
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"TZ": "XYZ-9"}, check=True)


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"dev": 3}', None])
def test_baselines_that_cannot_be_read_are_not_forgotten(content: bytes | None) -> None:
    run = sample_run(seconds=9, errors=False)
    store.save(run)
    path = store.folder() / "baselines.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    for attempt in (
        lambda: store.set_baseline("latest"),
        lambda: store.baseline("smoke", "dev"),
        lambda: store.delete(run.id),
    ):
        with pytest.raises(OpsError, match="baselines cannot be read"):
            attempt()
    assert store.baselines() == frozenset()  # a list is shown all the same
    assert [summary.id for summary in store.runs()] == [run.id]
    if content is not None:
        assert path.read_bytes() == content
    store.delete(run.id, force=True)
    assert store.runs() == []


@pytest.mark.parametrize("spoiled", ["run", "gone", "baselines"])
def test_a_damaged_baseline_costs_the_comparison_and_not_the_run(
    spoiled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    keys = {"dialect": "http", "path": "/health", "warmup": "0s"}
    options = [part for key, value in keys.items() for part in (f"--{key}", value)]

    def load(*more: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "opsconsole", "load", "load", "10", "2", *options,
                "--url", f"http://127.0.0.1:{far.port}", *more]  # fmt: skip
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    with Far("exact", size=10) as far:
        assert load().returncode == 0
        noted = {f"http://127.0.0.1:{far.port}": {"load": store.look_up("latest").id}}
        (store.folder() / "baselines.json").write_text(json.dumps(noted))
        file = store.folder() / store.look_up("latest").id / "run.bin"
        if spoiled == "gone":
            file.unlink()
        elif spoiled == "run":
            file.write_bytes(file.read_bytes()[:-20])
        else:
            (store.folder() / "baselines.json").write_text("{")
        done = load()
        assert done.returncode == 0, done.stderr
        assert "not compared with the baseline" in done.stderr
        assert len(store.runs()) == 2
        repeated = load("--times", "2")
        assert repeated.returncode == 0, repeated.stderr
        assert "not compared with the baseline" in repeated.stderr
        before = far.counts().requests
        gated = load("--fail-if-worse", "5%")
        assert gated.returncode == 3, gated.stderr
        assert "not compared with the baseline" in gated.stderr
        assert far.counts().requests == before
