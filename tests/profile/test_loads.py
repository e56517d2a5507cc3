from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from opsconsole import profile as profiles
from opsconsole.cli.load import load
from opsconsole.cli.root import root
from opsconsole.load_words import LATEST, VERBS
from opsconsole.profile import units
from opsconsole.profile.loads import (
    MODE_KEYS,
    AbortDoc,
    LoadDoc,
    lengths_of,
    parse_lengths,
    written,
)
from tests.profile.every_load import HEAD, LOADS, REPLAY
from tests.profile.test_profile import problems, write

ALL = LOADS + REPLAY


def complaints(folder: Path, load: str) -> list[str]:
    return problems(folder, f"{HEAD}loads:\n  - {{name: a, {load}}}\n")


def validate(path: Path) -> Result:
    """``opsconsole profile validate``."""
    return CliRunner().invoke(root, ["profile", "validate", str(path)], standalone_mode=False)


def test_every_key_is_read(tmp_path: Path) -> None:
    profile = profiles.load_file(write(tmp_path, HEAD + ALL))
    smoke = profile.load("smoke")
    assert smoke is not None
    assert smoke.servers == ("one", "two")
    assert smoke.document_tokens == "lognormal(70, 0.5)"
    assert (smoke.documents, smoke.query_tokens) == ("20", "4..16")
    assert (smoke.repeat, smoke.check, smoke.think) == (0.5, 0.1, 0.01)
    assert smoke.thresholds == (
        "p95 < 500ms", "success_rate >= 99%", "p99 < 2s over 30s on two",
    )  # fmt: skip
    assert smoke.headers == {"X-Tenant": "a; q=1, b", "X-Number": "5"}
    night, yesterday = profile.load("night"), profile.load("yesterday")
    assert night is not None
    assert night.rate == pytest.approx(10)
    assert yesterday is not None
    assert yesterday.replay == str(tmp_path / "day.jsonl")
    used = {key for load in profile.loads for key in written(load)}
    assert used == set(LoadDoc.__struct_fields__)


def test_what_show_prints_are_the_same_loads(tmp_path: Path) -> None:
    profile = profiles.load_file(write(tmp_path, HEAD + ALL))
    again = profiles.load_file(write(tmp_path, profiles.as_yaml(profile)))
    assert again.loads == profile.loads
    jsonschema.validate(yaml.safe_load(profiles.as_yaml(profile)), profiles.json_schema())


def test_an_abort_is_also_written_in_one_line_as_on_the_command_line(tmp_path: Path) -> None:
    texts = ["error_rate < 50% over 10s after 3", "p95<2s", "p99 < 5s on one after 2"]
    load = f"loads: [{{name: a, mode: load, abort_on: {json.dumps(texts)}}}]"
    found = profiles.load_file(write(tmp_path, HEAD + load)).load("a")
    assert found is not None
    assert found.abort_on == (
        AbortDoc("error_rate < 50%", window=10.0, after=3),
        AbortDoc("p95 < 2s"),
        AbortDoc("p99 < 5s on one", after=2),
    )
    jsonschema.validate(yaml.safe_load(HEAD + load), profiles.json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            yaml.safe_load(f"{HEAD}loads: [{{name: a, mode: load, abort_on: [3]}}]"),
            profiles.json_schema(),
        )


def test_what_was_got_is_said_once(tmp_path: Path) -> None:
    [found] = complaints(tmp_path, "mode: load, thresholds: [p95 < 500]")
    assert found.endswith("such as 500s or 500ms, got '500'")


@pytest.mark.parametrize("mode", ["search", "stress"])
@pytest.mark.parametrize("servers", ["", ", servers: [two, one]"])
def test_a_search_must_know_what_must_hold(tmp_path: Path, mode: str, servers: str) -> None:
    """The servers' promises count, thresholds of its own do, and nothing does not."""
    load = f"loads: [{{name: a, mode: {mode}{servers}}}]"
    none = HEAD.replace(", service_level: {p95: 500ms}", "")
    path = write(tmp_path, none + load)
    assert profiles.load_file(path).loads  # which keeps nobody from watching the servers
    told = validate(path)
    assert told.return_value == 64
    assert f"{path}:3" in told.output
    assert "loads[0].mode" in told.output
    assert "needs to know what the servers promise" in told.output
    own = load.replace("}]", ", thresholds: [p95 < 1s]}]")
    default = "defaults: {service_level: {success_rate: 99%}}\n"
    for text in (HEAD + load, none + own, none + default + load):
        assert validate(write(tmp_path, text)).return_value == 0


def test_the_schema_knows_the_loads() -> None:
    schema = profiles.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(HEAD + ALL), schema)
    for wrong in ("{name: a, mode: lod}", "{name: a}", "{name: a, mode: load, request: 4}"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(f"{HEAD}loads: [{wrong}]"), schema)


