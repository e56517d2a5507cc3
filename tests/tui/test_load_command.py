"""``:load`` with names of servers, of load tests and of modes, from any screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.errors import UsageError
from opsconsole.profile import Profile
from opsconsole.tui.load_command import plan_of
from tests.load.farside import Far
from tests.tui.load_console import BRIEF, LONG, console, profile_of, shows
from tests.tui.render import screen_text, wait_for

BOTH = "{name: both, mode: latency, dialect: http, path: /x, servers: [one, two], requests: 4}"


@pytest.fixture
def profile(tmp_path: Path, far: Far) -> Profile:
    return profile_of(tmp_path, far, LONG, BRIEF, BOTH)


def test_words_are_servers_and_one_test(profile: Profile) -> None:
    app = console(profile)
    one, two = profile.servers

    def plan(*words: str) -> tuple[str, tuple[str, ...]]:
        found = plan_of(app, words, (two,))
        return found.name, found.servers

    assert plan() == ("long", ("two",))
    assert plan("brief") == ("brief", ("two",))
    assert plan("one", "brief") == plan("brief", "one") == ("brief", ("one",))
    assert plan("both") == ("both", ("one", "two"))  # it says so itself
    assert plan("both", "two") == ("both", ("two",))
    assert plan("one") == ("long", ("one",))
    assert plan("stress", "one", "two") == ("stress", ("one", "two"))
    with pytest.raises(UsageError, match=r"called breif \(did you mean 'brief'"):
        plan("breif")
    with pytest.raises(UsageError, match="one load test at a time, not long and brief"):
        plan("long", "brief")
    with pytest.raises(UsageError, match="needs a rate"):
        plan("rate")
    with pytest.raises(UsageError, match="none is at hand"):
        plan_of(app, (), ())
    assert plan_of(app, ("both",), ()).servers == (one.name, two.name)


def test_a_load_test_of_other_servers_is_not_run_unasked(tmp_path: Path, far: Far) -> None:
    only = "{name: only, mode: load, servers: [one], requests: 4}"
    profile = profile_of(tmp_path, far, only, BOTH)
    app, (one, two) = console(profile), profile.servers
    assert plan_of(app, (), (one,)).name == "only"
    assert plan_of(app, (), (two,)).name == "both"
    assert plan_of(app, ("two", "only"), (one,)).servers == ("two",)  # it is asked for
    alone = profile_of(tmp_path, far, only)
    plan = plan_of(console(alone), (), (two,))
    assert (plan.name, plan.servers, plan.phases[-1].concurrency) == ("load", ("two",), 4)


def test_without_a_load_test_it_is_half_a_minute_of_four_clients(tmp_path: Path, far: Far) -> None:
    bare = profile_of(tmp_path, far)
    plan = plan_of(console(bare), (), bare.servers[:1])
    measured = plan.phases[-1]
    assert (measured.concurrency, measured.duration, plan.servers) == (4, 30.0, ("one",))


async def test_it_works_on_other_screens_and_says_what_it_does_not_know(profile: Profile) -> None:
    app = console(profile)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("2")
        await wait_for(pilot, lambda: app.current_mode == "logs")
        await pilot.press("colon", *"load nothing", "enter")
        said = "no server and no load test is called nothing"
        await wait_for(pilot, lambda: said in " ".join(screen_text(app).split()))
        await pilot.press("colon", *"load brief two", "enter")
        await wait_for(pilot, lambda: app.loading)
        session = app.load_desk.session
        assert session is not None
        assert (session.plan.name, session.servers) == ("brief", ("two",))
        await wait_for(pilot, lambda: app.current_mode == "load")
        await wait_for(pilot, shows(app, "brief"))
        await pilot.press("X")
        await wait_for(pilot, lambda: not app.loading)
        await pilot.press("colon", *"load long", "enter")
        await wait_for(pilot, lambda: app.loading)
        assert app.load_desk.session is not None
        assert app.load_desk.session.plan.name == "long"
        await pilot.press("X")
        await wait_for(pilot, lambda: not app.loading)
        assert app.load_desk.wanted == ("one",)
        await pilot.press("colon", *"load both", "enter")
        await wait_for(pilot, lambda: app.load_desk.session.servers == ("one", "two"))  # type: ignore[union-attr]
        assert app.load_desk.wanted == ("one",)  # the others are not aimed at what it says itself
        await wait_for(pilot, lambda: not app.loading)
