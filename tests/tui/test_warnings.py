"""What the console says before it is too late, and what it does not offer at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from opsconsole.actions.states import daemon_states
from opsconsole.balancer.away import RESTORE, begin
from opsconsole.daemon import DaemonState, DaemonStatus
from opsconsole.daemon.command import folder_of
from opsconsole.daemon.holding import hold_daemon
from opsconsole.fleet import ServerState, Snapshot
from opsconsole.profile import Profile, load_file
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.model import FleetModel
from opsconsole.tui.widgets.frame import Footer
from opsconsole.tui.widgets.table import Table
from tests.load.farside import Far
from tests.load.test_beside import somebody
from tests.net import free_port
from tests.tui.fleet import fleet, recording, replay
from tests.tui.render import screen_text, wait_for

PROFILE = """\
name: dev
servers:
  - {name: far, url: 'http://127.0.0.1:FAR', kind: http}
  - {name: twin, url: 'http://127.0.0.1:FAR', kind: http}
  - {name: mine, url: 'http://127.0.0.1:FREE', daemon: {stop_grace: 10s}}
  - {name: taken, url: 'http://127.0.0.1:FAR', daemon: {stop_grace: 10s}}
loads:
  - {name: long, mode: rate, dialect: http, path: /x, rate: 20/s, duration: 10m, warmup: 0s}
"""


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    with Far("exact", delay=0.002, size=10) as far:
        yield far


@pytest.fixture
def profile(tmp_path: Path, far: Far, own_folders: Path) -> Profile:
    path = tmp_path / "dev.yaml"
    path.write_text(PROFILE.replace("FAR", str(far.port)).replace("FREE", str(free_port())))
    return load_file(path)


def shows(app: ConsoleApp, *words: str) -> Callable[[], bool]:
    return lambda: all(word in " ".join(screen_text(app).split()) for word in words)


async def at(pilot: Pilot[object], app: ConsoleApp, name: str) -> None:
    """The cursor on a server, once its daemon's state is known."""
    table = app.screen.query_one(Table)
    await wait_for(pilot, lambda: name in [row.key for row in table.rows])
    await wait_for(pilot, lambda: bool(app.model.daemons))
    table.cursor = name
    await wait_for(pilot, lambda: table.cursor == name)


