from __future__ import annotations

from typing import Any

import pytest

from opsconsole.load.collect import keep
from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase
from opsconsole.load.records import Client, PhaseResult, Tick, Totals
from opsconsole.load.validity import reasons
from opsconsole.profile.threshold import parse_threshold

PHASE = Phase(name="m", rate=100.0, duration=10.0)
LIMIT = parse_threshold("p95 < 500ms")


def histogram(*milliseconds: float) -> Histogram:
    found = Histogram()
    found.record(int(value * 1e6) for value in milliseconds)
    return found


def result(
    sent: int = 1000, ended: int | None = None, *, median: float = 20, **client: object
) -> PhaseResult:
    ended = sent if ended is None else ended
    totals = Totals(sent=sent, ended=ended, good=ended)
    totals.service = totals.response = histogram(*[median] * min(ended, 100))
    return PhaseResult(phase=PHASE, seconds=10.0, totals={"a": totals}, client=Client(**client))  # type: ignore[arg-type]


def test_a_healthy_run_is_valid() -> None:
    open_loop = result(due=1000, cpu=0.3, late=histogram(*[0.1] * 1000))
    assert reasons(open_loop, [LIMIT]) == []
    assert reasons(result(), []) == []


def test_late_sends_are_held_against_the_tightest_limit() -> None:
    late = result(due=1000, late=histogram(*[0.1] * 900, *[30] * 100))
    assert reasons(late, [LIMIT]) == []
    tight = [LIMIT, parse_threshold("service.p50 < 200ms"), parse_threshold("goodput > 1/s")]
    [why] = reasons(late, tight)
    assert "more than 10% of service.p50 < 200ms; try another machine" in why
    assert "p99 30ms" in why or "p99 29.9ms" in why


def test_a_limit_that_is_broken_whatever_the_generator_did_is_broken() -> None:
    swamped = result(due=1000, median=11_000, late=histogram(*[46] * 1000), busy=9, cpu=0.95)
    swamped.totals["a"].response = histogram(*[11_046] * 100)
    assert reasons(swamped, [parse_threshold("p95 < 20ms")]) == []
    slower = result(due=1000, median=40, busy=9, cpu=0.95)
    assert len(reasons(slower, [parse_threshold("p95 < 20ms")])) == 1
    assert len(reasons(slower, [LIMIT])) == 1


def test_without_a_limit_on_latency_late_sends_are_held_against_the_median() -> None:
    late = result(due=1000, median=60, late=histogram(*[8] * 1000))
    [why] = reasons(late, [])
    assert "10% of the median of 60ms" in why
    assert reasons(result(due=1000, median=90, late=histogram(*[8] * 1000)), []) == []


def test_the_limit_that_was_applied_is_the_one_that_is_told() -> None:
    [why] = reasons(result(due=1000, median=0.345, late=histogram(*[8] * 1000)), [])
    assert "more than the 5ms that are always allowed" in why
    assert "345" not in why


def test_milliseconds_of_lateness_do_not_spoil_what_hangs_on_none() -> None:
    late = result(due=1000, median=0.2, late=histogram(*[3] * 1000))
    assert reasons(late, []) == []
    assert reasons(late, [parse_threshold("success_rate > 99%")]) == []


def test_delays_of_the_generator_break_no_threshold_of_the_server() -> None:
    limit = parse_threshold("max < 100ms")
    slow = result(median=20, beats=histogram(*[0.1] * 990, 150))
    slow.totals["a"].response.record([168_000_000])
    assert reasons(slow, [parse_threshold("max < 200ms")]) == []
    [why] = reasons(slow, [limit])
    assert why.startswith("max < 100ms may be broken by the generator alone, which was 150ms late")
    slow.totals["a"].response.record([400_000_000])
    assert reasons(slow, [limit]) == []


def test_a_generator_that_was_kept_from_running_says_nothing_of_rates() -> None:
    rate = parse_threshold("goodput > 105/s")
    assert reasons(result(stalled=0.5), [parse_threshold("goodput > 90/s")]) == []
    assert reasons(result(stalled=0.2), [rate]) == []
    [why] = reasons(result(stalled=0.6), [rate])
    assert why.startswith("goodput > 105/s may be broken by the generator alone")
    [why] = reasons(result(stalled=2), [])
    assert why.startswith("the generator was kept from running for 2s of 10s; try another machine")


