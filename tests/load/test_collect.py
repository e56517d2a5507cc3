"""Frames of several processes become ticks and totals, with nothing lost and nothing grown."""

from __future__ import annotations

import pytest

from opsconsole.load.collect import MOST_TICKS, Collector, keep
from opsconsole.load.messages import Frame
from opsconsole.load.plan import Phase
from opsconsole.load.records import Client, Tick, Totals

SECOND = 1_000_000_000
PHASE = Phase(name="load", concurrency=1, requests=10)


def frame(begin: float, seconds: float = 0.2, *, phase: int = 0, sent: int = 1) -> Frame:
    start = round(begin * SECOND)
    return Frame(
        phase=phase,
        begin=start,
        end=start + round(seconds * SECOND),
        totals={"a": Totals(sent=sent, ended=sent, good=sent)},
        client=Client(due=sent, in_flight=2),
    )


def test_a_tick_comes_when_no_frame_of_its_second_can_follow() -> None:
    collector = Collector(0)
    for begin in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        collector.add(frame(begin), 0)
        collector.add(frame(begin), 1)
    assert list(collector.due(1 * SECOND)) == []
    (tick,) = collector.due(round(1.5 * SECOND))
    assert (tick.at, tick.seconds) == (0.0, 1.0)
    assert tick.all().sent == 10
    assert tick.client.in_flight == 4  # two processes with two each
    (last,) = collector.rest()
    assert last.all().sent == 2


def test_the_short_last_frame_of_a_phase_makes_no_tick_of_its_own() -> None:
    collector = Collector(0)
    collector.add(frame(0.8))
    collector.add(frame(1.0, 0.001, sent=80))
    (tick,) = collector.rest()
    assert tick.all().sent == 81
    assert tick.seconds > 0.2


def test_results_are_by_phase_over_the_widest_span() -> None:
    collector = Collector(0)
    collector.add(frame(0.0, phase=3, sent=5), 0)
    collector.add(frame(0.1, phase=3, sent=6), 1)
    spans = [((0, SECOND),), ((SECOND // 2, 2 * SECOND),)]
    (result,) = collector.results([PHASE], 3, spans)
    assert result.all().sent == 11
    assert result.seconds == 2.0
    # A phase that a stop left out has no span and no figures.
    (nothing,) = collector.results([PHASE], 4, [(), ()])
    assert (nothing.seconds, nothing.all().sent) == (0.0, 0)


def test_ticks_are_merged_before_they_are_too_many_and_keep_every_count() -> None:
    ticks: list[Tick] = []
    seconds = 5 * MOST_TICKS
    for second in range(seconds):
        totals = {"a": Totals(sent=1, errors={"timeout": 1})}
        keep(ticks, Tick(at=second, seconds=1, phase=second % 100 == 0, totals=totals,
                         client=Client(due=1)))  # fmt: skip
        assert len(ticks) <= MOST_TICKS
    assert sum(tick.all().sent for tick in ticks) == seconds
    assert sum(tick.all().errors["timeout"] for tick in ticks) == seconds
    assert sum(tick.client.due for tick in ticks) == seconds
    assert sum(tick.seconds for tick in ticks) == seconds
    lengths = [tick.seconds for tick in ticks if tick.phase == 0]
    assert max(lengths) <= 4 * sorted(lengths)[len(lengths) // 2]  # they grow together


def test_stalls_at_the_same_time_do_not_add_up() -> None:
    collector = Collector(0)
    for begin in (0.0, 0.2):
        for process in (0, 1):
            one = frame(begin)
            one.client.stalled = 0.05 + process / 100
            collector.add(one, process)
    (tick,) = collector.rest()
    assert tick.client.stalled == pytest.approx(0.12)


def test_what_was_in_flight_is_each_processs_last_report() -> None:
    collector = Collector(0)
    for begin in (0.0, 0.2, 0.4):
        collector.add(frame(begin), 0)
    collector.add(frame(0.0), 1)  # it ended early
    (tick,) = collector.rest()
    assert tick.client.in_flight == 4
