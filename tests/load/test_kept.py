"""Kept connections: who loses a request that goes out while the server closes, and whose answer it
is that comes over an idle one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.load.generator.stale import (
    FEW,
    FOREVER,
    IDLE_NS,
    IN,
    STALE_NS,
    Losses,
    is_unasked,
    life_of,
    may_be_stale,
)
from opsconsole.load.messages import Stop, Target
from opsconsole.load.plan import Work
from tests.balancer.bed import needs_nginx
from tests.load.bed import CLIENTS, COUNT
from tests.load.driving import (
    PATH,
    RERANK,
    Generator,
    body_work,
    check_sums,
    closed,
    drive,
    opened,
    setup_for,
)
from tests.load.farside import Far
from tests.nginx import serving
from tests.server.process import until

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


# --- Closed while it was kept ---------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.0, 0.02])
@pytest.mark.parametrize(
    ("kind", "error", "forgiven"), [("resets", "reset", FEW), ("hangs_up", "closed", 0)]
)
def test_a_server_that_takes_and_drops_again_and_again_fails(
    kind: str, error: str, forgiven: int, delay: float
) -> None:
    with Far(kind, nth=2, delay=delay) as far:
        driven = drive(setup_for(far, work=RERANK), closed(COUNT, 1))
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert driven.client.retried == forgiven
    assert totals.errors == {error: seen.bad - forgiven}
    assert (totals.sent, seen.requests) == (COUNT, COUNT + forgiven)
    assert seen.bad == seen.requests // 2
    assert totals.good == seen.good
    assert "a kept connection, idle for" in driven.examples[error]


def test_a_reset_that_is_rare_is_sent_again_and_told() -> None:
    with Far("resets", nth=IN) as far:
        driven = drive(setup_for(far, work=RERANK), closed(6 * IN, 1))
        seen = far.counts()
    check_sums(driven)
    assert (driven.all.good, driven.all.errors) == (6 * IN, {})
    assert driven.client.retried == seen.bad == 6


@pytest.mark.parametrize("kind", ["resets", "hangs_up"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_may_be_repeated_is_sent_again(method: str, kind: str) -> None:
    work = Work(dialect="http", method=method, path=PATH, check=0.0)
    with Far(kind, nth=2) as far:
        driven = drive(setup_for(far, work=work), closed(COUNT, 1))
        seen = far.counts()
    check_sums(driven)
    assert (driven.all.good, driven.all.errors) == (COUNT, {})
    assert driven.client.retried == seen.bad == COUNT - 1  # all but the first, each once


@pytest.mark.parametrize("kind", ["resets", "hangs_up"])
def test_nothing_is_sent_again_over_a_connection_that_carried_no_answer(kind: str) -> None:
    work = Work(dialect="http", method="GET", path=PATH, check=0.0)
    with Far(kind) as far:
        driven = drive(setup_for(far, work=work), closed(COUNT, CLIENTS))
        seen = far.counts()
    check_sums(driven)
    assert sum(driven.all.errors.values()) == seen.requests == COUNT
    assert driven.client.retried == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what had arrived")
@LOOPS
def test_a_request_that_came_after_the_end_is_sent_again_and_told(loop: str) -> None:
    with Far("corked") as far:
        driven = drive(setup_for(far, work=RERANK), closed(COUNT, CLIENTS), uvloop=loop == "uvloop")
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert (totals.good, totals.errors, totals.sent) == (COUNT, {}, COUNT)
    assert seen.requests == seen.good == seen.connections == COUNT
    # All but a client's first go out over a connection whose end lies unread beside the answer.
    assert driven.client.retried == COUNT - CLIENTS


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.02])
def test_each_request_to_a_server_that_closes_without_a_word_has_one_end(delay: float) -> None:
    with Far("closing", delay=delay) as far:
        driven = drive(setup_for(far, work=RERANK), closed(COUNT, CLIENTS, think=delay))
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert totals.sent == COUNT
    assert set(totals.errors) <= {"closed", "reset"}
    assert totals.good == seen.good == seen.requests


@pytest.mark.parametrize("kind", ["resets", "hangs_up"])
def test_a_connection_that_was_idle_for_long_may_be_closed(kind: str) -> None:
    with Far(kind, nth=2) as far:
        think = 1.1 * IDLE_NS / 1e9
        driven = drive(setup_for(far, work=RERANK), closed(2, 1, think=think))
        seen = far.counts()
    check_sums(driven)
    assert (driven.all.good, driven.all.errors) == (2, {})
    assert driven.client.retried == 1
    assert (seen.requests, seen.good) == (3, 2)


def test_what_takes_long_to_end_is_not_stale() -> None:
    assert may_be_stale(IDLE_NS, STALE_NS, 0)
    assert may_be_stale(IDLE_NS, STALE_NS + 60_000_000, 30_000_000)
    assert not may_be_stale(IDLE_NS, STALE_NS + 1, 0)
    assert not may_be_stale(IDLE_NS - 1, 0, 0)


def test_resets_are_forgiven_while_they_are_few_for_the_requests() -> None:
    losses = Losses(idempotent=False)
    losses.started = 2 * IN
    reset = {"untaken": False, "stale": False, "reset": True}
    assert [losses.excused(**reset) for _ in range(FEW + 3)] == [True] * (FEW + 2) + [False]
    assert losses.excused(untaken=False, stale=True, reset=True)
    assert not losses.excused(**reset)
    # One that had certainly not arrived: it does close without a word.
    assert losses.excused(untaken=True, stale=False, reset=False)
    assert losses.excused(**reset)
    assert not losses.excused(**reset)
    assert not losses.excused(untaken=False, stale=False, reset=False)


@needs_nginx
def test_clients_who_think_for_as_long_as_nginx_keeps_lose_nothing(tmp_path: Path) -> None:
    """It keeps an idle connection for a second, and does not say so."""
    with serving(tmp_path, "keepalive_timeout 1s; location / { return 200; }") as port:
        target = Target(name="nginx", host="127.0.0.1", port=port)
        # What is sent at 1 s ± 0 meets the close on its way.
        driven = drive(setup_for(target, work=body_work(200)), closed(150, 50, think=1.0))
    check_sums(driven)
    assert (driven.all.good, driven.all.errors) == (150, {})


# --- What the server says of when it will close ---------------------------------------------------


def test_a_connection_is_not_used_when_the_server_is_about_to_close_it() -> None:
    with Far("tells") as far:
        setup = setup_for(far, work=RERANK)
        one = drive(setup, closed(COUNT, 1))
        assert far.counts().connections == 1
        several = drive(setup, closed(3, 1, think=0.6))
        assert far.counts().connections == 1 + 3
    for driven in (one, several):
        check_sums(driven)
        assert driven.all.errors == {}
        assert driven.client.retried == 0


@pytest.mark.parametrize(
    ("head", "seconds"),
    [
        (b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5", 4),
        (b"HTTP/1.1 200 OK\r\nkeep-alive:max=100, timeout = 75\r\nserver: x", 74),
        (b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1", 0.5),
        (b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0", 0),
    ],
)
def test_how_long_a_connection_lives(head: bytes, seconds: float) -> None:
    assert life_of(head) == seconds * 1e9


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: max=5",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=soon",
        b"HTTP/1.1 200 OK\r\nx-keep-alive: timeout=5",
        b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nx: timeout=5",
    ],
)
def test_a_server_that_does_not_say_keeps_for_ever(head: bytes) -> None:
    assert life_of(head) == FOREVER


# --- Answers that nobody asked for ----------------------------------------------------------------


@pytest.fixture
def repeating() -> Iterator[Far]:
    """A server that answers at once, and again 20 ms later."""
    with Far("repeats", delay=0.02) as far:
        yield far


@LOOPS
def test_an_answer_too_many_makes_neither_a_good_one(loop: str) -> None:
    with Far("chatters") as far:
        driven = drive(setup_for(far, work=RERANK), closed(COUNT, CLIENTS), uvloop=loop == "uvloop")
        seen = far.counts()
    check_sums(driven)
    assert driven.all.errors == {"unasked": COUNT}
    assert seen.requests == seen.connections == COUNT


@LOOPS
def test_an_answer_on_an_idle_connection_is_counted_and_answers_nobody(
    repeating: Far, loop: str
) -> None:
    with Generator(setup_for(repeating, work=RERANK), uvloop=loop == "uvloop") as generator:
        generator.begin(opened(2, 60.0))
        until(lambda: repeating.counts().requests >= 4, "requests")
        generator.send(Stop())
        driven = generator.collect()
        seen = repeating.counts()
    check_sums(driven)
    totals = driven.all
    assert set(totals.errors) == {"unasked"}
    assert totals.errors["unasked"] >= 1
    assert seen.connections >= totals.errors["unasked"]
    assert totals.good == totals.sent == seen.requests
    assert driven.examples["unasked"].startswith("on an idle connection: HTTP/1.1 200 OK")


def test_clients_who_never_wait_see_it_at_the_end(repeating: Far) -> None:
    driven = drive(setup_for(repeating, work=RERANK), closed(COUNT, CLIENTS))
    check_sums(driven)
    assert driven.all.sent == COUNT
    assert set(driven.all.errors) == {"unasked"}


def test_a_proxy_that_ends_what_is_idle_says_nothing_wrong() -> None:
    with Far("times_out", delay=0.02) as far, Generator(setup_for(far, work=RERANK)) as generator:
        generator.begin(opened(2, 60.0))
        until(lambda: far.counts().requests >= 3, "requests")
        generator.send(Stop())
        driven = generator.collect()
    check_sums(driven)
    assert driven.all.good == driven.all.sent
    assert driven.all.errors == {}


@pytest.mark.parametrize(
    ("data", "unasked"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 408 Request Timeout\r\n", False),
        (b"\r\n", False),
        (b"\x00", True),
    ],
)
def test_what_is_an_answer(data: bytes, unasked: bool) -> None:
    assert is_unasked(data) is unasked
