"""Pictures of the screens over a recorded fleet with the clocks stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from opsconsole.tui.app import ConsoleApp
from tests.load.sample_runs import sample_run
from tests.tui.fleet import fleet, recording, replay
from tests.tui.render import screen_text, wait_for

Compare = Callable[..., bool]


def console(now: float, environment: str = "production", **more: Any) -> ConsoleApp:
    return ConsoleApp(fleet(environment), source=replay(recording(60, now - 59)), **more)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder without stored runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


async def settled(pilot: Pilot[Any]) -> None:
    await wait_for(pilot, lambda: all(w in screen_text(pilot.app) for w in ("3/5 up", "data 0s")))
    await pilot.press("j", "j")
    await wait_for(pilot, lambda: "3 forwards" in screen_text(pilot.app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_servers(snap_compare: Compare, frozen: float, size: tuple[int, int]) -> None:
    assert snap_compare(console(frozen), terminal_size=size, run_before=settled)


def test_servers_without_colour(
    snap_compare: Compare, frozen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(console(frozen), terminal_size=(80, 24), run_before=settled)


def test_servers_in_ascii(snap_compare: Compare, frozen: float) -> None:
    app = console(frozen, ascii=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=settled)


def test_servers_on_a_light_ground(snap_compare: Compare, frozen: float) -> None:
    app = console(frozen, "staging")
    app.theme = "opsconsole-light"
    assert snap_compare(app, terminal_size=(80, 24), run_before=settled)


def test_help(snap_compare: Compare, frozen: float) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("question_mark")
        await wait_for(pilot, lambda: "Keys and commands" in screen_text(pilot.app))

    assert snap_compare(console(frozen), terminal_size=(80, 24), run_before=before)


def test_describe(snap_compare: Compare, frozen: float) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "Answers there" in screen_text(pilot.app))

    assert snap_compare(console(frozen), terminal_size=(120, 40), run_before=before)


async def loading(pilot: Pilot[Any]) -> None:
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    await settled(pilot)
    app.load_desk.open(sample_run())
    await pilot.press("3")
    await wait_for(pilot, lambda: "FAILED" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_load(snap_compare: Compare, frozen: float, size: tuple[int, int], state: Path) -> None:
    assert snap_compare(console(frozen), terminal_size=size, run_before=loading)


def test_load_without_colour(
    snap_compare: Compare, frozen: float, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(console(frozen), terminal_size=(80, 24), run_before=loading)


def test_choosing_a_load_test(snap_compare: Compare, frozen: float, state: Path) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("3")
        await wait_for(pilot, lambda: "is stored yet" in screen_text(pilot.app))

    assert snap_compare(console(frozen), terminal_size=(80, 24), run_before=before)


def test_pictures_are_kept_in_the_repository() -> None:
    folder = Path(__file__).parent / "__snapshots__" / "test_snapshots"
    assert len(list(folder.glob("*.svg"))) >= 11
