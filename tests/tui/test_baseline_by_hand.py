"""A run that was changed by hand is no baseline, and is not offered to be compared with."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from opsconsole.load import store
from opsconsole.profile import load_file
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.run_actions import RunActions
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.screens.pick import PickScreen
from tests.load.sample_runs import sample_run
from tests.tui.fleet import replay
from tests.tui.render import screen_text, wait_for

AS_PLANNED, CHANGED, LATEST = (f"20261121-1{n}0000-smoke-{n}" for n in range(3))


async def test_it_is_refused_and_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for number, run_id in enumerate((AS_PLANNED, CHANGED, LATEST)):
        run = replace(sample_run(run_id=run_id, seconds=10), profile="dev")
        hands = ["5s: paused", "8s: went on"] if run_id == CHANGED else []
        store.save(replace(run, at=run.at + 60 * number, interventions=hands))
    path = tmp_path / "dev.yaml"
    path.write_text("name: dev\nservers: [{name: one, url: 'http://127.0.0.1:1'}]\n")
    app = ConsoleApp(load_file(path), source=replay([]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, ConsoleScreen)
        changed: list[bool] = []
        actions = RunActions(screen, lambda: changed.append(True))
        actions.baseline(CHANGED)
        await wait_for(pilot, lambda: "changed by hand" in screen_text(app))
        assert changed == []
        assert store.baselines() == frozenset()
        actions.compare_with(LATEST)
        await wait_for(pilot, lambda: isinstance(app.screen, PickScreen))
        picking = app.screen
        assert isinstance(picking, PickScreen)
        assert [row.key for row in picking.table.rows] == [AS_PLANNED]
