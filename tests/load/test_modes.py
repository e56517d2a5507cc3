from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsconsole import profile as profiles
from opsconsole.errors import UsageError
from opsconsole.load import option_values, plans
from opsconsole.load import plan as contract
from opsconsole.load.modes import NUMBERS, plan_for
from opsconsole.load.plan import Abort, Lengths, Phase, Plan, Search
from opsconsole.load.summary import law
from opsconsole.profile import loads
from tests.profile.test_loads import ALL, HEAD
from tests.profile.test_profile import write


def measured(plan: Plan) -> list[Phase]:
    return [phase for phase in plan.phases if phase.measured]


def only(plan: Plan) -> Phase:
    (phase,) = measured(plan)
    return phase


def test_every_mode_has_its_numbers_and_its_keys() -> None:
    assert set(NUMBERS) == set(contract.MODES) == set(loads.MODE_KEYS)


@pytest.mark.parametrize(
    ("mode", "numbers", "requests", "clients"),
    [
        ("load", (100, 4), 100, 4),
        ("throughput", (200, 8), 200, 8),
        ("latency", (), 50, 1),
        ("latency", (20,), 20, 1),
        ("load", (), 100, 4),
        ("load", (7.0,), 7, 4),
    ],
)
def test_the_checklists_lines(
    mode: str, numbers: tuple[float, ...], requests: int, clients: int
) -> None:
    plan = plan_for(mode, numbers=numbers)
    assert (plan.name, plan.mode) == (mode, mode)
    phase = only(plan)
    assert (phase.requests, phase.concurrency, phase.duration) == (requests, clients, None)
    warm_up = plan.phases[0]
    assert not warm_up.measured
    assert warm_up.requests == max(5, clients)


@pytest.mark.parametrize("text", ["50", "50/s", " 50 / s", "3000/m", "50.0"])
def test_a_rate_is_a_number_with_or_without_its_unit(text: str) -> None:
    assert only(plan_for("rate", numbers=(text,))).rate == 50
    search = plan_for("search", numbers=(text,)).search
    assert search is not None
    assert search.start == 50


def test_one_is_no_plural() -> None:
    assert law(only(plan_for("load", numbers=("1", "1")))) == "1 client, 1 request"
    names = [phase.name for phase in measured(plan_for("ramp", concurrency=2, duration="4s"))]
    assert names == ["stage 1: 1 client", "stage 1: 2 clients"]


def test_stress_is_steps_of_as_many_requests() -> None:
    plan = plan_for("stress", numbers=(500, 16))
    assert plan.steps is not None
    assert (plan.steps.requests, plan.steps.most, plan.steps.duration) == (500, 16, None)
    assert not measured(plan)
    plan = plan_for("stress")
    assert plan.steps is not None
    assert (plan.steps.requests, plan.steps.most, plan.steps.duration) == (None, 256, 10)


def test_other_defaults() -> None:
    assert (only(plan_for("throughput")).duration, only(plan_for("throughput")).concurrency) == (
        20,
        8,
    )
    soak = only(plan_for("soak"))
    assert (soak.duration, soak.concurrency) == (600, 4)
    soak = only(plan_for("soak", rate="600/m", arrivals="poisson"))
    assert (soak.duration, soak.rate, soak.arrivals, soak.is_open) == (600, 10, "poisson", True)
    rate = only(plan_for("rate", numbers=(50,)))
    assert (rate.rate, rate.duration, rate.arrivals, rate.requests) == (50, 30, "constant", None)
    rate = only(plan_for("rate", rate=50, requests=100))
    assert (rate.duration, rate.requests) == (None, 100)
    search = plan_for("search", rate=20, duration="5s", warmup="1s").search
    assert search is not None
    assert (search.start, search.duration, search.warmup, search.arrivals) == (20, 5, 1, "poisson")


def test_the_bounds_of_a_search_and_the_thought_of_a_stress_test() -> None:
    plan = plan_for("search", tolerance="5%", most="600/m", confirm=4)
    assert plan.search == Search(start=4.0, tolerance=0.05, most=10.0, confirm=4)
    plan = plan_for("stress", think="50ms")
    assert plan.steps is not None
    assert plan.steps.think == 0.05
    with pytest.raises(UsageError, match="the mode rate has no tolerance"):
        plan_for("rate", rate=5, tolerance="5%")


