from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from opsconsole.load import LoadRun, plan_for
from opsconsole.load.histogram import Histogram
from opsconsole.load.judge import judge_totals
from opsconsole.load.live import RECENT, Live
from opsconsole.load.live_moments import MOST_MOMENTS, over_time
from opsconsole.load.plan import Phase, Plan, Search, Steps
from opsconsole.load.records import Client, Run, Tick, Totals
from opsconsole.load.windows import Window
from opsconsole.profile import Profile, Server
from opsconsole.profile.threshold import Threshold, parse_threshold
from tests.load.farside import Far
from tests.load.sample_runs import late_of, sample_run, soak_run, totals_of

THRESHOLDS = [parse_threshold("p95 < 500ms"), parse_threshold("success_rate > 99%")]


def live_of(
    run: Run, thresholds: Sequence[Threshold] = THRESHOLDS, upto: int | None = None
) -> Live:
    live = Live(run.plan, [result.phase for result in run.phases], thresholds)
    for tick in run.ticks[:upto]:
        live.take(tick)
    return live


def tick(
    at: float,
    phase: int = 0,
    *,
    good: int = 20,
    errors: dict[str, int] | None = None,
    seconds: float = 1.0,
    median: float = 0.02,
    server: str = "alpha",
    **client: object,
) -> Tick:
    random_ = random.Random(at)
    return Tick(
        at=at,
        seconds=seconds,
        phase=phase,
        totals={server: totals_of(random_, good, errors or {}, median=median)},
        client=Client(**client),  # type: ignore[arg-type]
    )


def plan(*phases: Phase, **more: object) -> Plan:
    return Plan(name="test", mode="load", phases=phases, **more)  # type: ignore[arg-type]


def summed(ticks: Sequence[Tick]) -> Totals:
    whole = Totals()
    for each in ticks:
        whole.add(each.all())
    return whole


# --- The columns ----------------------------------------------------------------------------------


def test_columns_are_what_the_ticks_add_up_to() -> None:
    run = sample_run(rate=60)
    live = live_of(run, upto=0)
    window: Window | None = None
    for number, each in enumerate(run.ticks):
        live.take(each)
        measured = [t for t in run.ticks[: number + 1] if t.phase == 1]
        end = each.at + each.seconds
        latest = [
            t
            for t in run.ticks[: number + 1]
            if t.phase == each.phase and t.at >= end - RECENT - 0.5
        ]
        assert live.now.totals == each.all()
        assert live.now.seconds == each.seconds
        assert live.recent.totals == summed(latest)
        assert live.recent.seconds == sum(t.seconds for t in latest)
        assert live.recent.client.due == sum(t.client.due for t in latest)
        assert live.recent.client.in_flight == each.client.in_flight
        assert live.whole.totals == summed(measured)
        assert live.whole.seconds == len(measured)
        for name in ("alpha", "beta"):
            mine = Totals()
            for t in measured:
                mine.add(t.totals[name])
            assert live.whole.servers.get(name, Totals()) == mine
        if each.phase == 1:  # and they agree with the window that an abort looks at
            window = window or Window(RECENT)
            window.add(each)
            assert live.recent.totals == window.totals()


def test_the_warm_up_is_in_no_whole_and_not_mixed_with_what_is_measured() -> None:
    run = sample_run(rate=60)
    warming = live_of(run, upto=4)
    assert not warming.whole
    assert warming.whole.totals.ended == 0
    assert warming.recent.totals == summed(run.ticks[:4])
    measuring = live_of(run, upto=6)
    assert measuring.recent.totals == measuring.whole.totals == run.ticks[5].all()


def test_thresholds_are_held_against_each_column() -> None:
    live = live_of(sample_run(rate=200), upto=27)  # the bad spell has just passed
    assert [j.passed for j in live.now.judgements] == [True, True]
    for column in (live.now, live.recent, live.whole):
        assert column.judgements == judge_totals(column.servers, column.seconds, THRESHOLDS)
    # One in twenty failed: it took for ever, whatever the good ones took.
    assert [j.passed for j in live.recent.judgements] == [False, False]
    assert (live.recent.latency("p95") or 1) < 0.5