@pytest.mark.parametrize(
    ("load", "complaint"),
    [
        ("mode: lod", "loads[0].mode: 'lod' is not one of load, "),
        ("mode: lod", "did you mean 'load'?"),
        ("mode: load, request: 5", "loads[0].request: unknown key (did you mean 'requests'?)"),
        ("mode: load, requests: 0", "loads[0].requests: expected `int` >= 1"),
        ("mode: load, requests: many", "expected `int`, got `str`"),
        ("mode: load, servers: [oen]", "loads[0].servers[0]: there is no server 'oen' "
                                       "(did you mean 'one'?)"),
        ("mode: load, servers: [one, one]", "loads[0].servers[1]: 'one' is already in the list"),
        ("mode: load, servers: []", "there is no server"),
        ("mode: load, rate: 5", "loads[0].rate: the mode load has no rate (these have: soak"),
        ("mode: throughput, think: 1s", "the mode throughput has no think"),
        ("mode: latency, concurrency: 4", "the mode latency has one client"),
        ("mode: rate", "loads[0].mode: the mode rate needs a rate"),
        ("mode: rate, rate: 0", "loads[0].rate: must be more than 0"),
        ("mode: rate, rate: fast", "expected a rate such as 50/s or 600/m"),
        ("mode: rate, rate: 5, concurrency: 2", "the mode rate has no concurrency"),
        ("mode: rate, rate: 5, arrivals: recorded", "belong to the mode replay"),
        ("mode: rate, rate: 5, duration: 0s", "loads[0].duration: must be more than 0s"),
        ("mode: soak, rate: 5, concurrency: 2", "they exclude each other"),
        ("mode: soak, rate: 5, think: 1s", "only clients think"),
        ("mode: soak, concurrency: 5, arrivals: poisson", "arrivals needs a rate"),
        ("mode: soak, max_in_flight: 5", "max_in_flight needs a rate"),
        ("mode: spike", "loads[0].mode: a spike needs stages, or a base"),
        ("mode: ramp", "a ramp needs stages"),
        ("mode: ramp, stages: []", "there is no stage"),
        ("mode: ramp, rate: 5, stages: [{rate: 5, duration: 1s}]",
         "rate and stages exclude each other"),
        ("mode: ramp, stages: [{rate: 5}]", "the key 'duration' is missing"),
        ("mode: ramp, stages: [{duration: 5s}]",
         "loads[0].stages[0]: a stage has either a rate or a concurrency"),
        ("mode: ramp, stages: [{rate: 5, duration: 1s}, {concurrency: 5, duration: 1s}]",
         "loads[0].stages[1].concurrency: stages are all of rates or all of clients"),
        ("mode: ramp, stages: [{rate: 5, duration: 0s}]", "must be more than 0s"),
        ("mode: ramp, stages: [{rate: 0, duration: 1s}]", "or lead to a rate"),
        ("mode: ramp, stages: [{concurrency: 2, to: 2.5, duration: 1s}]", "half a client"),
        ("mode: ramp, stages: [{concurrency: 2, to: 0, duration: 1s}]", "from 1 to 100000"),
        ("mode: load, stages: [{rate: 5, duration: 1s}]", "the mode load has no stages"),
        ("mode: replay", "the mode replay needs a file"),
        ("mode: replay, replay: f, arrivals: recorded, rate: 5", "contradicts recorded arrivals"),
        ("mode: load, replay: f, documents: 5", "replayed requests have their own documents"),
        ("mode: load, documents: few", "expected a number, a range such as 4..16"),
        ("mode: load, documents: 0", "expected numbers from 1"),
        ("mode: load, documents: 9..4", "the lower number first"),
        ("mode: load, query_tokens: 'lognormal(70, 9)'", "a sigma from 0 to 3"),
        ("mode: load, dialect: coher", "did you mean 'cohere'?"),
        ("mode: load, dialect: http", "the dialect http needs a path"),
        ("mode: load, dialect: http, path: /x, documents: 4", "sends what you write"),
        ("mode: load, body: x", "body belongs to the dialect http"),
        ("mode: load, dialect: http, path: x", "'x' is not a path"),
        ("mode: load, dialect: http, path: '/a b'", "is not a path"),
        ("mode: load, dialect: http, path: /, method: get", "'get' is not a method"),
        ("mode: load, headers: {A B: x}", "loads[0].headers.A B: not the name of a header"),
        ("mode: load, headers: {Authorization: Bearer hunter2}", "a secret in clear is refused"),
        ("mode: load, headers: {Content-Length: 5}", "writes this header itself"),
        ('mode: load, headers: {A: "x\\r\\nB: y"}', "one printable line"),
        ("mode: load, thresholds: [p59 < 1s]",
         "loads[0].thresholds[0]: unknown metric 'p59': did you mean 'p9"),
        ("mode: load, thresholds: [p95 < 99%]", "expected a duration"),
        ("mode: load, thresholds: p95 < 1s", "expected a list"),
        ("mode: search, thresholds: [goodput > 5/s]", "sets the rate itself"),
        ("mode: load, thresholds: [p95 < 1s on two]",
         "loads[0].thresholds[0]: 'two' is not loaded (known: one)"),
        ("mode: load, servers: [one, two], thresholds: [p95 < 1s on tow]", "did you mean 'two'?"),
        ("mode: load, abort_on: [{threshold: p95 < 1s on x}]",
         "loads[0].abort_on[0].threshold: 'x' is not loaded"),
        ("mode: load, abort_on: [{threshold: p95 < 1s over 5s}]", "its window is a key of its own"),
        ("mode: load, thresholds: [p95 < 1s over 5]", "over: expected a duration"),
        ("mode: search, thresholds: [p95 < 1s over 5s]", "not over a window"),
        ("mode: search, duration: 10ms", "lasts at least 1s"),
        ("mode: search, tolerance: 0%", "loads[0].tolerance: expected from 1% to 100%"),
        ("mode: search, tolerance: 10", "expected a share"),
        ("mode: search, most: 0", "loads[0].most: must be more than 0"),
        ("mode: search, rate: 50, most: 20", "below the rate that the search starts with"),
        ("mode: search, confirm: -1", "expected `int` >= 0"),
        ("mode: search, confirm: 21", "expected `int` <= 20"),
        ("mode: search, think: 1s", "the mode search has no think"),
        ("mode: stress, most: 20", "the mode stress has no most (these have: search)"),
        ("mode: load, documents: 100001", "expected numbers from 1 to 100000"),
        ("mode: load, documents: ٣", "expected a number"),
        ("mode: load, abort_on: [{threshold: error_rate > 10%}]",
         "did you mean error_rate < 10%?"),
        ("mode: load, abort_on: [{threshold: p95 < 1s, window: 10ms}]", "must be at least 1s"),
        ("mode: load, abort_on: [3]", "a threshold, such as error_rate < 50% over 10s after 3"),
        ("mode: load, abort_on: [p95 < 1s after 0]", "at least 1 second after `after`"),
        ("mode: load, abort_on: [p95 < 500]", "such as 500s or 500ms, got '500'"),
        ("mode: load, abort_on: [[p95 < 1s]]", "expected keys and values"),
        ("mode: load, timeout: 0s", "must be more than 0s"),
        ("mode: load, upstream_header: 'X Y'", "is not the name of a header"),
        ("mode: load, repeat: 7", "expected a share"),
    ],
)  # fmt: skip
def test_mistakes_name_line_key_and_what_to_write(
    tmp_path: Path, load: str, complaint: str
) -> None:
    found = complaints(tmp_path, load)
    assert any(complaint in line for line in found), found
    assert all(line.startswith("4: loads[0]") for line in found)
    assert not any("hunter2" in line for line in found)