async def test_a_load_on_a_stopped_or_foreign_server_is_asked_for(profile: Profile) -> None:
    app = ConsoleApp(profile, source=replay([]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        for name, why in (
            ("mine", "mine: its daemon is stopped"),
            ("taken", "not this profile's server"),
        ):
            await at(pilot, app, name)
            await pilot.press("L")
            await wait_for(pilot, shows(app, f"Load {name}: long", "▲", why, "y yes"))
            await pilot.press("n")
            await wait_for(pilot, lambda: len(app.screen_stack) == 1)
            assert not app.loading
        await at(pilot, app, "far")
        await pilot.press("L")
        await wait_for(pilot, lambda: app.loading)


async def test_what_is_loaded_is_not_restarted_unawares_nor_tuned(profile: Profile) -> None:
    app = ConsoleApp(profile, source=replay([]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await at(pilot, app, "far")
        await pilot.press("L")
        await wait_for(pilot, lambda: app.loading)
        await pilot.press("1")
        for key, name in (("R", "taken"), ("X", "taken")):
            await at(pilot, app, name)
            await pilot.press(key)
            await wait_for(pilot, shows(app, f"▲ this console is loading {name}"))
            await pilot.press("n")
            await wait_for(pilot, lambda: len(app.screen_stack) == 1)
        await at(pilot, app, "mine")
        await pilot.press("R")
        await wait_for(pilot, shows(app, "restart mine?"))
        assert "is loading" not in screen_text(app)
        await pilot.press("n")
        await wait_for(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("T")
        await wait_for(pilot, shows(app, "a load test is under way: stop it first"))
        assert len(app.screen_stack) == 1


async def test_a_daemon_that_another_process_tunes_is_not_touched_unawares(
    profile: Profile,
) -> None:
    server = profile.server("mine")
    assert server is not None
    app = ConsoleApp(profile, source=replay([]))
    with hold_daemon(folder_of(profile, server), "tuning", "mine"):
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            for key, question in (("S", "start mine?"), ("R", "restart mine?"), ("L", "Load mine")):
                await at(pilot, app, "mine")
                await pilot.press(key)
                told = f"▲ mine: a tuning is at work: process {os.getpid()}"
                await wait_for(pilot, shows(app, question, told))
                await pilot.press("n")
                await wait_for(pilot, lambda: len(app.screen_stack) == 1)
            assert not app.model.busy


async def test_load_is_typed_on_every_screen(profile: Profile) -> None:
    app = ConsoleApp(profile, source=replay([]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("5")
        await wait_for(pilot, lambda: app.current_mode == "host")
        await pilot.press("colon", *"load twin lo", "tab", "enter")
        await wait_for(pilot, lambda: app.loading)
        assert app.load_desk.session is not None
        assert app.load_desk.session.servers == ("twin",)
        assert app.load_desk.session.plan.name == "long"


async def test_the_footer_offers_what_can_be_done_with_this_server(profile: Profile) -> None:
    app = ConsoleApp(profile, source=replay([]))
    async with app.run_test(size=(160, 30)) as pilot:
        await at(pilot, app, "mine")
        footer = app.screen.query_one(Footer)

        def offered() -> set[str]:
            return {action.id for action in footer.actions()}

        daemons_only = {"server.start", "server.stop", "server.restart", "server.logs"}
        assert daemons_only < offered()
        await wait_for(pilot, shows(app, "S start"))
        await at(pilot, app, "far")
        assert not daemons_only & offered()
        await wait_for(pilot, lambda: "S start" not in screen_text(app))
        await pilot.press("space")
        await at(pilot, app, "far")
        app.screen.query_one(Table).cursor = "mine"
        await pilot.press("space")
        assert app.screen.query_one(Table).targets() == ["far", "mine"]
        assert daemons_only < offered()


async def test_read_only_for_good_is_not_said_to_be_unlocked_by_a_key() -> None:
    app = ConsoleApp(fleet(), source=replay(recording(5, 1e9)), read_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("L")
        await wait_for(pilot, shows(app, "load test is refused (opened with --read-only)"))
        assert "unlocks" not in screen_text(app)


async def test_a_filter_where_nothing_can_be_filtered() -> None:
    app = ConsoleApp(fleet(), source=replay(recording(5, 1e9)))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("5")
        await wait_for(pilot, lambda: app.current_mode == "host")
        await pilot.press("slash")
        await wait_for(pilot, shows(app, "filter does nothing on this screen"))


def test_what_another_program_answers_is_not_up_in_the_sum() -> None:
    model = FleetModel(fleet())
    clock = time.monotonic()
    for name in ("reranker-1", "reranker-2"):
        model.take(Snapshot(server=name, at=time.time(), clock=clock, state=ServerState.UP,
                            poll_seconds=0))  # fmt: skip
    assert model.fleet().up == 2
    model.take_daemons([DaemonStatus(profile="p", name="reranker-1", state=DaemonState.FOREIGN)])
    assert (model.fleet().up, model.fleet().total) == (1, 5)


def test_a_daemon_that_a_failover_test_left_away_says_so(profile: Profile) -> None:
    server = profile.server("mine")
    assert server is not None
    (mine,) = daemon_states(profile, [server])
    assert (mine.state, mine.left_behind) == (DaemonState.STOPPED, "")
    with begin(profile) as journal:
        journal.away("mine")
        (mine,) = daemon_states(profile, [server])
        assert "failover test is at work" in mine.left_behind
        assert str(os.getpid()) in mine.left_behind
    (mine,) = daemon_states(profile, [server])
    assert (mine.left_behind, mine.remedy) == ("left away by a failover test", RESTORE)
    model = FleetModel(profile)
    model.take_daemons([mine])
    finding = model.findings(server)[0]
    assert (finding.why, finding.suggestion) == ("left away by a failover test", RESTORE)


async def test_a_load_test_of_another_process_is_told_of(profile: Profile) -> None:
    server = profile.server("far")
    assert server is not None
    app = ConsoleApp(profile, source=replay([]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await at(pilot, app, "far")
        with somebody("soak", server.url) as other:
            await pilot.press("L")
            told = f"▲ far: process {other.pid} runs the load test soak on it now"
            await wait_for(pilot, shows(app, "Load far: long", told))
            await pilot.press("y")
            await wait_for(pilot, lambda: app.loading)
            # Of a toast, which is wrapped beside other words, the screen's text tells little.
            await wait_for(pilot, lambda: any(
                "on it now too: the figures are of both" in toast.message
                for toast in app._notifications
            ))  # fmt: skip
        app.load_desk.stop()
        await wait_for(pilot, lambda: not app.loading)
        await pilot.press("1", "L")
        await wait_for(pilot, lambda: app.loading)
