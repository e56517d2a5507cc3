"""A load test at once: ``L`` on a server, and ``:load [SERVER …] [TEST]`` from any screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opsconsole.actions import get
from opsconsole.errors import OpsError, UsageError
from opsconsole.load import MODES, Plan, plan_for, plans
from opsconsole.profile.problems import nearest
from opsconsole.text import clean_line

if TYPE_CHECKING:
    from opsconsole.profile import Profile, Server
    from opsconsole.tui.app import ConsoleApp

CLIENTS = 4
SECONDS = 30.0
"""The load where the profile has no load test."""


def load_at_once(app: ConsoleApp, words: Sequence[str], at_hand: Sequence[Server]) -> None:
    """Start a load test of the profile, or a mode, as the registry wants it confirmed.

    Args:
        words: Names of servers, and one of a load test or a mode; without that one the profile's
            first load test that is not for others, without any half a minute of four clients.
        at_hand: The servers where none is named, and a test that is named says none of its own.
    """
    try:
        plan = plan_of(app, words, at_hand)
    except OpsError as error:
        app.say(str(error), "warning")
        return
    load = app.profile.load(plan.name)
    if load is None or tuple(load.servers or ()) != plan.servers:
        app.load_desk.wanted = plan.servers  # what the test itself says is nobody's choice
    app.load_start(plan, get("server.load"))


def plan_of(app: ConsoleApp, words: Sequence[str], at_hand: Sequence[Server]) -> Plan:
    """What :func:`load_at_once` starts.

    Raises:
        UsageError: a word is neither a server nor a load test, two are load tests, nothing is at
            hand, or the test does not fit.
    """
    profile = app.profile
    known = plans.names(profile)
    servers, tests = [], []
    for word in words:
        if profile.server(word) is not None:
            servers.append(word)
        elif word in known or word in MODES:
            tests.append(word)
        else:
            hint = nearest(word, [*(server.name for server in profile.servers), *known, *MODES])
            raise UsageError(
                f"no server and no load test is called {clean_line(word, 40)}", hint=hint
            )
    if len(tests) > 1:
        raise UsageError(f"one load test at a time, not {' and '.join(tests)}")
    asked = servers or [server.name for server in at_hand]
    test = tests[0] if tests else _first_for(profile, known, asked)
    load = profile.load(test)
    if not servers and not (tests and load is not None and load.servers):
        servers = [server.name for server in at_hand]
        if not servers:
            raise UsageError("which server? none is at hand")
    named = tuple(servers) or None
    plan = plans.find(profile, test, servers=named) if load is not None else None
    if plan is None and test:
        return plan_for(test, servers=named)
    return plan or plan_for("load", concurrency=CLIENTS, duration=SECONDS, servers=named)


def _first_for(profile: Profile, known: Sequence[str], names: Sequence[str]) -> str:
    """The first load test that is for these servers: one that names others sends what may mean
    nothing to these. Empty when there is none."""
    for name in known:
        load = profile.load(name)
        if load is None or not load.servers or set(names) <= set(load.servers):
            return name
    return ""