def test_names_are_unique_and_no_modes(tmp_path: Path) -> None:
    text = f"{HEAD}loads: [{{name: a, mode: load}}, {{name: a, mode: load}}, "
    found = problems(tmp_path, text + "{name: search, mode: load}]\n")
    assert "'a' is already the name of loads[0]" in found[0]
    assert "'search' is the name of a mode" in found[1]


@pytest.mark.parametrize("name", [*VERBS, LATEST])
def test_what_means_something_else_is_no_name(tmp_path: Path, name: str) -> None:
    [found] = problems(tmp_path, f"{HEAD}loads:\n  - {{name: {name}, mode: load}}\n")
    assert found.startswith(f"4: loads[0].name: {name!r} means ")


def test_no_verb_of_load_is_left_out() -> None:
    assert set(VERBS) == set(load.commands)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    loads = "loads:\n  - name: a\n    mode: spike\n    servers: [x]\n    timeout: 0s\n    body: b\n"
    found = problems(tmp_path, HEAD + loads)
    assert [line.split(":")[0] for line in found] == ["5", "6", "7", "8"]


@pytest.mark.parametrize("mode", sorted(MODE_KEYS))
def test_a_mode_with_what_it_needs_is_no_mistake(tmp_path: Path, mode: str) -> None:
    needs = {"rate": ", rate: 5", "spike": ", rate: 5", "ramp": ", concurrency: 5",
             "replay": ", replay: f"}  # fmt: skip
    text = f"{HEAD}loads: [{{name: a, mode: {mode}{needs.get(mode, '')}}}]\n"
    assert profiles.load_file(write(tmp_path, text)).loads


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.floats(0, 3))
def test_lengths_that_are_written_are_read_again(low: int, high: int, sigma: float) -> None:
    assert lengths_of(parse_lengths(low)) == ("fixed", low, 0)
    low, high = sorted((low, high))
    assert lengths_of(parse_lengths(f"{low}..{high}")) == ("uniform", low, high)
    text = parse_lengths(f"lognormal({low}, {sigma:.3f})")
    assert lengths_of(text) == ("lognormal", low, pytest.approx(sigma, abs=1e-3))


@pytest.mark.parametrize(("text", "rate"), [(50, 50), ("50/s", 50), ("90 / m", 1.5), (0.5, 0.5)])
def test_rates(text: object, rate: float) -> None:
    assert units.parse_rate(text) == rate
    assert units.parse_rate(units.format_rate(rate)) == rate


@pytest.mark.parametrize(
    "bad", ["50", "-5/s", "5/d", -1, 1e7, float("nan"), float("inf"), True, None, []]
)
def test_bad_rates_are_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"expected a rate"):
        units.parse_rate(bad)
