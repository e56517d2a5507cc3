from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opsconsole import profile as profiles
from opsconsole.cli.load import load
from opsconsole.load_words import LATEST, VERBS
from opsconsole.profile import units
from opsconsole.profile.loads import MODE_KEYS, LoadDoc, lengths_of, parse_lengths, written
from tests.profile.test_profile import problems, write

HEAD = "name: x\nservers: [{name: one, url: 'http://h:1'}, {name: two, url: 'http://h:2'}]\n"
ALL = """\
loads:
  - name: smoke
    mode: load
    servers: [one, two]
    requests: 100
    concurrency: 4
    warmup: 2s
    think: 10ms
    documents: 20
    document_tokens: lognormal(70,0.5)
    query_tokens: 4 .. 16
    dialect: cohere
    model: m
    top_n: 3
    seed: 7
    repeat: 50%
    check: 0.1
    path: /v2/rerank
    headers: {X-Tenant: a, X-Number: 5}
    thresholds: ["p95<500ms", success_rate >= 99%, p99 < 2s over 30s on two]
    abort_on: [{threshold: error_rate < 50%, window: 5s, after: 2}, {threshold: p99 < 5s}]
    timeout: 10s
    upstream_header: X-Upstream
    processes: 2
  - {name: night, mode: soak, rate: 600/m, duration: 8h, arrivals: poisson, max_in_flight: 50}
  - name: waves
    mode: ramp
    stages: [{rate: 0, to: 50, duration: 30s}, {rate: 50/s, duration: 1m}]
  - {name: crowd, mode: spike, stages: [{concurrency: 1, to: 9, duration: 9s}]}
  - {name: yesterday, mode: replay, replay: day.jsonl, arrivals: recorded}
  - {name: ping, mode: rate, rate: 5, dialect: http, path: /health, method: POST, body: "{}"}
  - {name: most, mode: search, rate: 4, duration: 5s, warmup: 0s, tolerance: 5%,
     most: 600/m, confirm: 3}
"""


def complaints(folder: Path, load: str) -> list[str]:
    return problems(folder, f"{HEAD}loads:\n  - {{name: a, {load}}}\n")


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
    assert smoke.headers == {"X-Tenant": "a", "X-Number": "5"}
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
        ("mode: load, abort_on: [p95 < 1s]", "expected keys and values"),
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
