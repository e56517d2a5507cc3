"""A load test in the form: what a person types, the plan it makes, and every mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.load import MODES, plan_for, plans
from opsconsole.load.plan import Mode
from opsconsole.profile import Profile, Server, ServiceLevel, load_file
from opsconsole.tui.load_draft import Draft, drafts
from opsconsole.tui.load_fields import FIELDS, fields_of
from opsconsole.tui.plan_words import KINDS, in_words
from tests.profile.every_load import HEAD, LOADS


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + LOADS)
    return load_file(path)


def of_mode(mode: Mode, **texts: str) -> Draft:
    draft = Draft.of_mode(mode)
    draft.texts.update(texts)
    return draft


def test_an_untouched_draft_is_the_profile_s_own_plan(profile: Profile) -> None:
    for load in profile.loads:
        draft = Draft.of(load)
        assert not draft.changed
        assert draft.check(profile).errors == {}
        assert draft.check(profile).plan == plans.find(profile, load.name)


def test_what_the_form_shows_can_be_typed_again(profile: Profile) -> None:
    for load in profile.loads:
        if load.name == "ping":
            continue  # its body has two lines, a field one
        typed = Draft(load.name, load.mode, dict(Draft.of(load).texts))
        assert typed.check(profile).errors == {}
        assert typed.check(profile).plan == plans.find(profile, load.name)


def test_a_body_of_two_lines_stays_as_it_is_unless_it_is_typed_over(profile: Profile) -> None:
    load = profile.load("ping")
    assert load is not None
    draft = Draft.of(load)
    draft.texts["rate"] = "7/s"
    plan = draft.check(profile).plan
    assert plan is not None
    assert (plan.work.body, plan.phases[-1].rate) == ("{}\n{}", 7)
    assert "\n" not in draft.texts["body"]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "replay"])
def test_every_mode_can_be_started_as_it_is_offered(mode: Mode, profile: Profile) -> None:
    checked = of_mode(mode).check(profile)
    assert checked.errors == {}
    assert checked.plan is not None
    assert [server.name for server in checked.servers] == ["one"]
    words = in_words(checked.plan, checked.servers)
    assert words.to.startswith("one, http://h:1; 10 documents of about 70 words")
    assert words.expects == "p95 <= 500ms (service level)"
    assert words.sends
    assert mode in KINDS


def test_all_mistakes_are_found_at_once_each_at_its_field(profile: Profile) -> None:
    draft = of_mode(
        "load", requests="x", concurrency="0", duration="30", documents="a", servers="nobody",
        thresholds="p95 > 3s", headers="nix", check="200%",
    )  # fmt: skip
    checked = draft.check(profile)
    assert checked.plan is None
    assert checked.errors["requests"] == "expected a whole number, such as 100"
    assert checked.errors["concurrency"] == "expected a whole number >= 1"
    assert "500ms, 30s" in checked.errors["duration"]
    assert "4..16" in checked.errors["documents"]
    assert "no server 'nobody'" in checked.errors["servers"]
    assert "did you mean p95 < 3s?" in checked.errors["thresholds"]
    assert "NAME: VALUE" in checked.errors["headers"]
    assert "99%" in checked.errors["check"]


@pytest.mark.parametrize(
    ("mode", "texts", "key", "words"),
    [
        ("rate", {"rate": ""}, "rate", "needs a rate"),
        ("replay", {}, "replay", "needs a file"),
        ("replay", {"replay": "/nowhere/x.jsonl"}, "replay", "cannot be read"),
        ("ramp", {"concurrency": ""}, "concurrency", "needs stages"),
        ("soak", {"rate": "5/s", "concurrency": "4"}, "concurrency", "exclude each other"),
        ("load", {"dialect": "http"}, "dialect", "needs a path"),
        ("load", {"dialect": "http", "path": "/x", "documents": "3"}, "documents", "http sends"),
        ("spike", {"concurrency": "", "stages": "nonsense"}, "stages", "is no stage"),
    ],
)
def test_a_mistake_of_the_whole_stands_at_a_field_that_is_shown(
    mode: Mode, texts: dict[str, str], key: str, words: str, profile: Profile
) -> None:
    draft = of_mode(mode, **texts)
    errors = draft.check(profile).errors
    assert words in errors[key]
    assert key in {field.key for field in fields_of(mode, draft.texts)}


def test_a_profile_without_servers_cannot_be_loaded() -> None:
    checked = of_mode("load").check(Profile(name="none", servers=()))
    assert checked.errors["servers"] == "this profile has no servers"


def test_the_form_has_every_key_of_a_load_test(profile: Profile) -> None:
    from opsconsole.profile.loads import LoadDoc

    assert {field.key for field in FIELDS} == set(LoadDoc.__struct_fields__) - {"name", "mode"}
    for mode in MODES:
        for field in fields_of(mode, {}):
            assert len(field.note) <= 42, field
    assert [key.split()[0] for key in drafts(profile)] == ["profile"] * 6 + ["mode"] * 10


@pytest.mark.parametrize(
    ("mode", "options", "words"),
    [
        ("load", {"requests": 100, "concurrency": 4},
         "4 clients for 100 requests, each waits for its answer; 5 to warm up"),
        ("latency", {"requests": 7, "warmup": "0s"}, "1 client for 7 requests, one request at a"),
        ("rate", {"rate": "50/s", "duration": "9s", "arrivals": "poisson"},
         "50/s at random for 9s, whatever the servers do"),
        ("rate", {"rate": "50/m", "duration": "9s"}, "50/m evenly for 9s"),
        ("rate", {"rate": "12.5/s", "duration": "9s"}, "12.5/s evenly for 9s"),
        ("rate", {"rate": "12345/s", "duration": "9s"}, "12,345/s evenly for 9s"),
        ("stress", {"concurrency": 16, "requests": 500}, "1, 2, 4 … 16 clients, 500 requests each"),
        ("search", {"rate": 4}, "4/s, doubled until it breaks, then halfway between; 10s each"),
        ("ramp", {"concurrency": 9, "duration": "9s"}, "1 → 9 clients within 9s"),
        ("ramp", {"rate": 9, "duration": "9s"}, "0 → 9/s evenly for 9s"),
        ("spike", {"concurrency": 2}, "2 clients, 24s, then 10 clients, 12s, then 2 clients, 24s"),
    ],
)  # fmt: skip
def test_a_plan_in_words(mode: Mode, options: dict[str, object], words: str) -> None:
    server = Server(name="one", url="http://h:1", service_level=ServiceLevel())
    assert in_words(plan_for(mode, **options), [server]).sends.startswith(words)


def test_a_plan_is_told_without_its_secrets() -> None:
    server = Server(name="one", url="http://h:1", service_level=ServiceLevel())
    words = in_words(plan_for("load", dialect="http", path="/x?api_key=abcd&n=1"), [server])
    assert "GET /x?api_key=***&n=1" in words.to


def test_work_and_expectations_in_words() -> None:
    servers = [Server(name=name, url=f"http://{name}:1") for name in ("a", "b")]
    plan = plan_for(
        "load", servers=("a", "b"), dialect="tei", repeat="30%", documents="5..20",
        document_tokens="1", abort_on=("p95 < 2s",),
    )  # fmt: skip
    words = in_words(plan, servers)
    assert words.to == ("2 in turn: a, b; 5 to 20 documents of 1 word, 30% sent before, as tei")
    assert words.expects == "nothing: it only measures; stops early when this breaks: p95 < 2s"
    http = plan_for("load", dialect="http", path="/health")
    assert in_words(http, servers[:1]).to == "a, http://a:1; GET /health"