def test_a_spike_is_its_base_five_times_its_base_and_its_base() -> None:
    plan = plan_for("spike", rate=10, duration="50s")
    assert [phase.rate for phase in measured(plan)] == [10, 50, 10]
    assert [phase.duration for phase in measured(plan)] == [20, 10, 20]
    assert [phase.concurrency for phase in measured(plan_for("spike", concurrency=2))] == [2, 10, 2]


def test_ramps_and_stages() -> None:
    (ramp,) = measured(plan_for("ramp", rate=100))
    assert (ramp.rate, ramp.rate_end, ramp.duration) == (0, 100, 60)
    clients = measured(plan_for("ramp", concurrency=5, duration="10s", think="1s"))
    assert [phase.concurrency for phase in clients] == [1, 2, 3, 4, 5]
    assert all(phase.duration == 2 and phase.think == 1 for phase in clients)
    many = measured(plan_for("ramp", concurrency=1000, duration="1m"))
    assert len(many) == 20
    assert (many[0].concurrency, many[-1].concurrency) == (1, 1000)
    assert sum(phase.duration or 0 for phase in many) == pytest.approx(60)
    stages = measured(plan_for("ramp", stages=("10..50/s 30s", "50/s 1m")))
    assert [(p.rate, p.rate_end, p.duration) for p in stages] == [(10, 50, 30), (50, None, 60)]
    assert [p.concurrency for p in measured(plan_for("spike", stages=("1 5s", "9..8 5s")))] == [
        1,
        9,
        8,
    ]


def test_warm_up() -> None:
    assert plan_for("load", warmup="0s").phases[0].measured
    warm, phase = plan_for("rate", rate=50, warmup="3s", arrivals="poisson").phases
    assert (warm.measured, warm.rate, warm.duration, warm.arrivals) == (False, 50, 3, "poisson")
    assert (phase.measured, phase.duration) == (True, 30)
    warm, _ = plan_for("rate", rate=50).phases
    assert (warm.requests, warm.concurrency) == (5, 1)
    warm, _ = plan_for("load", concurrency=9, warmup=3).phases
    assert (warm.requests, warm.concurrency, warm.duration) == (None, 9, 3)


def test_everything_else_reaches_the_plan() -> None:
    plan = plan_for(
        "load", name="mine", servers=("a", "b"), documents=20, document_tokens="lognormal(70, 0.5)",
        query_tokens="4..16", dialect="tei", seed=3, repeat="50%", check=0.1, headers={"X-A": "b"},
        thresholds=("p95<1s",), abort_on=("error_rate < 50% over 5s after 2", "p99 < 5s"),
        timeout="5s", upstream_header="X-Upstream", processes=2, think=None, stages=(), top_n=3,
        model="m", path="/rank",
    )  # fmt: skip
    assert (plan.name, plan.mode, plan.servers) == ("mine", "load", ("a", "b"))
    work = plan.work
    assert work.documents == Lengths("fixed", 20)
    assert work.document_tokens == Lengths("lognormal", 70, 0.5)
    assert work.query_tokens == Lengths("uniform", 4, 16)
    assert (work.dialect, work.seed, work.repeat, work.check) == ("tei", 3, 0.5, 0.1)
    assert (work.headers, work.top_n, work.model, work.path) == ({"X-A": "b"}, 3, "m", "/rank")
    assert plan.thresholds == ("p95 < 1s",)
    assert plan.aborts == (Abort("error_rate < 50%", 5.0, 2), Abort("p99 < 5s"))
    assert (plan.timeout, plan.upstream_header, plan.processes) == (5, "X-Upstream", 2)
    assert plan_for("rate", rate=5, max_in_flight=9).max_in_flight == 9


def test_numbers_may_be_text_as_a_command_line_has_them() -> None:
    plan = plan_for("rate", rate="50", check="0.25", repeat="1", documents="10", duration="1m")
    assert (only(plan).rate, only(plan).duration) == (50, 60)
    assert (plan.work.check, plan.work.repeat) == (0.25, 1)
    assert plan.work.documents == Lengths("fixed", 10)


