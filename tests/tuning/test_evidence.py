"""What pairs of runs prove, and what is recommended and judged from it."""

from __future__ import annotations

import math
import random

import pytest

from opsconsole.load.records import Client
from opsconsole.tuning.conditions import improved, rejections, stable, wait
from opsconsole.tuning.evidence import change_of, evidence_of, figures_of
from opsconsole.tuning.records import Change, Evidence, Recommendation, Report, Step
from opsconsole.tuning.report import evidence_lines, plain, recommendation, scatter
from opsconsole.tuning.sweep import recommend, unsound
from tests.tuning.surface import figures, result, trial


def pairs(gain: float, noise: float, count: int, rng: random.Random) -> Evidence:
    """Evidence of a server that is ``gain`` times as fast, with ``noise`` from start to start."""

    def runs(speed: float) -> list[tuple[object, object]]:
        found = []
        for _ in range(count):
            rate = 20 * speed * rng.lognormvariate(0, noise)
            one = result(rate, 8 / rate)
            found.append((one, figures_of([one])))
        return found

    return evidence_of({"BATCH_SIZE": "64"}, runs(1.0), runs(gain))  # type: ignore[arg-type]


def test_noise_does_not_win() -> None:
    rng = random.Random(1)
    wins = sum(bool(recommend(pairs(1, 0.1, 4, rng), "throughput", 2.0).settings)
               for _ in range(400))  # fmt: skip
    assert wins <= 0.05 * 400  # half of the two-sided 5 % are for the worse


def test_what_is_better_is_recommended_with_its_figures() -> None:
    evidence = pairs(1.4, 0.02, 4, random.Random(2))
    found = recommend(evidence, "throughput", 2.0)
    assert found.settings == {"BATCH_SIZE": "64"}
    rate = evidence.of("rate")
    assert rate.low is not None
    assert rate.high is not None
    assert rate.low < 0.4 < rate.high
    assert evidence.before.requests == pytest.approx(800, rel=0.1)
    assert "4 pairs of runs" in found.why
    assert any("95 % interval" in line for line in evidence_lines(evidence))


def test_what_breaks_the_limit_is_not_recommended() -> None:
    rng = random.Random(3)
    before = [(r := result(20, 0.4), figures_of([r])) for _ in range(4)]
    after = [(r := result(30 * rng.uniform(0.99, 1.01), 0.6), figures_of([r])) for _ in range(4)]
    evidence = evidence_of({"BATCH_SIZE": "64"}, before, after)
    assert recommend(evidence, "throughput", None).settings
    kept = recommend(evidence, "throughput", 0.5)
    assert not kept.settings
    assert "limit" in kept.why
    assert not recommend(evidence, "latency", None).settings


@pytest.mark.parametrize(("limit", "is_told"), [(0.5, True), (0.9, False), (None, False)])
def test_that_no_trial_kept_the_limit_is_said(limit: float | None, is_told: bool) -> None:
    report = Report(
        profile="p", server="s", at=0.0, seconds=60.0, load="c", goal="throughput",
        limit=limit, was={},
        trials=(trial(1, {}, 10.0, 1.2), trial(2, {"DTYPE": "int8"}, 9.0, 0.8)),
        recommendation=Recommendation(settings={}, why="no difference is proved"),
    )  # fmt: skip
    said = " ".join(recommendation(report).split())
    assert ("none of the trials kept p95 <= 500ms: the lowest was 800ms" in said) is is_told


def test_where_the_limit_is_broken_already_what_comes_nearer_wins() -> None:
    before = [(r := result(20, 0.9), figures_of([r])) for _ in range(3)]
    after = [(r := result(20 + n / 10, 0.6 + n / 100), figures_of([r])) for n in range(3)]
    assert recommend(evidence_of({"DTYPE": "int8"}, before, after), "throughput", 0.5).settings


def test_failures_are_infinitely_slow_and_prove_nothing_good() -> None:
    change = change_of("p95", [0.1, 0.1, 0.1], [math.inf] * 3, (0.1, math.inf))
    assert change.change is None
    assert stable("latency", change).passed is False
    assert improved("latency", change, more=False).passed is False
    assert stable("latency", None).passed is None


@pytest.mark.parametrize(
    ("low", "middle", "high", "is_stable", "has_improved"),
    [
        (-0.3, -0.2, -0.1, True, True),
        (-0.02, 0.0, 0.02, True, False),
        (0.05, 0.2, 0.3, False, False),
        (-0.3, 0.0, 0.4, None, None),
    ],
)
def test_conditions_have_three_answers(
    low: float, middle: float, high: float, is_stable: bool | None, has_improved: bool | None
) -> None:
    change = Change(metric="p95", before=1.0, after=1.0, change=middle, low=low, high=high)
    assert stable("latency", change).passed is is_stable
    assert improved("latency", change, more=False).passed is has_improved


def test_rejections_and_waits_are_judged() -> None:
    def evidence(before: int, after: int, p95: float = 0.2) -> Evidence:
        old = figures(10, p95, 1000, rejected=before, failed=before)
        new = figures(10, 0.4, 1000, rejected=after, failed=after)
        return Evidence(settings={}, repetitions=1, before=old, after=new, changes=(), test="")

    def verdict(before: int, after: int, limit: float | None) -> bool | None:
        conditions = (rejections(evidence(before, after)), wait(evidence(before, after), limit))
        return Step(name="q", settings={}, conditions=conditions).passed

    assert verdict(100, 10, 0.5) is True
    assert verdict(100, 98, 0.5) is False
    assert verdict(0, 0, 0.5) is None
    assert verdict(100, 10, 0.3) is False
    assert verdict(100, 10, None) is None
    # The limit was broken as it was: that is not the queue's doing.
    broken = wait(evidence(100, 10, p95=0.5), 0.3)
    assert broken.passed is None
    assert "500ms before" in broken.observed


def test_a_generator_that_waited_for_a_core_is_noise_but_one_that_failed_is_none() -> None:
    run = result(20, 0.4)
    run.client = Client(stalled=4.0)
    assert unsound(run) == ""
    run.client = Client(failures={"no ports left": 2})
    assert "no ports left" in unsound(run)


def test_the_scatter_shows_every_point_within_its_width() -> None:
    trials = [
        trial(1, {}, 10, 0.5),
        trial(2, {"BATCH_SIZE": "64"}, 20, 0.9),
        trial(3, {"DTYPE": "int8"}, 5, 1.2),
        trial(4, {"DTYPE": "auto"}, 7, math.inf),
    ]
    lines = scatter(trials, [1, 2], 60)
    assert max(map(len, lines)) <= 60
    drawn = "".join(lines[1:])
    assert (drawn.count("◆"), drawn.count("○"), drawn.count("·")) == (1, 1, 1)
    assert plain("".join(lines)).isascii()
    assert scatter(trials[:1], [1], 60) == []