def test_what_was_dropped_excuses_no_server_that_had_failed_without_it() -> None:
    swamped = result(1384, due=1600, dropped=216, median=900)
    assert reasons(swamped, [LIMIT]) == []
    assert len(reasons(swamped, [parse_threshold("p50 < 2s")])) == 1
    swamped = result(100, due=3100, dropped=3000, median=900)
    assert len(reasons(swamped, [LIMIT])) == 1


def test_the_median_is_that_of_service_because_lateness_makes_response_slow() -> None:
    late = result(due=1000, median=20, late=histogram(*[1000] * 1000))
    late.totals["a"].response = histogram(*[1020] * 100)
    assert len(reasons(late, [])) == 1


def test_a_full_core_is_a_reason_but_a_moment_is_none() -> None:
    assert reasons(result(cpu=0.99, busy=0.4), []) == []
    [why] = reasons(result(cpu=0.97, busy=2), [])
    busy, _, cure = why.partition("; ")
    assert busy == "the generator's core was more than 80% busy for 2s of 10s: 97%"
    assert cure.startswith("try more generator processes (--processes)")


def test_a_machine_whose_cores_are_taken_is_a_reason_when_it_is_so_all_the_time() -> None:
    assert reasons(result(cpu=0.4, wanted=6), []) == []
    [why] = reasons(result(cpu=0.5, wanted=9.9), [])
    assert why == (
        "the generator ran or waited for a core for 9.9s of 10s: what it does, with what else "
        "runs here, is too much for this machine's cores; try more generator processes "
        "(--processes), a lower rate or another machine, or stop what else runs on this one"
    )


def test_a_threshold_that_is_broken_for_certain_leaves_no_doubt() -> None:
    slow = result(median=600, beats=histogram(*[0.1] * 990, 600))
    slow.totals["a"].response.record([650_000_000])
    assert len(reasons(slow, [parse_threshold("max < 500ms")])) == 1
    assert reasons(slow, [parse_threshold("max < 500ms"), LIMIT]) == []


def second(at: int, *milliseconds: float, beat: float = 0.1, failed: int = 0) -> Tick:
    good = len(milliseconds)
    totals = Totals(sent=good + failed, ended=good + failed, good=good)
    totals.response.record(int(value * 1e6) for value in milliseconds)
    client = Client(beats=histogram(*[0.1] * 90, beat))
    return Tick(at=at, seconds=1.0, phase=0, totals={"a": totals}, client=client)


@pytest.mark.parametrize(
    ("slow", "limit", "invalid"),
    [
        ({5: [620]}, "max < 500ms", True),  # only where the generator was late itself
        ({5: [620], 6: [610]}, "max < 500ms", True),
        ({5: [620], 12: [600]}, "max < 500ms", False),
        ({5: [620], 12: [600]}, "p95 < 500ms", True),
        ({5: [620], 12: [600] * 20}, "p95 < 500ms", False),
        ({5: [620], 12: [600]}, "max < 500ms on a", False),
    ],
)
def test_a_stall_excuses_what_ended_then_and_nothing_else(
    slow: dict[int, list[float]], limit: str, invalid: bool
) -> None:
    ticks = [
        second(at, *slow.get(at, ()), *[20] * 10, beat=600 if at == 5 else 0.1) for at in range(20)
    ]
    totals, client = Totals(), Client()
    for tick in ticks:
        totals.add(tick.all())
        client.then(tick.client)
    if limit.startswith("p95"):  # broken, and the generator was late often enough to explain it
        totals.response.record([600_000_000] * 100)
        client.beats.record([600_000_000] * 1000)
    whole = PhaseResult(phase=PHASE, seconds=20.0, totals={"a": totals}, client=client)
    limits = [parse_threshold(limit)]
    assert len(reasons(whole, limits)) == 1
    assert len(reasons(whole, limits, ticks)) == invalid


