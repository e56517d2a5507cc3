from __future__ import annotations

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


def busy(*shares: float) -> list[Tick]:
    return [
        Tick(at=at, seconds=1.0, phase=0, totals={}, client=Client(cpu=share))
        for at, share in enumerate(shares)
    ]


def test_a_healthy_run_is_valid() -> None:
    open_loop = result(due=1000, cpu=0.3, late=histogram(*[0.1] * 1000))
    assert reasons(open_loop, [LIMIT], busy(*[0.3] * 10)) == []
    assert reasons(result(), [], []) == []


def test_late_sends_are_held_against_the_tightest_limit() -> None:
    late = result(due=1000, late=histogram(*[0.1] * 900, *[30] * 100))
    assert reasons(late, [LIMIT], []) == []
    tight = [LIMIT, parse_threshold("service.p50 < 200ms"), parse_threshold("goodput > 1/s")]
    [why] = reasons(late, tight, [])
    assert why.endswith("more than 10% of service.p50 < 200ms")
    assert "p99 30ms" in why or "p99 29.9ms" in why


def test_without_a_limit_on_latency_late_sends_are_held_against_the_median() -> None:
    late = result(due=1000, median=20, late=histogram(*[3] * 1000))
    [why] = reasons(late, [parse_threshold("success_rate > 99%")], [])
    assert "10% of the median of 20ms" in why
    assert reasons(result(due=1000, median=50, late=histogram(*[3] * 1000)), [], []) == []


def test_the_median_is_that_of_service_because_lateness_makes_response_slow() -> None:
    late = result(due=1000, median=20, late=histogram(*[1000] * 1000))
    late.totals["a"].response = histogram(*[1020] * 100)
    assert len(reasons(late, [], [])) == 1


def test_a_full_core_is_a_reason_but_a_moment_is_none() -> None:
    assert reasons(result(cpu=0.99), [], busy(0.99, *[0.4] * 59)) == []
    [why] = reasons(result(cpu=0.97), [], busy(*[0.97] * 12, *[0.4] * 48))
    assert why == "the generator's core was more than 80% busy for 12 of 60 s: 97%"
    assert len(reasons(result(cpu=0.97), [], [])) == 1


def test_a_schedule_that_was_not_kept_is_a_reason() -> None:
    assert reasons(result(991, due=1000), [], []) == []
    assert reasons(result(980, due=1000), [], []) == [
        "only 980 of 1,000 scheduled requests were sent"
    ]


def test_dropped_requests_are_named_once() -> None:
    [why] = reasons(result(900, due=1000, dropped=100), [], [])
    assert why == "100 of 1,000 requests were not sent: too many were in flight"
    assert len(reasons(result(800, due=1000, dropped=100), [], [])) == 2
    assert len(reasons(result(999, due=1000, dropped=1), [], [])) == 1


def test_a_server_that_refuses_connections_is_to_blame_itself() -> None:
    refused = result(0, 1000, due=1000)
    refused.totals["a"].good = 0
    refused.totals["a"].errors = {"refused": 1000}
    assert reasons(refused, [LIMIT], []) == []
    half = result(500, 990, due=1000, in_flight=10)
    assert reasons(half, [LIMIT], []) == []


def test_trouble_on_this_side_is_a_reason() -> None:
    found = reasons(result(failures={"no ports left": 12, "no files left": 1}), [], [])
    assert found == [
        "the generator failed 12 times: no ports left",
        "the generator failed 1 time: no files left",
    ]
    nothing = reasons(result(0, failures={"no ports left": 3}), [LIMIT], [])
    assert nothing == ["the generator failed 3 times: no ports left", "nothing was sent"]
