from __future__ import annotations

import pytest

from opsconsole.balancer.access import Entry, parse
from opsconsole.balancer.figures import divide, ejected, shares, worst_gap
from opsconsole.load.records import Client, Tick
from tests.balancer.bed import pool

A, B = "127.0.0.1:1", "127.0.0.1:2"


def good(at: float, *servers: str) -> Entry:
    *failed, last = servers
    tries = (*((server, 502) for server in failed), (last, 200))
    return Entry(at=at, seconds=0.0, status=200, tries=tries)


def test_a_line_of_the_log() -> None:
    entry = parse("1763740800.250|200|0.015|127.0.0.1:1, 127.0.0.1:2|502, 200")
    assert entry == Entry(at=1763740800.25, seconds=0.015, status=200, tries=((A, 502), (B, 200)))
    assert entry.answered == B
    ipv6 = parse("1.0|200|0.1|[::1]:1 : 127.0.0.1:2|503 : 200")
    assert ipv6 is not None
    assert ipv6.tries == (("[::1]:1", 503), (B, 200))


@pytest.mark.parametrize(
    "line", ["", "1|2", "x|200|0.1|-|-", "1.0|200|0.1|-|-|more", "\x00"], ids=repr
)
def test_a_line_that_is_none_is_left_out(line: str) -> None:
    assert parse(line) is None


def test_where_all_were_out_nobody_was_tried() -> None:
    entry = parse("1.0|502|0.0|opsconsole_x|502")
    assert entry is not None
    assert entry.tries == ()
    assert entry.answered == ""


def test_the_worst_gap_counts_begin_and_end() -> None:
    assert worst_gap([1.0, 1.5, 4.0], 0.0, 5.0) == 2.5
    assert worst_gap([], 2.0, 5.0) == 3.0
    assert worst_gap([1.0], 0.0, 5.0) == 4.0
    assert worst_gap([], 0.0, 0.0) is None


def test_ejected_is_after_the_last_try_before_the_quiet() -> None:
    others = [good(10 + i / 10, B) for i in range(100)]
    vain = [good(10.2, A, B), good(10.3, A, B), good(10.7, A, B)]
    # nginx asks again after fail_timeout: that is no less ejected.
    probe = [good(14.0, A, B)]
    assert ejected([*others, *vain, *probe], A, 10.0, 20.0, 1.5) == (pytest.approx(10.7), 4)
    assert ejected(others, A, 10.0, 20.0, 1.5) == (10.0, 0)


def test_a_server_that_is_tried_again_and_again_is_not_ejected() -> None:
    vain = [good(10 + i, A, B) for i in range(10)]
    assert ejected(vain, A, 10.0, 20.0, 1.5) == (None, 10)


def test_a_tick_in_which_a_stage_began_is_of_that_stage() -> None:
    ticks = [Tick(at=at, seconds=1.0, phase=0, totals={}, client=Client()) for at in range(6)]
    first, second, third = divide(ticks, [0.0, 2.5, 5.0])
    assert [tick.at for tick in first] == [0, 1]
    assert [tick.at for tick in second] == [2, 3, 4]
    assert [tick.at for tick in third] == [5]


def test_shares_are_of_a_fair_part() -> None:
    made = pool(f"http://{A}", f"http://{B}")
    one, two = shares(made, [good(1, A), good(2, A), good(3, A), good(4, B)], {"s1": 3})
    assert (one.answers, one.of_fair, one.counted) == (3, 1.5, 3)
    assert (two.answers, two.of_fair, two.counted) == (1, 0.5, None)