def test_a_threshold_over_a_window_is_held_against_the_worst_one_so_far() -> None:
    limit = parse_threshold("success_rate > 95% over 3s")
    phase = Phase(name="steady", duration=60, concurrency=1)
    live = Live(plan(phase), [phase], [limit])
    passed = []
    for second in range(20):
        errors = {"timeout": 10} if second in (8, 9) else {}
        live.take(tick(float(second), good=20 - 2 * len(errors), errors=errors))
        passed.append(live.whole.judgements[0].passed)
    assert passed[:8] == [True] * 8  # looked at before its window was full, it remembers no worse
    assert not any(passed[8:])
    judged = live.whole.judgements[0]
    assert judged.observed is not None
    assert (judged.begin, judged.end) == (7.0, 10.0)


def test_the_latencies_of_a_column_are_those_of_its_histograms() -> None:
    column = live_of(sample_run(rate=60)).whole
    totals = column.totals
    assert column.latency("p95") == totals.response.percentile(95)
    assert column.latency("p99.9") == totals.response.percentile(99.9)
    assert column.latency("service.p50") == totals.service.percentile(50)
    assert column.latency("first_byte.max") == totals.first_byte.maximum
    assert column.latency("mean") == totals.response.mean


def test_before_the_first_tick_everything_is_empty() -> None:
    live = live_of(sample_run(), upto=0)
    for column in (live.now, live.recent, live.whole, live.probe):
        assert not column
        assert column.latency("p95") is None
        assert column.rate(1) is None
    assert live.moments == []
    assert live.warnings == []
    assert live.probes == []
    assert live.errors({}) == []
    assert live.progress.phase is None


# --- Over time ------------------------------------------------------------------------------------


def test_moments_are_the_ticks_of_a_short_run() -> None:
    run = sample_run(rate=60)
    live = live_of(run)
    assert len(live.moments) == len(run.ticks)
    for moment, each in zip(live.moments, run.ticks, strict=True):
        totals = each.all()
        assert moment.at == each.at + 0.5
        assert (moment.p50, moment.p99) == tuple(totals.response.percentiles((50, 99)))
        assert moment.good == totals.good
        assert moment.errors == totals.ended - totals.good
        assert moment.servers == each.servers
        assert moment.rates["beta"] == each.totals["beta"].good


def test_a_hole_in_time_is_a_hole_in_a_line() -> None:
    phase = Phase(name="steady", duration=60, concurrency=1)
    live = Live(plan(phase), [phase], [])
    for at in (0.0, 1.0, 2.0, 9.0, 10.0):
        live.take(tick(at, good=0 if at == 10.0 else 20))
    times, values = over_time(live.moments, lambda moment: moment.p50)
    assert times == [0.5, 1.5, 2.5, 6.0, 9.5, 10.5]
    assert values[3] is None  # no ticks
    assert values[5] is None  # no answers
    assert None not in (*values[:3], values[4])


