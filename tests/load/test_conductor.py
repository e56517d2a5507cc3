from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from opsconsole.errors import UsageError
from opsconsole.load.conductor import conduct
from opsconsole.load.ladders import Clients, Rates
from opsconsole.load.modes import plan_for
from opsconsole.load.plan import Phase, Plan, Search, Steps
from opsconsole.load.probes import Probe, growth, probe_of, standing, wall
from opsconsole.load.records import Client, Conclusion, PhaseResult, Totals
from opsconsole.profile.threshold import Threshold, parse_threshold

Serve = Callable[[Sequence[Phase]], list[PhaseResult]]
FAST = [parse_threshold("p95 < 500ms")]
GOOD = [parse_threshold("success_rate > 99%")]


def result(
    phase: Phase, times: Sequence[float], errors: int = 0, client: Client | None = None
) -> PhaseResult:
    ended = len(times) + errors
    totals = Totals(sent=ended, ended=ended, good=len(times))
    if errors:
        totals.errors["HTTP 503 queue_full"] = errors
    for histogram in (totals.response, totals.service):
        histogram.record(int(seconds * 1e9) for seconds in times)
    seconds = phase.duration or 10.0
    return PhaseResult(
        phase=phase, seconds=seconds, totals={"a": totals}, client=client or Client(due=ended)
    )


def queue(capacity: float, seed: int = 1) -> Serve:
    """A server that answers one after the other, each in ``1 / capacity`` seconds, any number
    waiting; closed loops by the law of a queue of all clients."""
    chance = random.Random(seed)

    def serve(phases: Sequence[Phase]) -> list[PhaseResult]:
        free, begin, results = 0.0, 0.0, []
        for phase in phases:
            if phase.concurrency is not None:
                results.append(result(phase, [phase.concurrency / capacity] * 100))
                continue
            assert phase.rate is not None
            assert phase.duration is not None
            moment, times = begin, []
            while (moment := moment + chance.expovariate(phase.rate)) < begin + phase.duration:
                free = max(free, moment) + 1 / capacity
                times.append(free - moment)
            begin += phase.duration
            results.append(result(phase, times))
        return results

    return serve


def run(
    plan: Plan, thresholds: Sequence[Threshold], serve: Serve, probes: int = 1000
) -> tuple[Conclusion | None, list[tuple[Phase, ...]]]:
    """What is concluded, and what was run; told to stop after ``probes``."""
    conductor = conduct(plan, thresholds)
    ran = [next(conductor)]
    try:
        while True:
            results = serve(ran[-1]) if len(ran) <= probes else []
            ran.append(conductor.send(results))
    except StopIteration as end:
        found: Conclusion | None = end.value
        return found, ran


def test_a_static_plan_is_run_as_it_is() -> None:
    plan = plan_for("load", numbers=[100, 4])
    assert run(plan, [], queue(100)) == (None, [plan.phases])


