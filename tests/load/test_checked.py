"""Answers that are checked on a sample: what nobody looked at is no better than the others."""

from __future__ import annotations

import math

import msgspec
import pytest

from opsconsole.load.judge import measure
from opsconsole.load.packing import _Totals, pack, unpack
from opsconsole.load.plan import Work
from opsconsole.load.records import Client, Tick, Totals
from opsconsole.load.windows import LEAST_CHECKED, Window
from tests.load.driving import RERANK, check_sums, closed, drive, setup_for
from tests.load.farside import Far
from tests.load.sample_runs import sample_run

COUNT = 200


def sampled(share: float) -> Work:
    return msgspec.structs.replace(RERANK, check=share)


def test_a_server_that_answers_nonsense_is_not_good_where_nobody_looks() -> None:
    with Far("short") as far:
        driven = drive(setup_for(far, work=sampled(0.1)), closed(COUNT, 1))
    check_sums(driven)
    totals = driven.all
    assert 0 < totals.checked < COUNT / 2
    assert totals.wrong == totals.checked
    assert totals.good == COUNT - totals.checked
    assert measure("success_rate", totals, 2.0) == 0.0
    assert measure("error_rate", totals, 2.0) == 1.0
    assert measure("goodput", totals, 2.0) == measure("pairs", totals, 2.0) == 0.0
    assert measure("throughput", totals, 2.0) == COUNT / 2
    assert measure("p50", totals, 2.0) == measure("max", totals, 2.0) == math.inf


def test_of_those_not_checked_as_many_are_taken_to_be_wrong() -> None:
    with Far("short", nth=2) as far:
        driven = drive(setup_for(far, work=sampled(0.5)), closed(COUNT, 1))
    check_sums(driven)
    totals = driven.all
    right = totals.checked - totals.wrong
    # Seeded, and one client: always the same requests.
    assert 70 < totals.checked < 130
    assert 0.3 < right / totals.checked < 0.7
    success = measure("success_rate", totals, 2.0)
    assert success == pytest.approx(right / totals.checked)
    assert measure("goodput", totals, 2.0) == pytest.approx(COUNT * right / totals.checked / 2)
    whole = totals.good + totals.failures
    assert totals.good / whole == pytest.approx(success, rel=0.01)  # so many have a latency
    assert measure("p90", totals, 2.0) == math.inf


def test_answers_that_were_right_speak_for_the_others() -> None:
    with Far() as far:
        some = drive(setup_for(far, work=sampled(0.1)), closed(COUNT, 4)).all
        none = drive(setup_for(far, work=sampled(0.0)), closed(COUNT, 4)).all
        each = drive(setup_for(far, work=RERANK), closed(COUNT, 4)).all
    for totals in (some, none, each):
        assert (totals.good, totals.sound, totals.failures) == (COUNT, 1.0, 0)
    assert none.checked == 0 < some.checked < each.checked == COUNT


def test_a_refusal_is_no_checked_answer() -> None:
    with Far("busy") as far:
        totals = drive(setup_for(far, work=RERANK), closed(20, 2)).all
    assert (totals.checked, totals.sound, totals.failures) == (0, 1.0, 20)


def test_one_look_in_a_window_decides_nothing() -> None:
    window = Window(3.0)

    def take(checked: int, wrong: int) -> Totals:
        good = 100 - wrong
        totals = Totals(ended=100, good=good, errors={"wrong answer": wrong}, checked=checked)
        tick = Tick(at=window.end, seconds=1.0, phase=0, totals={"a": totals}, client=Client())
        window.add(tick)
        return window.totals()

    assert take(1, 1).sound == 1.0
    assert take(LEAST_CHECKED, 3).sound < 0.95
    for _ in range(3):
        last = take(LEAST_CHECKED, 0)
    assert (last.checked, last.sound) == (3 * LEAST_CHECKED, 1.0)


def test_how_many_were_checked_is_kept() -> None:
    run = sample_run(seconds=1)
    whole = run.phases[1].all()
    whole.checked = 7
    run.phases[1].totals = {"a": whole}
    assert unpack(pack(run)).phases[1].all().checked == 7


def test_an_older_version_took_all_answers_for_checked() -> None:
    """It did not say how many: nothing is to be concluded from that."""
    totals = Totals(ended=100, good=97, errors={"wrong answer: indices": 2, "timeout": 1})
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(_Totals.of(totals)))
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(fields[:-1]), type=_Totals).back()
    assert (old.checked, old.sound, old.failures) == (99, 1.0, 3)
