"""A console with a far server to load, and how its tests find their way on the screen Load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from opsconsole.profile import Profile, load_file
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.screens.load import LoadScreen
from opsconsole.tui.widgets.frame import Footer
from tests.load.farside import Far
from tests.tui.fleet import replay
from tests.tui.render import screen_text, wait_for

PROFILE = """\
name: dev
environment: ENVIRONMENT
servers:
  - {name: one, url: 'http://127.0.0.1:PORT', kind: http, service_level: {p95: 10s}}
  - {name: two, url: 'http://localhost:PORT', kind: http}
"""
SMOKE = (
    "{name: smoke, mode: load, dialect: http, path: /x, requests: 40, concurrency: 2, warmup: 0s}"
)
LONG = "{name: long, mode: rate, dialect: http, path: /x, rate: 50/s, duration: 10m, warmup: 0s}"
BRIEF = "{name: brief, mode: rate, dialect: http, path: /x, rate: 50/s, duration: 1m, warmup: 0s}"


def profile_of(folder: Path, far: Far, *loads: str, environment: str = "development") -> Profile:
    """The profile ``dev`` with two names of ``far`` and these load tests."""
    text = PROFILE.replace("PORT", str(far.port)).replace("ENVIRONMENT", environment)
    path = folder / "dev.yaml"
    path.write_text(text + "loads:\n" * bool(loads) + "".join(f"  - {load}\n" for load in loads))
    return load_file(path)


def console(profile: Profile, **more: Any) -> ConsoleApp:
    return ConsoleApp(profile, source=replay([]), **more)


def shows(app: ConsoleApp, *words: str) -> Callable[[], bool]:
    return lambda: all(word in screen_text(app) for word in words)


def screen_of(app: ConsoleApp) -> LoadScreen:
    return next(screen for screen in app.screen_stack if isinstance(screen, LoadScreen))


async def opened(pilot: Pilot[Any], app: ConsoleApp) -> LoadScreen:
    """The screen Load, with what its first test would do."""
    await pilot.press("3")
    await wait_for(pilot, shows(app, app.profile.loads[0].name, "throughput"))
    await wait_for(pilot, lambda: screen_of(app).setup.checked is not None)
    return screen_of(app)


async def at_runs(pilot: Pilot[Any], app: ConsoleApp, count: int = 3) -> LoadScreen:
    """The same with the cursor in its ``count`` stored runs."""
    screen = await opened(pilot, app)
    await wait_for(pilot, lambda: len(screen.setup.runs.rows) == count)
    await pilot.press("tab", "tab")
    await wait_for(pilot, lambda: screen.setup.pane == "runs")
    return screen


def footer(app: ConsoleApp) -> set[str]:
    """The actions whose keys the footer names."""
    return {action.id for action in app.screen.query_one(Footer).actions()}