def test_a_busy_moment_taints_no_more_than_itself_however_long_the_run() -> None:
    ticks: list[Tick] = []
    for at in range(3600):
        busy = 0.2 if at % 30 == 0 else 0.0
        client = Client(cpu=0.9 if busy else 0.1, busy=busy)
        keep(ticks, Tick(at=float(at), seconds=1.0, phase=0, totals={}, client=client))
    assert len(ticks) < 3600
    assert sum(tick.client.busy for tick in ticks) == pytest.approx(24)


def test_a_schedule_that_was_not_kept_is_a_reason() -> None:
    assert reasons(result(991, due=1000), []) == []
    [why] = reasons(result(980, due=1000), [])
    assert why.startswith("only 980 of 1,000 scheduled requests were sent; try more generator")


def test_dropped_requests_are_named_once() -> None:
    [why] = reasons(result(900, due=1000, dropped=100), [])
    sent, _, cure = why.partition("; ")
    assert sent == "100 of 1,000 requests were not sent: too many were in flight"
    assert cure == "try a higher --max-in-flight or a lower rate"
    assert len(reasons(result(800, due=1000, dropped=100), [])) == 2
    assert len(reasons(result(999, due=1000, dropped=1), [])) == 1


def test_a_server_that_refuses_connections_is_to_blame_itself() -> None:
    refused = result(0, 1000, due=1000)
    refused.totals["a"].good = 0
    refused.totals["a"].errors = {"refused": 1000}
    assert reasons(refused, [LIMIT]) == []
    half = result(500, 990, due=1000, in_flight=10)
    assert reasons(half, [LIMIT]) == []


def test_trouble_on_this_side_is_a_reason() -> None:
    found = reasons(result(failures={"no ports left": 12, "no files left": 1}), [])
    assert found == [
        "the generator failed 12 times: no ports left",
        "the generator failed 1 time: no files left",
    ]
    nothing = reasons(result(0, failures={"no ports left": 3}), [LIMIT])
    assert nothing == ["the generator failed 3 times: no ports left", "nothing was sent"]


BUSY: dict[str, Any] = {"busy": 9.0, "cpu": 1.0, "wanted": 9.9, "stalled": 9.0}


@pytest.mark.parametrize(
    ("good", "errors", "threshold", "certain"),
    [
        (0, {"HTTP 503 queue_full": 1000}, "success_rate > 99%", True),
        (0, {"HTTP 503 queue_full": 1000}, "error_rate < 1%", True),
        (0, {"wrong answer: not JSON": 1000}, "goodput > 50/s", True),
        (600, {"HTTP 500": 400}, "goodput > 80/s", True),  # 100/s were answered
        (600, {"HTTP 500": 400}, "goodput > 120/s", False),  # a better client might have kept it
        (600, {"HTTP 500": 400}, "pairs > 80/s", True),
        (600, {"HTTP 500": 400}, "throughput > 120/s", False),
        (600, {"timeout": 400}, "success_rate > 99%", False),
        (600, {"closed": 396, "HTTP 503": 4}, "success_rate > 99%", False),
        (600, {"HTTP 408": 400}, "success_rate > 99%", False),
        (600, {"timeout": 380, "HTTP 503": 20}, "success_rate > 99%", True),
        (600, {"HTTP 500": 400}, "success_rate > 50%", False),  # kept
    ],
)
def test_what_answers_alone_break_is_broken_however_busy_the_generator_is(
    good: int, errors: dict[str, int], threshold: str, certain: bool
) -> None:
    busy = result(1000, **BUSY)
    totals = busy.totals["a"]
    totals.good, totals.errors, totals.pairs = good, errors, good
    assert (reasons(busy, [parse_threshold(threshold)]) == []) is certain


def test_what_was_not_sent_excuses_no_wrong_answers() -> None:
    refused = result(800, due=1000, dropped=100)
    totals = refused.totals["a"]
    totals.good, totals.errors = 0, {"HTTP 503": 800}
    assert reasons(refused, [parse_threshold("success_rate > 30%")]) == []
    assert len(reasons(refused, [parse_threshold("success_rate > 10%")])) == 2