@pytest.mark.parametrize("capacity", [20.0, 100.0, 1234.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_the_capacity(capacity: float, seed: int) -> None:
    found, ran = run(plan_for("search"), FAST, queue(capacity, seed))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == found.low
    # With 50 ms a request 500 ms are a queue of ten: well below the capacity.
    assert 0.6 * capacity < found.low <= found.high < 1.15 * capacity
    assert found.high <= 1.1001 * found.low
    assert "is the highest rate that held: p95 < 500ms" in found.text
    assert "it breaks at" in found.text
    assert "with a confidence of 90 % the limit lies between" in found.text
    assert len(ran) < 40


def test_every_probe_has_its_own_warm_up_that_is_not_measured() -> None:
    _, ran = run(plan_for("search", warmup="3s", duration="5s"), FAST, queue(100))
    assert [phase.measured for phase in ran[0]] == [False]
    for warm, probe in ran[1:]:
        assert (warm.measured, warm.duration) == (False, 3.0)
        assert probe.measured
        assert warm.rate == probe.rate
        assert warm.arrivals == probe.arrivals == "poisson"
        assert 5 <= (probe.duration or 0) <= 15
    _, ran = run(plan_for("search", warmup=0), FAST, queue(100))
    assert all(len(phases) == 1 for phases in ran)


def test_a_search_that_starts_too_high_goes_down() -> None:
    found, _ = run(plan_for("search", numbers=[400]), FAST, queue(20))
    assert found is not None
    assert found.low is not None
    assert 10 < found.low < 21


def test_nothing_holds() -> None:
    found, ran = run(
        plan_for("search"), FAST, lambda phases: [result(p, [9.0] * 9) for p in phases]
    )
    assert found is not None
    assert (found.value, found.low) == (None, None)
    assert "not even 0.05/s held: p95 < 500ms" in found.text
    assert len(ran) < 15


def test_nothing_breaks() -> None:
    plan = Plan(name="s", mode="search", search=Search(start=1.0, most=50.0))
    found, _ = run(plan, FAST, queue(10_000))
    assert found is not None
    assert (found.value, found.high) == (50.0, None)
    assert "50/s held, the most that was tried" in found.text


def test_one_break_by_chance_does_not_decide() -> None:
    server, calls = queue(1000), [0]

    def hiccup(phases: Sequence[Phase]) -> list[PhaseResult]:
        calls[0] += 1
        if calls[0] == 4:
            return [result(phase, [2.0] * 50) for phase in phases]
        return server(phases)

    found, _ = run(plan_for("search"), FAST, hiccup)
    assert found is not None
    assert found.low is not None
    assert found.low > 800


def test_growth_without_end_breaks_what_the_thresholds_let_pass() -> None:
    found, _ = run(plan_for("search"), GOOD, queue(200))
    assert found is not None
    assert found.low is not None
    assert 150 < found.low < 230
    assert "in flight grew by" in found.text


def test_growth() -> None:
    warm = Phase(name="w", measured=False, duration=2.0, rate=100.0)
    probe = Phase(name="p", duration=10.0, rate=100.0)
    assert growth([result(warm, [0.01]), result(probe, [0.9])]) == pytest.approx(14.8, rel=0.01)
    assert growth([result(warm, [0.01]), result(probe, [0.02])]) == 0
    assert growth([result(warm, [0.9]), result(probe, [0.01])]) == 0
    assert growth([result(warm, []), result(probe, [0.9])]) == 0
    assert growth([result(probe, [0.9])]) == 0
    closed = Phase(name="w", requests=5, concurrency=1)
    assert growth([result(closed, [0.01]), result(probe, [0.9])]) == 0


def test_a_probe_that_was_stopped_counts_as_a_break() -> None:
    def cut(phases: Sequence[Phase]) -> list[PhaseResult]:
        results = [result(phase, [0.01] * 500) for phase in phases]
        if (phases[-1].rate or 0) > 90:
            results[-1].seconds = 0.0 if (phases[-1].rate or 0) > 120 else 3.0
            if not results[-1].seconds:
                results[-1].totals = {}
        return results

    found, _ = run(plan_for("search"), FAST, cut)
    assert found is not None
    assert found.low is not None
    assert 80 < found.low <= 90
    assert found.high is not None
    assert "stopped after 3.0 s: more piled up in flight than can be answered" in found.text


def constant(seconds: float) -> Serve:
    """A server that answers each request after so long, however many there are."""
    return lambda phases: [result(phase, [seconds] * 50) for phase in phases]


def test_warm_up_and_probe_are_no_shorter_than_an_answer() -> None:
    search = {"numbers": [16], "warmup": "1s", "duration": "6s"}
    slow = [parse_threshold("p95 < 8s")]
    found, ran = run(plan_for("search", **search), slow, constant(5.0), probes=4)
    assert found is not None
    assert found.value == 64
    assert {(warm.duration, probe.duration) for warm, probe in ran[1:]} == {(6.0, 6.0)}
    # Three times its duration is the most that a probe takes.
    _, ran = run(plan_for("search", **search), slow, constant(20.0), probes=2)
    assert {(warm.duration, probe.duration) for warm, probe in ran[1:]} == {(18.0, 18.0)}
    _, ran = run(plan_for("search", **search | {"warmup": 0}), slow, constant(7.0), probes=3)
    assert [len(phases) for phases in ran] == [1, 1, 1, 1]
    assert [phases[-1].duration for phases in ran[:2]] == [6.0, pytest.approx(8.4)]


@pytest.mark.parametrize("promise", ["p95 < 8s", "success_rate > 99%", "goodput > 10/s"])
def test_a_probe_that_ends_before_its_answers_come_is_not_judged(promise: str) -> None:
    plan = plan_for("search", numbers=[16], warmup="1s", duration="1s")
    found, ran = run(plan, [parse_threshold(promise)], constant(5.0))
    assert found is not None
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.text.startswith(
        "16/s could not be judged: it lasted 3s, and half of the answers took more than 5s: try a "
        "longer --duration"
    )
    assert len(ran) < 5


def test_an_answer_that_is_too_late_is_too_late_in_a_short_probe_too() -> None:
    plan = plan_for("search", numbers=[16], warmup="1s", duration="1s")
    found, _ = run(plan, FAST, constant(5.0))
    assert found is not None
    assert "not even 0.05/s held: p95 < 500ms" in found.text


def given_up(above: float, waits: Sequence[float]) -> Serve:
    """A server that has something left to do when it was sent more than ``above`` a second: its
    next answers, one at a time, come after ``waits`` seconds."""
    left: list[float] = []

    def serve(phases: Sequence[Phase]) -> list[PhaseResult]:
        found = []
        for phase in phases:
            if phase.rate is None:
                found.append(result(phase, [left.pop(0) if left else 0.01]))
                found[-1].seconds = found[-1].all().response.maximum or 0.0
                continue
            assert not left, "a probe before it was worked off"
            found.append(result(phase, [0.01] * 100))
            if phase.rate > above:
                totals = found[-1].totals["a"]
                totals.errors["timeout"] = 50
                totals.ended += 50
                left[:] = waits if phase.measured else ()
        return found

    return serve


def test_what_was_given_up_is_worked_off_before_the_next_probe() -> None:
    found, ran = run(plan_for("search", numbers=[40]), GOOD, given_up(90, [9.0, 3.0, 0.5]))
    assert found is not None
    assert found.low is not None
    assert 80 < found.low <= 90
    assert "not worked off" not in found.text
    off = [phases[0] for phases in ran[1:] if phases[0].name.startswith("working off")]
    broke = [phases[-1].name for phases in ran[1:] if (phases[-1].rate or 0) > 90]
    # After the last probe nothing is measured any more.
    assert len(broke) - 1 <= len(off) / 4 <= len(broke)
    assert [phase.name for phase in off] == [
        f"working off {name}" for name in broke[: len(off) // 4] for _ in range(4)
    ]
    # The phase that it points at is that of the level that held.
    every = [phase for phases in ran for phase in phases]
    assert found.phase is not None
    assert every[found.phase].rate == found.low


def test_what_is_not_worked_off_in_time_is_said() -> None:
    plan = plan_for("search", numbers=[40], timeout="10s")
    found, _ = run(plan, GOOD, given_up(90, [9.0, 3.0]), probes=1000)
    assert found is not None
    assert "not worked off" in found.text
    found, ran = run(plan_for("search", numbers=[2]), GOOD, lambda phases: [
        result(p, [], 9) for p in phases
    ])  # fmt: skip
    assert found is not None
    assert not any(phase.name.startswith("working") for phases in ran for phase in phases)


def test_a_stress_step_waits_for_what_the_last_one_left() -> None:
    def times_out(phases: Sequence[Phase]) -> list[PhaseResult]:
        found = [result(phase, [0.1] * 90) for phase in phases]
        if (phases[-1].concurrency or 0) > 8:
            found[-1].totals["a"].errors["timeout"] = 10
            found[-1].totals["a"].ended += 10
        return found

    _, ran = run(plan_for("stress", numbers=[500, 16]), GOOD, times_out)
    names = [phases[-1].name for phases in ran]
    assert names[names.index("16 clients") + 1] == "working off 16 clients"
    assert names[names.index("8 clients") + 1] == "16 clients"


def test_what_is_dropped_is_the_servers_limit() -> None:
    def bounded(phases: Sequence[Phase]) -> list[PhaseResult]:
        found = []
        for phase in phases:
            dropped = 300 if (phase.rate or 0) > 90 else 0
            client = Client(due=1000, dropped=dropped)
            found.append(result(phase, [0.01] * (1000 - dropped), client=client))
        return found

    found, _ = run(plan_for("search"), FAST, bounded)
    assert found is not None
    assert found.low is not None
    assert 80 < found.low <= 90
    assert found.high is not None
    assert "300 of 1,000 dropped" in found.text


def test_the_generators_limit_is_not_the_servers() -> None:
    def busy(phases: Sequence[Phase]) -> list[PhaseResult]:
        return [
            result(phase, [0.01] * 100, client=Client(due=100, busy=5.0 if limited else 0.0))
            for phase in phases
            for limited in [(phase.rate or 0) > 90]
        ]

    found, _ = run(plan_for("search"), FAST, busy)
    assert found is not None
    assert found.low is not None
    assert 80 < found.low <= 90
    assert found.high is None
    assert re.match(r"at least [\d.]+/s held, the limit was not reached: p95 < 500ms", found.text)
    assert "the generator was the bottleneck: the generator's core was more than" in found.text
    assert "breaks" not in found.text


def held_up(serve: Serve, limited: Callable[[float, int], bool]) -> Serve:
    """``serve`` asked by a generator that is in trouble at some rates, on some of the occasions."""
    asked: Counter[float] = Counter()

    def busy(phases: Sequence[Phase]) -> list[PhaseResult]:
        results = serve(phases)
        rate = phases[-1].rate or 0.0
        asked[rate] += 1
        if limited(rate, asked[rate]):
            results[-1].client.failures["no ports"] = 1
        return results

    return busy


@pytest.mark.parametrize("often", [1, 2])
def test_a_generator_that_was_busy_for_a_while_is_not_the_limit(often: int) -> None:
    for limited in (
        held_up(queue(50), lambda rate, asked: rate > 30 and asked <= often),
        held_up(queue(50), lambda rate, asked: 30 < rate < 45 and asked <= often),
    ):
        found, ran = run(plan_for("search", numbers=[20]), FAST, limited)
        assert found is not None
        assert found.low is not None
        assert 30 < found.low < 55
        assert found.high is not None
        assert "it breaks at" in found.text
        assert "generator" not in found.text
        assert len(ran) < 50


def test_a_level_that_cannot_be_tried_ends_the_search_with_what_is_known() -> None:
    never = held_up(queue(50), lambda rate, _: 50 < rate < 60)
    found, ran = run(plan_for("search", numbers=[20]), FAST, never)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < 50
    assert found.high > 60
    assert "the generator was the bottleneck" in found.text
    assert "ended before it was certain" in found.text
    assert len(ran) < 20


def test_where_only_the_generator_is_slow_nothing_is_said() -> None:
    found, ran = run(plan_for("search"), FAST, held_up(queue(50), lambda *_: True))
    assert found is not None
    assert (found.value, found.low, found.high, found.phase) == (None, None, None, None)
    assert "at 0.05/s the generator was the bottleneck" in found.text
    assert "held" not in found.text
    assert len(ran) < 12


def test_a_dead_server_is_not_asked_at_ever_lower_rates() -> None:
    found, ran = run(
        plan_for("search", numbers=[2]), GOOD, lambda phases: [result(p, [], 9) for p in phases]
    )
    assert found is not None
    assert "not even 0.125/s held" in found.text
    rates = [phases[-1].rate for phases in ran if phases[-1].rate]
    assert rates == [2.0, 0.5, 0.125, 0.125]


def test_rates_are_written_without_exponents() -> None:
    ladder = Rates(Search())
    assert [ladder.show(rate) for rate in (0.05, 12.34, 43_210.0, 100_000.0)] == [
        "0.05/s", "12.34/s", "43,210/s", "100,000/s",
    ]  # fmt: skip


def test_a_limit_lies_between_whole_clients() -> None:
    clients = Clients(Steps(), warm=False)
    assert clients.stretch(1.28, 14.7) == "1 and 15 clients"
    assert clients.stretch(0.4, 0.9) == "0 and 1 client"
    assert Rates(Search()).stretch(1.2849, 14.7) == "1.28/s and 14.7/s"

    def near_eleven(phases: Sequence[Phase]) -> list[PhaseResult]:
        return [
            result(phase, [0.1] * 90, errors=10 if (phase.concurrency or 0) > 11 else 0)
            for phase in phases
        ]

    found, _ = run(plan_for("stress", numbers=[500, 16]), GOOD, near_eleven)
    assert found is not None
    assert re.search(r"the limit lies between \d+ and \d+ clients,", found.text), found.text


def test_a_probe_in_which_nothing_fell_due_is_no_vote() -> None:
    phase = Phase(name="probe", rate=0.05, duration=10.0, arrivals="poisson")
    empty = PhaseResult(phase=phase, seconds=10.0, totals={}, client=Client())
    probe = probe_of(0.05, [empty], FAST)
    assert (probe.held, probe.limited, probe.why) == (False, "nothing fell due", "")
    assert standing([probe]) == (None, None)


def test_a_search_that_is_stopped_says_what_it_has() -> None:
    found, _ = run(plan_for("search"), FAST, queue(1000), probes=4)
    assert found is not None
    assert found.value == 16.0
    assert "ended before it was certain" in found.text
    found, _ = run(plan_for("search"), FAST, queue(1000), probes=1)
    assert found is not None
    assert found.value is None
    assert "nothing was tried to its end" in found.text


def test_the_stress_test_says_at_how_many_clients_it_breaks_and_why() -> None:
    def small(phases: Sequence[Phase]) -> list[PhaseResult]:
        return [
            result(phase, [0.1] * 90, errors=10 if (phase.concurrency or 0) > 11 else 0)
            for phase in phases
        ]

    found, ran = run(plan_for("stress", numbers=[500, 16]), GOOD, small)
    assert found is not None
    assert (found.low, found.high) == (11, 12)
    assert "11 clients held: success_rate > 99%" in found.text
    assert "it breaks at 12 clients (2 of 2): success_rate > 99% broken by 90%" in found.text
    assert "10 × HTTP 503 queue_full" in found.text
    steps = [phases[-1] for phases in ran[1:]]
    assert [step.concurrency for step in steps[:5]] == [1, 2, 4, 8, 16]
    assert all(step.requests == 500 and step.measured for step in steps)


def test_a_stress_test_that_holds_says_what_was_tried() -> None:
    found, ran = run(plan_for("stress", numbers=[500, 16]), FAST, queue(1000))
    assert found is not None
    assert (found.value, found.high) == (16, None)
    assert "16 clients held, the most that was tried" in found.text
    assert len(ran) == 6
    found, _ = run(plan_for("stress", numbers=[500, 16]), FAST, queue(1))
    assert found is not None
    assert "not even 1 client held" in found.text


@pytest.mark.parametrize("mode", ["search", "stress"])
def test_without_thresholds_nothing_can_break(mode: str) -> None:
    with pytest.raises(UsageError, match="what the servers promise"):
        conduct(plan_for(mode), [])


def probes(*tries: tuple[float, bool]) -> list[Probe]:
    return [Probe(level, held, "", "") for level, held in tries]


def test_where_things_stand() -> None:
    assert standing([]) == (None, None)
    assert standing(probes((1, True), (2, True))) == (2, None)
    assert standing(probes((1, True), (2, False), (4, True))) == (1, 2)
    assert standing(probes((2, True), (2, False))) == (None, 2)
    assert standing(probes((1, True), (2, False), (2, True), (2, True))) == (2, None)


def test_the_generators_limit_is_seen_twice_and_nothing_above_it_ran() -> None:
    def limited(level: float) -> Probe:
        return Probe(level, False, "", "busy")

    assert wall(probes((1, True), (2, False))) is None
    assert wall([*probes((1, True)), limited(2)]) is None
    assert wall([*probes((1, True)), limited(2), limited(2), limited(4), limited(4)]) == 2
    assert wall([*probes((1, True), (4, True)), limited(2), limited(2)]) is None
    assert wall([*probes((2, True)), limited(2), limited(2)]) is None
    assert standing([*probes((1, True), (4, False)), limited(2)]) == (1, 4)


def test_the_clients_of_a_stress_test_think() -> None:
    conductor = conduct(plan_for("stress", think="50ms", concurrency=4), FAST)
    next(conductor)  # the warm-up
    step = conductor.send([])[-1]
    assert step.measured
    assert step.think == 0.05
