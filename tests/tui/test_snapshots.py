"""Pictures of the screens over a recorded fleet with the clocks stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from opsconsole.tui.app import ConsoleApp
from tests.tui.fleet import fleet, recording, replay
from tests.tui.render import screen_text, wait_for

Compare = Callable[..., bool]


def console(now: float, environment: str = "production", **more: Any) -> ConsoleApp:
    return ConsoleApp(fleet(environment), source=replay(recording(60, now - 59)), **more)


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


def test_pictures_are_kept_in_the_repository() -> None:
    folder = Path(__file__).parent / "__snapshots__" / "test_snapshots"
    assert len(list(folder.glob("*.svg"))) >= 7