@pytest.mark.parametrize("count", [MOST_MOMENTS, 5_000])
def test_of_thousands_of_ticks_a_bounded_number_of_even_moments_is_kept(count: int) -> None:
    run = soak_run(count / 3600)
    assert len(run.ticks) == count
    phase = run.phases[1].phase
    live = Live(plan(phase, phase), [phase, phase], THRESHOLDS)
    for each in run.ticks:
        live.take(each)
    moments = live.moments
    assert len(moments) == MOST_MOMENTS
    assert sum(moment.seconds for moment in moments) == pytest.approx(count)
    good = sum(moment.good * moment.seconds for moment in moments)
    assert good == pytest.approx(live.whole.totals.good)
    assert max(m.p99 or 0 for m in moments) <= (live.whole.totals.response.maximum or 0)
    # The begin of a long run is about as fine as its end.
    widths = sorted(moment.seconds for moment in moments)
    assert widths[-1] <= 3 * widths[len(widths) // 2]
    assert moments[0].seconds <= 3 * moments[-2].seconds
    assert live.seconds == count


def test_moments_of_many_phases_stay_bounded_too_and_belong_to_one() -> None:
    phases = [Phase(name=str(n), duration=1, concurrency=1) for n in range(1500)]
    live = Live(plan(*phases), phases, [])
    for n in range(1500):
        live.take(tick(float(n), n, good=1))
    assert len(live.moments) <= MOST_MOMENTS
    assert len({moment.phase for moment in live.moments}) == len(live.moments)
    assert live.moments[-1].phase == 1499


def test_servers_are_told_in_the_order_of_the_plan() -> None:
    live = live_of(sample_run(servers=("zeta", "alpha")))
    assert live.servers == ["zeta", "alpha"]
    assert live.moments[3].servers["zeta"].active == 4.0


# --- How far it is --------------------------------------------------------------------------------


def test_progress_is_seconds_of_the_whole_plan_where_all_of_it_is_timed() -> None:
    live = live_of(sample_run(), upto=12)
    where = live.progress
    assert (where.done, where.total, where.unit, where.overall) == (12.0, 35.0, "s", True)
    assert (where.number, where.of) == (2, 2)
    assert where.phase is not None
    assert where.phase.name == "steady"
    assert where.share == pytest.approx(12 / 35)


def test_progress_is_requests_where_they_end_it() -> None:
    phases = (
        Phase(name="warm-up", measured=False, requests=20, concurrency=2),
        Phase(name="steady", requests=200, concurrency=2),
    )
    live = Live(plan(*phases), list(phases), [])
    live.take(tick(0.0, 0, good=20))
    assert (live.progress.done, live.progress.total) == (20.0, 20.0)
    live.take(tick(1.0, 1, good=50))
    where = live.progress
    assert (where.done, where.total, where.unit, where.number) == (50.0, 200.0, "requests", 2)
    assert not where.overall
    for at in (2.0, 3.0, 4.0, 5.0):
        live.take(tick(at, 1, good=50))
    assert live.progress.share == 1.0


def test_a_phase_that_is_first_at_its_end_by_time_says_seconds() -> None:
    phase = Phase(name="steady", requests=1_000_000, duration=10, concurrency=2)
    live = Live(plan(phase), [phase], [])
    live.take(tick(0.0))
    assert (live.progress.done, live.progress.total, live.progress.unit) == (1.0, 10.0, "s")


def test_a_pause_stands_still() -> None:
    phase = Phase(name="steady", duration=10, concurrency=2)
    live = Live(plan(phase), [phase], [])
    live.take(tick(0.0))
    live.paused = True
    for at in (1.0, 2.0, 3.0):
        live.take(tick(at, good=0))
    live.paused = False
    live.take(tick(4.0))
    assert live.progress.done == 2.0


# --- What is wrong --------------------------------------------------------------------------------


def test_errors_have_a_count_a_rate_and_an_example() -> None:
    run = sample_run(rate=200)
    live = live_of(run, upto=27)
    first, second = live.errors(run.examples)
    assert (first.kind, second.kind) == ("HTTP 503 queue_full", "timeout")
    assert first.number == live.whole.totals.errors["HTTP 503 queue_full"]
    assert first.rate == live.recent.totals.errors["HTTP 503 queue_full"] / live.recent.seconds
    assert second.example == "no answer within 30s"


def test_errors_of_the_warm_up_are_told_while_there_is_nothing_else() -> None:
    phases = (
        Phase(name="warm-up", measured=False, duration=5, concurrency=1),
        Phase(name="steady", duration=5, concurrency=1),
    )
    live = Live(plan(*phases), list(phases), [])
    live.take(tick(0.0, 0, errors={"refused": 3}))
    assert [(e.kind, e.number) for e in live.errors({})] == [("refused", 3)]
    live.take(tick(5.0, 1))
    assert live.errors({}) == []


def test_a_run_that_would_be_invalid_says_so_at_once() -> None:
    phases = (
        Phase(name="warm-up", measured=False, duration=5, rate=20.0),
        Phase(name="steady", duration=60, rate=20.0),
    )
    live = Live(plan(*phases), list(phases), THRESHOLDS)
    live.take(tick(0.0, 0, due=20, dropped=5))
    assert live.warnings == []  # the warm-up is judged by nobody
    live.take(tick(5.0, 1, due=20, late=late_of(random.Random(1), 20)))
    assert live.warnings == []
    late = Histogram()
    late.record([200_000_000] * 20)
    live.take(tick(6.0, 1, due=20, late=late, dropped=2))
    dropped, lateness = live.warnings
    assert dropped.startswith("2 of 40 requests were not sent")
    assert lateness.startswith("sends were late: p99 200ms")
    live.take(tick(7.0, 1, due=20, cpu=0.95, busy=1.0))
    assert any("busy for 1s of 3s: 95%" in why for why in live.warnings)


# --- A search, a stress test ----------------------------------------------------------------------


def climb(levels: Sequence[int], breaks_at: int, **kind: object) -> Live:
    """A probe of six seconds after a warm-up of two for each level."""
    limits = [parse_threshold("p95 < 200ms")]
    phases: list[Phase] = []
    live = Live(plan(**kind), phases, limits)
    at = 0.0
    for level in levels:
        keys: dict[str, object] = (
            {"rate": float(level)} if "search" in kind else {"concurrency": level}
        )
        for name, seconds in ((f"{level} warm-up", 2), (f"{level}", 6)):
            phases.append(
                Phase(name=name, measured=seconds == 6, duration=seconds, **keys)  # type: ignore[arg-type]
            )
            for _ in range(seconds):
                slow = level >= breaks_at
                live.take(
                    tick(at, len(phases) - 1, good=level, median=0.5 if slow else 0.02,
                         due=level if "search" in kind else 0)
                )  # fmt: skip
                at += 1
    return live


@pytest.mark.parametrize(
    "kind", [{"search": Search()}, {"steps": Steps()}], ids=["search", "steps"]
)
def test_probes_are_told_as_they_are_tried(kind: dict[str, object]) -> None:
    live = climb([20, 40, 80], 80, **kind)
    assert [probe.level for probe in live.probes] == [20.0, 40.0, 80.0]
    assert [probe.state for probe in live.probes] == ["held", "held", "broke"]
    held, _, broke = live.probes
    assert held.why == ""
    assert held.rate == pytest.approx(20.0)
    assert held.success == 1.0
    assert broke.why.startswith("p95 ")
    assert live.progress.of == 0  # nobody knows how many
    assert live.probe.seconds == 6.0


def test_the_probe_under_way_is_not_judged_yet() -> None:
    live = climb([20, 40], 1000, search=Search())
    phases = [*live.phases, Phase(name="80", duration=6, rate=80.0)]
    live.phases = phases
    live.take(tick(16.0, 4, good=80, due=80))
    assert [probe.state for probe in live.probes] == ["held", "held", "now"]


def test_a_probe_that_the_generator_limits_says_nothing_of_the_servers() -> None:
    live = climb([20], 1000, search=Search())
    late = Histogram()
    late.record([300_000_000] * 20)
    phases = [*live.phases, Phase(name="40", duration=3, rate=40.0)]
    live.phases = phases
    for at in (8.0, 9.0, 10.0):
        live.take(tick(at, 2, good=40, due=40, late=late))
    assert live.probes[-1].state == "client"
    assert "sends were late" in live.probes[-1].why
    assert any("sends were late" in why for why in live.warnings)


def test_what_is_dropped_beyond_the_limit_is_a_finding() -> None:
    live = climb([20], 1000, search=Search())
    live.phases = [*live.phases, Phase(name="40", duration=2, rate=40.0)]
    for at in (8.0, 9.0):
        live.take(tick(at, 2, good=20, due=40, dropped=20))
    assert live.probes[-1].state == "broke"
    assert "40 of 80 dropped" in live.probes[-1].why
    assert live.warnings == []


def record_of(live: Live, at: float, **more: object) -> Run:
    """The record of such a climb, that ends at ``at``."""
    run = sample_run(rate=20, seconds=5)
    ticks = [tick(float(second)) for second in range(int(at))]
    return replace(run, plan=live.plan, ticks=ticks, judgements=[], **more)  # type: ignore[arg-type]


def test_a_probe_that_is_stopped_is_no_vote_and_a_cut_one_is() -> None:
    """What the operator stops says nothing; what the search itself gives up is a break."""
    for stopped, state in (("interrupted", "stopped"), ("", "broke")):
        live = climb([20, 40], 1000, search=Search())
        live.phases = [*live.phases, Phase(name="80", duration=6, rate=80.0)]
        for at in (16.0, 17.0):
            live.take(tick(at, 4, good=40, errors={"timeout": 40}, due=80))
        assert live.probes[-1].state == "now"
        live.end(record_of(live, 18.0, stopped=stopped))
        assert [probe.state for probe in live.probes] == ["held", "held", state]
        assert bool(live.probes[-1].why) is (state == "broke")


def test_a_stop_after_a_probe_leaves_its_vote() -> None:
    live = climb([20, 40], 40, steps=Steps())
    live.end(record_of(live, 16.0, stopped="interrupted"))
    assert [probe.state for probe in live.probes] == ["held", "broke"]


# --- A stored run ---------------------------------------------------------------------------------


def test_a_stored_run_is_shown_as_its_record_says() -> None:
    run = sample_run(rate=60)
    run.phases[1] = replace(run.phases[1], seconds=30.0004)
    live = Live.of(run)
    whole = run.measured()
    assert whole is not None
    assert live.whole.totals == whole.all()
    assert live.whole.seconds == 30.0004
    assert [t.text for t in live.thresholds] == ["p95 < 500ms", "success_rate > 99%"]
    assert live.whole.judgements == run.judgements
    assert len(live.moments) == 35


def test_a_stored_run_with_a_threshold_of_another_version_opens() -> None:
    run = sample_run(rate=20, seconds=5)
    run.judgements[0] = replace(run.judgements[0], threshold="p95.5 is nice", metric="p95")
    live = Live.of(run)
    assert [t.text for t in live.thresholds] == ["success_rate > 99%"]
    assert live.whole.judgements == run.judgements[1:]


def test_ticks_of_a_phase_that_the_record_left_out_are_no_error() -> None:
    run = sample_run(rate=20, seconds=5)
    run.phases.pop()
    live = Live.of(run)
    assert live.phase is None
    assert not live.whole


# --- A real run -----------------------------------------------------------------------------------


def test_a_real_run_says_live_what_its_record_says_in_the_end() -> None:
    async def main(far: Far) -> tuple[Live, Run, list[float]]:
        server = Server(name="far", url=f"http://127.0.0.1:{far.port}", kind="http")
        made = plan_for(
            "rate", numbers=(50,), duration="3s", warmup="1s", dialect="http", path="/asked",
            thresholds=["p95 < 5s", "success_rate > 1%"],
        )  # fmt: skip
        load_run = LoadRun(made, Profile(name="bed", servers=(server,)))
        live = Live(made, load_run.phases, load_run.thresholds)
        shares = []
        async with aclosing(load_run.ticks()) as ticks:
            async for each in ticks:
                live.take(each)
                shares.append(live.progress.share or 0.0)
        return live, load_run.run, shares

    with Far() as far:
        live, run, shares = asyncio.run(main(far))
    whole = run.measured()
    assert whole is not None
    assert live.whole.totals == whole.all()
    assert live.whole.client.due == whole.client.due
    assert math.isclose(live.whole.seconds, whole.seconds, rel_tol=0.2)
    assert shares == sorted(shares)
    assert shares[-1] > 0.7
    assert [judged.passed for judged in live.whole.judgements] == [True, True]
    live.end(run)
    assert live.whole.seconds == whole.seconds
    again = Live.of(run)
    assert again.whole.totals == live.whole.totals
    assert [m.good for m in again.moments] == [m.good for m in live.moments]
