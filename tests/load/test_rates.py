"""What a rate is of: the answers of a stretch of time, and which stretch that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from opsconsole.load import LoadRun, Run, Tick, plan_for
from opsconsole.load.bootstrap import Ratio, Side
from opsconsole.load.histogram import Histogram
from opsconsole.load.levels import Levels
from opsconsole.load.live_moments import EARLIER, Moments
from opsconsole.load.packing import pack, unpack
from opsconsole.load.plan import Phase
from opsconsole.load.rates import idle, too_short
from opsconsole.load.records import NO_TIME, Client, PhaseResult, Totals
from opsconsole.profile import Profile, Server
from opsconsole.profile.threshold import parse_threshold
from tests.load.driving import check_sums, closed, drive, setup_for
from tests.load.farside import Far
from tests.load.sample_runs import sample_run

HTTP: dict[str, Any] = {"dialect": "http", "path": "/x", "check": 0, "warmup": 0}
S = 1_000_000_000


async def run(far: Far, mode: str, **options: Any) -> Run:
    url = f"http://127.0.0.1:{far.port}"
    profile = Profile(name="far", servers=(Server(name="far", url=url, kind="http"),))
    load_run = LoadRun(plan_for(mode, **(HTTP | options)), profile)
    async for _ in load_run.ticks():
        pass
    return load_run.run


def judged(run: Run) -> dict[str, bool]:
    return {judgement.threshold: judgement.passed for judgement in run.judgements}


def whole(run: Run) -> tuple[PhaseResult, Totals, float]:
    """What was measured, and good answers a second."""
    result = run.measured()
    assert result is not None
    totals = result.all()
    rate = totals.rates(result.rated).good
    assert rate is not None
    # What ticks, charts, CSV and comparisons add up is the same.
    ticks = [tick.all() for tick in run.ticks if run.phases[tick.phase].phase.measured]
    in_ticks = sum(totals.good - totals.after_good for totals in ticks)
    assert in_ticks == totals.good - totals.after_good
    return result, totals, rate


# whose answer


def test_an_answer_counts_in_the_phase_in_which_it_came(slow: Far) -> None:
    clients = 3
    phases = [Phase(name=f"{i}", duration=0.25, concurrency=clients) for i in range(4)]
    driven = drive(setup_for(slow), *phases)
    check_sums(driven)
    after = [part.all.after_good for part in driven.parts]
    # Only what was in flight at the very end came when nothing ran any more.
    assert 0 <= sum(after) <= clients
    assert any(after[:-1])  # it came from one phase to the next
    for name in ("ended", "answered", "pairs"):
        assert 0 <= sum(getattr(part.all, f"after_{name}") for part in driven.parts) <= clients


def test_what_ends_before_a_gap_is_of_no_other_phase(slow: Far) -> None:
    driven = drive(setup_for(slow), closed(3, 3), closed(3, 3))
    assert [part.all.after_good for part in driven.parts] == [0, 0]


async def test_steps_of_a_ramp_lose_nothing_at_their_borders() -> None:
    with Far("exact", delay=0.6, size=10) as far:
        found = await run(far, "ramp", concurrency=5, duration=5, thresholds=("goodput > 2/s",))
    _, totals, rate = whole(found)
    assert len(found.phases) > 2
    assert totals.after_good <= 5
    assert rate >= (totals.good - 5) / 5
    assert judged(found) == {"goodput > 2/s": True}
    stored = unpack(pack(found))
    assert stored.phases == found.phases
    assert [tick.since for tick in stored.ticks] == [tick.since for tick in found.ticks]


async def test_stages_of_a_schedule_lose_nothing_at_their_borders() -> None:
    limits = ("goodput > 13/s", "goodput > 11/s over 2s")
    with Far("exact", delay=0.5, size=10) as far:
        stages = ["20/s 1s"] * 4
        found = await run(far, "ramp", stages=stages, thresholds=limits)
    _, _, rate = whole(found)
    assert rate <= 20.5
    assert judged(found) == dict.fromkeys(limits, True)


async def test_a_phase_after_a_warm_up_has_what_comes_in_it() -> None:
    limits = ("goodput > 13/s",)
    with Far("exact", delay=0.8, size=10) as far:
        found = await run(far, "rate", rate=20, duration=2, warmup="1.5s", thresholds=limits)
    result, totals, _ = whole(found)
    assert found.phases[0].phase.measured is False
    assert totals.after_good < totals.good  # 16 came later, and as many of the warm-up in it
    assert result.idle == 0.0
    assert judged(found) == {limits[0]: True}


# which stretch


async def test_a_server_that_keeps_up_has_done_what_was_asked() -> None:
    limits = ("goodput > 28/s", "throughput > 28/s", "goodput > 10/s over 1s")
    aborts = ("goodput > 10/s over 1s after 1", "error_rate < 50% over 1s after 1")
    with Far("exact", delay=1.5, size=10) as far:
        found = await run(far, "rate", rate=40, duration=4, thresholds=limits, abort_on=aborts)
    result, _, rate = whole(found)
    assert not found.stopped
    assert judged(found) == dict.fromkeys(limits, True)
    assert 1.4 < result.idle <= 2.0
    assert rate <= 40.0


async def test_clients_in_step_have_done_what_they_can() -> None:
    with Far("exact", delay=0.5, size=10) as far:
        found = await run(far, "throughput", concurrency=8, duration=2.4)
    _, totals, rate = whole(found)
    came = totals.good - totals.after_good
    assert came / 2.4 < rate <= 16.1  # no client can do more than two a second


@pytest.mark.parametrize(
    ("mode", "options"),
    [("rate", {"rate": 30}), ("throughput", {"concurrency": 16}), ("ramp", {"concurrency": 16})],
)
async def test_an_overrun_server_has_done_no_more_than_it_can(
    mode: str, options: dict[str, Any]
) -> None:
    limits = ("goodput > 11/s", "goodput > 11/s over 1s")
    with Far("serial", delay=0.1) as far:
        found = await run(far, mode, duration=3, thresholds=limits, **options)
    _, totals, rate = whole(found)
    assert 3 < rate <= 10.3  # a busy machine does less
    assert totals.good > 3 * rate
    assert judged(found) == dict.fromkeys(limits, False)


async def test_what_is_too_short_for_a_rate_says_so() -> None:
    with Far("exact", delay=1.5, size=10) as far:
        found = await run(far, "rate", rate=20, duration=2, thresholds=("goodput > 19/s",))
    assert judged(found) == {"goodput > 19/s": False}
    assert any("too short for goodput" in reason for reason in found.invalid), found.invalid


def totals(*seconds: float, after: int = 0, failed: int = 0) -> Totals:
    response = Histogram()
    response.record(int(value * S) for value in seconds)
    number = len(seconds)
    return Totals(
        sent=number + failed, ended=number + failed, good=number, after_good=after,
        after_ended=after, errors={"timeout": failed} if failed else {}, response=response,
    )  # fmt: skip


OPEN = Phase(name="open", rate=10.0, duration=10.0)
CLOSED = Phase(name="closed", concurrency=4, duration=10.0)


@pytest.mark.parametrize(
    ("phase", "counted", "ahead", "expected"),
    [
        (OPEN, totals(*[2.0] * 100, after=20), 0.0, 2.0),
        (OPEN, totals(*[2.0] * 100, after=20), 0.5, 1.5),  # in flight for a while already
        (OPEN, totals(*[2.0] * 100, after=20), 30.0, 0.0),
        (OPEN, totals(*[7.0] * 100, after=70), 0.0, 5.0),  # not more than half of it
        (OPEN, totals(*[2.0] * 100, after=10), 0.0, 1.0),  # not more than was due
        (OPEN, totals(*[0.1 * i for i in range(1, 101)], after=50), 0.0, 0.0),  # they queue
        (OPEN, totals(2.0, 2.0, failed=98), 0.0, 0.0),
        (OPEN, totals(failed=100), 0.0, 0.0),
        (OPEN, Totals(), 0.0, 0.0),
        (CLOSED, totals(*[3.0] * 16, after=4), 0.0, 1.0),  # three rounds of four in 9 s
        (CLOSED, totals(*[3.0] * 12, *[9.0] * 4, after=4), 0.0, 0.0),
        (Phase(name="n", concurrency=4, requests=12), totals(*[3.0] * 12), 0.0, 0.0),
    ],
)
def test_how_long_no_answer_could_come(
    phase: Phase, counted: Totals, ahead: float, expected: float
) -> None:
    assert idle(phase, 10.0, counted, ahead) == pytest.approx(expected)


def test_a_phase_too_short_for_a_rate_decides_nothing_unless_it_is_broken_anyway() -> None:
    result = PhaseResult(
        phase=OPEN, seconds=10.0, totals={"a": totals(*[7.0] * 100, after=70)}, client=Client(),
        idle=5.0,
    )  # fmt: skip
    assert "7s at least" in too_short(result, parse_threshold("goodput > 9/s"))
    assert "7s at least" in too_short(result, parse_threshold("goodput > 9/s on a"))
    assert too_short(result, parse_threshold("goodput > 11/s")) == ""
    assert too_short(result, parse_threshold("p95 < 1s")) == ""
    result.idle = 0.0
    assert too_short(result, parse_threshold("goodput > 9/s")) == ""


# over windows


def ticks_of(first: int, number: int) -> Iterator[Tick]:
    """Ten a second, of which the first come after ``first`` seconds."""
    for at in range(number):
        counted = totals(*[float(first)] * (10 if at >= first else 0))
        counted.sent = 10
        yield Tick(
            at=at, seconds=1.0, phase=0, totals={"a": counted}, client=Client(in_flight=10),
            since=0.0,
        )  # fmt: skip


def worst_of(ticks: list[Tick], text: str) -> tuple[float | None, bool, str | None]:
    levels = Levels([parse_threshold(text)])
    for tick in ticks:
        levels.take(tick)
    every = Totals.sum(tick.all() for tick in ticks)
    result = PhaseResult(
        phase=OPEN, seconds=float(len(ticks)), totals={"a": every}, client=Client(), idle=3.0
    )
    [judgement] = levels.judge(result)
    return judgement.observed, judgement.passed, levels.doubts().get(text)


def test_a_window_counts_from_the_first_answer_that_could_come() -> None:
    assert worst_of(list(ticks_of(3, 20)), "goodput > 9/s over 5s") == (10.0, True, None)


def test_a_window_in_which_answers_could_have_come_counts() -> None:
    ticks = list(ticks_of(3, 20))
    ticks[12].totals["a"].response.record([S // 100])  # as fast as that it can be
    observed, passed, doubt = worst_of(ticks, "goodput > 9/s over 5s")
    assert (passed, doubt) == (False, "")
    assert observed == pytest.approx(4, rel=0.01)


def test_where_no_window_is_whole_the_whole_decides() -> None:
    assert worst_of(list(ticks_of(3, 6)), "goodput > 9/s over 5s") == (10.0, True, None)


def test_a_server_that_never_answers_breaks_a_rate_over_a_window() -> None:
    ticks = list(ticks_of(99, 8))
    observed, passed, _ = worst_of(ticks, "goodput > 9/s over 5s")
    assert (observed, passed) == (0.0, False)


# compared


def test_a_comparison_leaves_out_the_time_in_which_no_answer_could_come() -> None:
    ticks = list(ticks_of(3, 20))
    found = sample_run(seconds=3)
    every = Totals.sum(tick.all() for tick in ticks)
    found.ticks = ticks
    found.phases = [
        PhaseResult(phase=OPEN, seconds=20.0, totals={"a": every}, client=Client(), idle=3.0)
    ]
    assert Ratio("goodput", whole_of(found)).whole == pytest.approx(10.0)


def whole_of(run: Run) -> Side:
    side = Side(run, [0])
    side.cut([5])
    return side


# drawn


def test_errors_that_come_when_nothing_runs_any_more_are_in_no_chart_of_rates() -> None:
    moments = Moments()
    running, drained = totals(failed=4), totals(failed=165)
    running.after_ended, drained.after_ended = 1, 165
    for at, (seconds, counted) in enumerate([(1.0, running), (NO_TIME, drained)]):
        moments.take(Tick(at=at, seconds=seconds, phase=0, totals={"a": counted}, client=Client()))
    in_time, after = moments.points
    assert (in_time.errors, in_time.kinds) == (3.0, {"timeout": 3.0})
    assert (after.errors, after.kinds) == (0.0, {})


def test_errors_of_a_phase_before_are_drawn_where_they_come() -> None:
    moments = Moments()
    came = {"a": Totals(after_ended=-5)}
    moments.take(Tick(at=0, seconds=1, phase=1, totals=came, client=Client()))
    [moment] = moments.points
    assert (moment.errors, moment.good, moment.kinds) == (5.0, 0.0, {EARLIER: 5.0})