@pytest.mark.parametrize(
    ("mode", "options", "complaint"),
    [
        ("lod", {}, "there is no load test 'lod' (did you mean 'load'?)"),
        ("load", {"numbers": (1, 2, 3)}, "takes 2 numbers, got 3 (they are REQUESTS and"),
        ("soak", {"numbers": (1,)}, "takes no numbers, got 1 (use options"),
        ("load", {"numbers": (5,), "requests": 6}, "requests is given twice: 5 and 6"),
        ("load", {"numbers": (0,)}, "requests: expected `int` >= 1"),
        ("load", {"numbers": (1.5,)}, "requests: expected `int`, got `float`"),
        ("load", {"numbers": (float("nan"),)}, "requests: expected `int`"),
        ("load", {"rate": 5}, "rate: the mode load has no rate"),
        ("load", {"duration": "5"}, "duration: expected a duration such as"),
        ("load", {"thresholds": ("p59 < 1s",)}, "thresholds: unknown metric 'p59'"),
        ("load", {"abort_on": ("error_rate > 1%",)}, "abort_on: a threshold says what must hold"),
        ("load", {"check": "7"}, "check: expected a share such as"),
        ("rate", {"rate": "fast"}, "rate: expected a rate such as"),
        ("load", {"colour": 5}, "there is no option 'colour'"),
        ("load", {"timeout": 0}, "timeout: must be more than 0s"),
        ("load", {"headers": {"A B": "x"}}, "headers: 'A B' is not the name of a header"),
        ("rate", {}, "the mode rate needs a rate"),
        ("spike", {}, "a spike needs stages"),
        ("ramp", {"stages": ("10/s",)}, "stages: '10/s' is no stage"),
        ("ramp", {"stages": ("0.5 10s",)}, "stages: expected a number of clients"),
        ("soak", {"rate": 5, "concurrency": 5}, "exclude each other"),
        ("replay", {"replay": "/nowhere.jsonl"}, "/nowhere.jsonl: cannot be read"),
    ],
)
def test_mistakes(mode: str, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_for(mode, **options)
    assert complaint in str(caught.value)


def test_replay(tmp_path: Path) -> None:
    bodies, timed = tmp_path / "bodies.jsonl", tmp_path / "timed.jsonl"
    bodies.write_text('{"query": "a"}\n\n{"query": "b"}\n')
    timed.write_text(json.dumps({"at": 0.5, "body": {"query": "a"}}) + "\n")
    phase = only(plan_for("replay", replay=str(bodies)))
    assert (phase.requests, phase.concurrency, phase.arrivals) == (2, 1, "constant")
    phase = only(plan_for("replay", replay=str(bodies), rate=5))
    assert (phase.requests, phase.rate) == (2, 5)
    phase = only(plan_for("replay", replay=str(bodies), numbers=(9, 3)))
    assert (phase.requests, phase.concurrency) == (9, 3)
    plan = plan_for("replay", replay=str(timed))
    assert plan.phases == (Phase(name="replay", arrivals="recorded", recorded=0.0),)
    assert only(plan_for("replay", replay=str(timed), concurrency=2)).concurrency == 2
    with pytest.raises(UsageError, match="use up recorded"):
        plan_for("replay", replay=str(timed), warmup="1s")
    timed.write_text("\n")
    with pytest.raises(UsageError, match="no request in it"):
        plan_for("replay", replay=str(timed))


def test_the_loads_of_a_profile(tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_text('{"at": 0, "body": {}}\n')
    profile = profiles.load_file(write(tmp_path, HEAD + ALL))
    for name in plans.names(profile):
        plan = plans.find(profile, name)
        assert plan is not None
        assert plan.name == name
    assert plans.find(profile, "nothing") is None
    changed = plans.find(profile, "smoke", numbers=(7,), thresholds=("p50 < 1s",), warmup="0s")
    assert changed is not None
    assert (only(changed).requests, only(changed).concurrency) == (7, 4)
    assert changed.thresholds == ("p50 < 1s",)
    with pytest.raises(UsageError, match="exclude each other"):
        plans.find(profile, "night", concurrency=4)


def test_the_types_of_the_keys_are_evaluated_once() -> None:
    # A form asks for each key at each keystroke.
    assert option_values._hints() is option_values._hints()


@pytest.mark.parametrize("options", [
    {"body": "a\udcffb", "dialect": "http", "path": "/x"}, {"model": "\udcff"},
    {"replay": "/tmp/rp\udcff"}, {"headers": {"X-A": "\udcff"}}, {"thresholds": ("p95 < \udcff",)},
])  # fmt: skip
def test_half_a_character_is_a_mistake(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="not Unicode text"):
        plan_for("load", **options)
