from __future__ import annotations

from collections import defaultdict

import pytest

from opsconsole.actions import ACTIONS, Action, Confirm, Scope, confirmation, get
from opsconsole.cli.root import VERBS
from opsconsole.profile import Profile, Server

SERVERS = (Server(name="a", url="http://127.0.0.1:1"),)


def profile(environment: str) -> Profile:
    return Profile(name="p", servers=SERVERS, environment=environment)  # type: ignore[arg-type]


def test_ids_are_unique_and_begin_with_their_scope() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert all(action.id.split(".")[0] == action.scope for action in ACTIONS)


@pytest.mark.parametrize("action", [a for a in ACTIONS if a.key], ids=lambda a: a.id)
def test_lower_case_keys_never_change_anything(action: Action) -> None:
    if action.mutates:
        for key in action.key.split(","):
            # + and - change a load test that is under way, which was asked for.
            assert key.isupper() or key.startswith("ctrl+") or key in ("plus", "minus")


def test_no_key_means_two_things_on_one_screen() -> None:
    keys: dict[tuple[str, str], list[str]] = defaultdict(list)
    for action in ACTIONS:
        screen = "server" if action.scope is Scope.FLEET else str(action.scope)
        for key in filter(None, action.key.split(",")):
            keys[screen, key].append(action.id)
    assert [ids for ids in keys.values() if len(ids) > 1] == []


def test_what_mutates_has_a_command_line_verb() -> None:
    for action in ACTIONS:
        if action.mutates:
            assert action.verb
        if action.verb and not action.verb.startswith("-"):
            assert action.verb.split()[0] in VERBS


def test_production_asks_for_its_name_before_a_server_stops() -> None:
    for id in ("server.stop", "server.restart", "fleet.rolling"):
        assert confirmation(get(id), profile("development"), 1) is Confirm.YES
        assert confirmation(get(id), profile("production"), 1) is Confirm.NAME
    start = get("server.start")
    assert confirmation(start, profile("development"), 1) is Confirm.NEVER
    assert confirmation(start, profile("development"), 3) is Confirm.YES
    assert confirmation(start, profile("production"), 1) is Confirm.YES
    assert confirmation(get("server.logs"), profile("production"), 9) is Confirm.NEVER


def test_production_asks_for_its_name_before_it_is_loaded_and_not_again_for_a_change() -> None:
    for id in ("server.load", "load.start", "load.repeat"):
        assert confirmation(get(id), profile("development"), 1) is Confirm.NEVER
        assert confirmation(get(id), profile("production"), 1) is Confirm.NAME
    for id in ("load.pause", "load.faster", "load.slower", "load.stop"):
        assert confirmation(get(id), profile("production"), 1) is Confirm.NEVER
