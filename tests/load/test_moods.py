"""Seconds that hang together are no independent seconds, and are not taken for such."""

from __future__ import annotations

import math
import random

import pytest

from opsconsole.cli.load_runs import gate
from opsconsole.errors import ExitCode
from opsconsole.load import bootstrap
from opsconsole.load.compare import Comparison, compare
from opsconsole.load.moods import Mood, mood_of
from opsconsole.load.plan import Phase, Plan
from opsconsole.load.records import Client, PhaseResult, Run, Tick, Totals


def series(seconds: int, memory: float, rng: random.Random) -> list[float]:
    """A first-order autoregression of variance 1."""
    value, found = rng.gauss(0, 1), []
    for _ in range(seconds):
        value = memory * value + math.sqrt(1 - memory**2) * rng.gauss(0, 1)
        found.append(value)
    return found


def run(name: str, seconds: int, memory: float, rng: random.Random, scale: float = 1.0) -> Run:
    """A server whose level in each second is such a series, with a deviation of 10 %."""
    plan = Plan(
        name="p", mode="rate", phases=(Phase(name="r", rate=20.0, duration=float(seconds)),)
    )
    whole, ticks = Totals(), []
    for at, mood in enumerate(series(seconds, memory, rng)):
        totals = Totals(sent=20, ended=20, good=20)
        level = 20e6 * scale * math.exp(0.1 * mood)
        totals.response.record([int(level * math.exp(rng.gauss(0, 0.3))) for _ in range(20)])
        whole.add(totals)
        ticks.append(
            Tick(at=float(at), seconds=1.0, phase=0, totals={"a": totals}, client=Client())
        )
    result = PhaseResult(phase=plan.phases[0], seconds=seconds, totals={"a": whole},
                         client=Client())  # fmt: skip
    return Run(id=name, at=0.0, plan=plan, profile="x", fingerprint="f", servers={},
               phases=[result], ticks=ticks)  # fmt: skip


@pytest.mark.parametrize(("memory", "low", "high"), [(0.0, 1.0, 1.6), (0.9, 11.0, 30.0)])
def test_how_long_a_mood_lasts_is_found(memory: float, low: float, high: float) -> None:
    rng = random.Random(7)
    found = [mood_of([series(600, memory, rng), series(600, memory, rng)]) for _ in range(20)]
    lengths = sorted(mood.length for mood in found)
    assert low <= lengths[10] <= high  # (1 + 0.9) / (1 - 0.9) is 19
    assert (sorted(mood.block for mood in found)[10] > 20) == (memory > 0)


def test_what_cannot_be_told_has_no_mood() -> None:
    assert mood_of([]) == mood_of([[1.0, 2.0]]) == Mood()
    assert mood_of([[1.0] * 20, [1.0] * 20]).length == 1.0
    assert Mood().missed(1) == 1.0


def test_the_same_server_with_long_moods_is_seldom_called_different(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Blocks of the square root of the length called 14 of these 60 pairs different.
    monkeypatch.setattr(bootstrap, "RESAMPLES", 400)
    rng = random.Random(5)
    pairs = [
        compare(run("a", 120, 0.9, rng), run("b", 120, 0.9, rng), metrics=("p50",)).changes[0]
        for _ in range(60)
    ]
    assert sum(change.verdict != "no difference" for change in pairs) <= 10
    rng = random.Random(6)
    slower = [
        compare(run("a", 120, 0.7, rng), run("b", 120, 0.7, rng, 1.15), metrics=("p50",)).changes[0]
        for _ in range(10)
    ]
    assert sum(change.verdict == "worse" for change in slower) >= 9


def lasting() -> Comparison:
    """Of two runs in which the server changed its mood once or twice."""

    def steps(name: str, levels: tuple[float, ...]) -> Run:
        found = run(name, 60, 0.0, random.Random(name))
        for at, tick in enumerate(found.ticks):
            totals = tick.totals["a"] = Totals(sent=20, ended=20, good=20)
            totals.response.record([int(20e6 * levels[at * len(levels) // 60])] * 20)
        return found

    return compare(steps("a", (1.0, 2.0, 1.0)), steps("b", (2.0, 1.0, 2.0)))


def test_too_few_independent_stretches_decide_nothing() -> None:
    found = lasting()
    for change in found.changes[:3]:
        assert change.verdict == "no difference"
        assert change.low is None
        assert "seconds hang together: only" in change.note


def test_a_gate_that_cannot_tell_does_not_pass(capsys: pytest.CaptureFixture[str]) -> None:
    found = lasting()
    assert gate(found, 0.05) is ExitCode.UNKNOWN
    assert "cannot be told to be no worse: seconds hang together" in capsys.readouterr().err
    assert gate(found, None) is ExitCode.OK
