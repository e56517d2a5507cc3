"""What the generator reports of servers of every kind, against what the servers counted."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsconsole.load.messages import Control, Stop
from opsconsole.load.plan import Work
from opsconsole.load.records import Totals
from tests.certificates import make_certificate
from tests.load.driving import (
    PATH,
    RERANK,
    Driven,
    Generator,
    GeneratorError,
    body_work,
    check_sums,
    closed,
    drive,
    opened,
    setup_for,
    target_of,
)
from tests.load.farside import WELL_BEHAVED, Counts, Far
from tests.net import free_port
from tests.server.process import until

COUNT = 24
CLIENTS = 3
UNCHECKED = Work(documents=RERANK.documents, document_tokens=RERANK.document_tokens, check=0.0)


def loaded(far: Far, *, count: int = COUNT, **changes: Any) -> tuple[Driven, Totals, Counts]:
    """So many rerank requests by three clients: all of it, its totals, and the server's counts."""
    changes = {"work": RERANK} | changes
    driven = drive(setup_for(far, **changes), closed(count, CLIENTS))
    check_sums(driven)
    totals = driven.first.all
    assert totals.ended == count
    return driven, totals, far.counts()


# --- Answers that are right -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", WELL_BEHAVED)
def test_a_right_answer_is_good_however_it_comes(kind: str) -> None:
    delay = 0.0 if kind in ("closing", "half_close") else 0.005
    work = UNCHECKED if kind == "stream" else RERANK
    with Far(kind, delay=delay) as far:
        driven, totals, seen = loaded(far, work=work)
    assert totals.errors == {}
    assert driven.client.failures == {}
    assert totals.good == totals.sent == COUNT == seen.good == seen.requests
    assert totals.bytes_in == seen.bytes_out
    if kind in ("polite", "old", "until_close", "half_close"):
        assert seen.connections == COUNT
    elif kind != "closing":
        assert seen.connections == CLIENTS
        assert totals.bytes_out == seen.bytes_in


def test_pairs_are_counted_of_good_answers_alone() -> None:
    with Far("busy", nth=3) as far:
        _, totals, seen = loaded(far)
    assert (totals.good, totals.pairs) == (seen.good, 4 * seen.good)
    assert totals.errors == {"HTTP 503 queue_full": seen.bad}
    assert 0 < seen.bad < COUNT


def test_the_first_byte_of_a_stream_is_not_its_end() -> None:
    with Far("stream", delay=0.02) as far:
        _, totals, _ = loaded(far, work=UNCHECKED)
    assert totals.service.least >= 80_000_000
    first, service = totals.first_byte.mean, totals.service.mean
    assert first is not None
    assert service is not None
    assert service - first >= 0.075


def test_interim_answers_are_none() -> None:
    with Far("continues", delay=0.02) as far:
        _, totals, _ = loaded(far)
    assert totals.good == COUNT
    assert totals.service.least >= 20_000_000


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.02])
def test_a_connection_closed_idle_costs_no_request(delay: float) -> None:
    with Far("closing", delay=delay) as far:
        setup = setup_for(far, work=RERANK)
        driven = drive(setup, closed(COUNT, CLIENTS, think=delay))
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    # What the server read and threw away when it closed anyway was sent again, and counted once.
    assert (totals.good, totals.errors, totals.sent) == (COUNT, {}, COUNT)
    assert seen.requests == seen.good == COUNT


def test_an_answer_that_nobody_asked_for_answers_nobody() -> None:
    with Far("chatters") as far:
        _, totals, seen = loaded(far)
    assert totals.sent == seen.requests
    assert totals.good <= seen.good


# --- Answers that are wrong -----------------------------------------------------------------------

FAULTS = {
    "busy": {"HTTP 503 queue_full"},
    "plain_error": {"HTTP 500"},
    "redirect": {"HTTP 307 redirect"},
    "early": {"HTTP 413"},
    "not_http": {"not http"},
    "bad_length": {"not http"},
    "half_body": {"closed"},
    "half_head": {"closed"},
    "half_chunk": {"closed"},
    "half_reset": {"reset"},
    "resets": {"reset"},
    "hangs_up": {"closed"},
    "shuts": {"closed"},
    "silent": {"timeout"},
    "stalls": {"timeout"},
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_fault_has_its_name_and_is_counted_once(kind: str, loop: str) -> None:
    timeout, count = (0.7, 6) if FAULTS[kind] == {"timeout"} else (10.0, COUNT)
    with Far(kind) as far:
        setup = setup_for(far, work=RERANK, timeout=timeout)
        driven = drive(setup, closed(count, CLIENTS), uvloop=loop == "uvloop")
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert (totals.good, totals.ended, totals.pairs) == (0, count, 0)
    assert set(totals.errors) == FAULTS[kind]
    assert totals.sent == count == seen.requests
    assert driven.client.failures == {}
    assert set(driven.examples) == FAULTS[kind]
    assert all(0 < len(text) <= 2000 for text in driven.examples.values())


@pytest.mark.parametrize("kind", ["resets", "hangs_up"])
def test_a_request_that_a_kept_connection_swallows_is_an_error(kind: str) -> None:
    # The server has worked on it for a while: it did not close an idle connection.
    with Far(kind, nth=2, delay=0.1) as far:
        _, totals, seen = loaded(far)
    assert sum(totals.errors.values()) == seen.bad > 0
    assert totals.good == seen.good
    assert seen.requests == COUNT


@pytest.mark.parametrize("kind", ["busy", "plain_error", "half_body", "half_reset", "not_http"])
def test_an_error_takes_no_good_answer_along(kind: str) -> None:
    with Far(kind, nth=4) as far:
        _, totals, seen = loaded(far)
    assert totals.errors == {next(iter(FAULTS[kind])): seen.bad}
    assert totals.good == seen.good


def test_the_example_says_when_to_come_again() -> None:
    with Far("busy") as far:
        driven, _, _ = loaded(far)
    assert "All places are taken." in driven.examples["HTTP 503 queue_full"]


@pytest.mark.parametrize("kind", ["short", "nan", "unsorted", "twice", "no_json"])
def test_a_lie_with_status_200_is_found_when_it_is_looked_at(kind: str) -> None:
    with Far(kind) as far:
        driven, totals, seen = loaded(far)
        assert (totals.good, totals.pairs) == (0, 0)
        assert sum(totals.errors.values()) == COUNT == seen.bad
        assert len(totals.errors) == 1
        assert not next(iter(totals.errors)).startswith("HTTP")
        assert set(driven.examples) == set(totals.errors)
        _, totals, _ = loaded(far, work=UNCHECKED)
        assert (totals.good, totals.errors) == (COUNT, {})


def test_a_slow_answer_is_slow_not_wrong() -> None:
    with Far("dribble", delay=0.2) as far:
        _, totals, seen = loaded(far, count=6)
    assert totals.good == seen.good == 6
    assert totals.service.least >= 200_000_000


def test_a_slow_answer_ends_at_the_time_out() -> None:
    with Far("dribble", delay=5.0) as far:
        driven, totals, _ = loaded(far, count=6, timeout=0.2)
        until(lambda: far.counts().open == 0, "the connections to be closed")
    assert totals.errors == {"timeout": 6}
    assert driven.first.seconds < 5.0


def test_foreign_names_are_cleaned_and_bounded() -> None:
    with Far("many_kinds") as far:
        driven, totals, seen = loaded(far, count=200)
    assert sum(totals.errors.values()) == 200 == seen.bad
    assert 1 < len(totals.errors) <= 51
    assert set(driven.examples) == set(totals.errors)


def test_upstreams_are_counted_as_they_answered() -> None:
    with Far("upstream") as far:
        _, totals, _ = loaded(far, upstream_header="x-served-by")
    assert totals.upstreams == {f"10.0.0.{i}:8000": COUNT // 3 for i in range(3)}


def test_upstreams_are_cleaned_and_bounded() -> None:
    with Far("many_upstreams") as far:
        _, totals, _ = loaded(far, count=400, upstream_header="X-Served-By")
    assert totals.good == 400 == sum(totals.upstreams.values())
    assert len(totals.upstreams) <= 101
    assert all(name.isprintable() for name in totals.upstreams)


# --- Where servers are, and are not ---------------------------------------------------------------


class Nobody:
    """A port that nobody listens on."""

    host, unix = "127.0.0.1", ""

    def __init__(self) -> None:
        self.port = free_port()


def test_nobody_there() -> None:
    driven = drive(setup_for(Nobody()), closed(COUNT, CLIENTS))
    check_sums(driven)
    assert driven.all.errors == {"refused": COUNT}
    assert driven.client.failures == {}


def test_nobody_there_at_a_rate() -> None:
    driven = drive(setup_for(Nobody()), opened(100, 0.5))
    check_sums(driven)
    assert driven.all.errors == {"refused": driven.client.due}
    assert 45 <= driven.client.due <= 51


def test_no_such_name() -> None:
    class Nowhere(Nobody):
        host = "no-such-host.invalid"

    driven = drive(setup_for(Nowhere()), closed(COUNT, CLIENTS))
    check_sums(driven)
    assert driven.all.errors == {"dns": COUNT}


def test_no_such_socket(tmp_path: Path) -> None:
    class Absent(Nobody):
        unix = str(tmp_path / "none")

    driven = drive(setup_for(Absent()), closed(COUNT, CLIENTS))
    check_sums(driven)
    assert driven.all.errors == {"refused": COUNT}


def test_a_server_gone_in_the_middle_and_back() -> None:
    with Far("good", delay=0.02) as far, Generator(setup_for(far)) as generator:
        generator.begin(opened(100, 2.0))
        until(lambda: far.counts().good >= 30, "answers")
        before = far.counts()
        far.kill()
        time.sleep(0.3)
        with Far("good", port=far.port) as again:
            driven = generator.collect()
            after = again.counts()
    check_sums(driven)
    totals = driven.all
    assert before.good + after.good <= totals.good <= before.good + after.good + 20
    assert after.good >= 30
    assert set(totals.errors) <= {"refused", "reset", "closed"}
    assert sum(totals.errors.values()) >= 20
    assert totals.ended == driven.client.due


def test_ipv6() -> None:
    with Far(host="::1") as far:
        _, totals, seen = loaded(far)
    assert totals.good == COUNT == seen.good


def test_a_unix_socket(tmp_path: Path) -> None:
    with Far(unix=str(tmp_path / "far.sock")) as far:
        _, totals, seen = loaded(far)
    assert totals.good == COUNT == seen.good
    assert seen.connections == CLIENTS


@pytest.mark.parametrize("kind", ["good", "chunked", "half_body", "closing"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_tls(tmp_path: Path, kind: str, loop: str) -> None:
    made = make_certificate(tmp_path)
    with Far(kind, cert=str(made.cert), key=str(made.key)) as far:
        setup = setup_for(target_of(far, tls=True), work=RERANK, check_tls=False)
        driven = drive(setup, closed(COUNT, CLIENTS), uvloop=loop == "uvloop")
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert totals.errors == ({"closed": COUNT} if kind == "half_body" else {})
    assert totals.good + sum(totals.errors.values()) == COUNT == seen.requests


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with Far(cert=str(made.cert), key=str(made.key)) as far:
        driven = drive(setup_for(target_of(far, tls=True)), closed(COUNT, CLIENTS))
        assert far.counts().requests == 0
    check_sums(driven)
    assert driven.all.errors == {"tls": COUNT}
    assert "certificate" in driven.examples["tls"].lower()


def test_tls_to_a_server_that_speaks_none() -> None:
    with Far("exact") as far:
        setup = setup_for(target_of(far, tls=True), check_tls=False, timeout=1.0)
        driven = drive(setup, closed(6, CLIENTS))
    check_sums(driven)
    assert driven.all.good == 0
    assert set(driven.all.errors) <= {"tls", "timeout", "closed"}


def test_redirects_are_not_followed() -> None:
    with Far("redirect") as far:
        _, totals, seen = loaded(far, work=body_work())
    assert totals.errors == {"HTTP 307 redirect": COUNT}
    assert seen.paths == {PATH: COUNT}


def test_a_large_body_is_refused_before_it_was_read() -> None:
    with Far("early") as far:
        driven = drive(setup_for(far, work=body_work(4_000_000)), closed(6, CLIENTS))
    check_sums(driven)
    assert driven.all.errors == {"HTTP 413": 6}


def test_each_server_has_its_own_counts() -> None:
    with Far() as one, Far("busy") as two, Far("stream") as three:
        work = UNCHECKED
        driven = drive(setup_for(one, two, three, work=work), closed(COUNT, CLIENTS))
        seen = [far.counts() for far in (one, two, three)]
    check_sums(driven)
    totals = driven.first.totals
    assert [totals[f"far{i}"].sent for i in range(3)] == [count.requests for count in seen]
    assert [totals[f"far{i}"].good for i in range(3)] == [count.good for count in seen]
    assert [count.requests for count in seen] == [COUNT // 3] * 3


# --- The clock and the schedule -------------------------------------------------------------------


def test_no_time_is_shorter_than_the_truth(tmp_path: Path) -> None:
    with Far("exact", delay=0.005) as far:
        driven = drive(setup_for(far), opened(200, 1.0))
        seen, (read, written) = far.counts(), far.truth(tmp_path)
    check_sums(driven)
    totals, client = driven.all, driven.client
    assert totals.good == totals.sent == client.due == seen.requests == seen.good
    assert abs(client.due - 200) <= 1
    assert client.late.total == totals.sent
    took = [end - begin for begin, end in zip(read, written, strict=True)]
    assert totals.service.least >= min(took)
    assert totals.service.sum >= sum(took)
    # From the intended moment: all of service, and the lateness of the sending.
    assert totals.response.sum == pytest.approx(totals.service.sum + client.late.sum, rel=0.001)
    assert client.late.least >= 0


def test_a_frozen_server_is_not_flattered() -> None:
    with Far("exact", delay=0.005, freeze=0.3, every=0.6) as far:
        with Generator(setup_for(far)) as generator:
            generator.begin(opened(200, 1.0), at=far.origin - 100_000_000 + 600_000_000 * 4)
            driven = generator.collect()
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert totals.good == seen.good == driven.client.due
    # 60 requests fell due within the first freeze: each waited for its end at least.
    waited = sorted(
        (count for index, count in totals.response.counts.items() if index > _index(0.1)),
    )
    assert sum(waited) >= 38
    assert totals.response.largest >= 290_000_000


def _index(seconds: float) -> int:
    from opsconsole.load.histogram import index_of

    return index_of(round(seconds * 1e9))


def test_a_closed_loop_waits_with_the_server() -> None:
    with Far("exact", delay=0.005, freeze=0.3, every=0.6) as far:
        driven = drive(setup_for(far), closed(200, 1))
    totals = driven.all
    assert totals.response.counts == totals.service.counts
    assert driven.client.late.total == 0


def test_two_processes_share_a_schedule_and_the_clients() -> None:
    with Far("exact", delay=0.005) as far:
        setups = [setup_for(far, share=share, shares=2) for share in range(2)]
        with Generator(setups[0]) as one, Generator(setups[1]) as two:
            at = time.monotonic_ns() + 100_000_000
            for generator in (one, two):
                generator.begin(opened(200, 1.0), closed(25, 5), at=at)
            both = [one.collect(), two.collect()]
        seen = far.counts()
    for driven in both:
        check_sums(driven)
    due = [driven.parts[0].client.due for driven in both]
    assert abs(due[0] - due[1]) <= 1
    assert abs(sum(due) - 200) <= 1
    assert sum(driven.parts[1].all.good for driven in both) == 25
    assert sum(driven.all.good for driven in both) == seen.good


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_loop_is_what_it_says(loop: str) -> None:
    with Generator(setup_for(Nobody()), uvloop=loop == "uvloop") as generator:
        assert loop in generator.ready.loop


def test_what_would_be_too_many_in_flight_is_dropped_and_counted() -> None:
    with Far("exact", delay=1.0) as far:
        driven = drive(setup_for(far, max_in_flight=10), opened(100, 0.9))
        seen = far.counts()
    check_sums(driven)
    totals, client = driven.all, driven.client
    assert totals.sent == 10 == seen.requests == totals.good
    assert client.dropped == client.due - 10
    assert seen.most_open <= 10


def test_ten_thousand_in_flight() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 12_000:
        pytest.skip(f"{hard} files at most")
    with Far("exact", delay=4.0) as far:
        setup = setup_for(far, max_in_flight=20_000, timeout=30.0, work=body_work(200))
        driven = drive(setup, opened(4_000, 2.6), deadline=60)
        seen = far.counts()
    check_sums(driven)
    totals, client = driven.all, driven.client
    assert client.failures == {}
    assert totals.errors == {}
    assert totals.good == client.due - client.dropped == seen.good
    assert seen.most_open >= 10_000
    assert client.dropped == 0


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_no_files_left_is_the_clients_fault() -> None:
    with Far("exact", delay=1.0) as far, Generator(setup_for(far)) as generator:
        resource.prlimit(generator.pid, resource.RLIMIT_NOFILE, (40, 40))
        driven = generator.run(opened(200, 0.5))
        seen = far.counts()
    totals, client = driven.all, driven.client
    assert sum(client.failures.values()) >= 50
    assert all("file" in kind for kind in client.failures)
    assert totals.errors == {}
    assert totals.good == seen.good
    assert client.due == totals.good + client.dropped + sum(client.failures.values())


# --- Ending ---------------------------------------------------------------------------------------


def stops(generator: Generator) -> None:
    generator.send(Stop(grace=5.0))


def stops_at_once(generator: Generator) -> None:
    generator.send(Stop(grace=0.0))


@pytest.mark.parametrize("stop", [stops, stops_at_once])
def test_a_stop_counts_what_was_sent(stop: Callable[[Generator], None]) -> None:
    with Far("exact", delay=0.2) as far, Generator(setup_for(far)) as generator:
        generator.begin(opened(200, 30.0))
        until(lambda: far.counts().good >= 20, "answers")
        stop(generator)
        driven = generator.collect(10.0)
        seen = far.counts()
    check_sums(driven, cut_off=stop is stops_at_once)
    totals = driven.all
    if stop is stops:
        assert totals.good == totals.sent == totals.ended == seen.requests == seen.good
    else:
        assert 20 <= totals.good <= totals.ended <= totals.sent
    assert driven.first.seconds < 25


def test_a_pause_sends_nothing_and_asks_for_nothing() -> None:
    with Far("exact") as far, Generator(setup_for(far)) as generator:
        generator.begin(opened(200, 1.5))
        until(lambda: far.counts().good >= 20, "answers")
        generator.send(Control(paused=True))
        time.sleep(0.2)
        before = far.counts().requests
        time.sleep(0.4)
        assert far.counts().requests == before
        generator.send(Control(paused=False))
        driven = generator.collect()
        seen = far.counts()
    check_sums(driven)
    assert driven.all.sent == seen.requests > before
    assert driven.client.due == driven.all.sent + driven.client.dropped
    assert driven.client.dropped == 0
    assert driven.client.late.largest < 400_000_000  # nothing was due while it paused


def test_an_interrupt_is_for_the_console_to_decide() -> None:
    with Far("exact") as far, Generator(setup_for(far)) as generator:
        generator.begin(opened(100, 0.8))
        until(lambda: far.counts().good >= 10, "answers")
        os.kill(generator.pid, signal.SIGINT)
        driven = generator.collect()
        seen = far.counts()
    check_sums(driven)
    assert driven.all.good == driven.client.due == seen.good


def test_the_generator_ends_with_its_input() -> None:
    with Far("silent") as far:
        with Generator(setup_for(far)) as generator:
            generator.begin(opened(50, 60.0))
            until(lambda: far.counts().requests >= 5, "requests")
        assert generator.process.returncode is not None
        until(lambda: far.counts().open == 0, "its connections to be closed")


def test_nonsense_is_said_in_words(tmp_path: Path) -> None:
    work = Work(replay=str(tmp_path / "none.jsonl"))
    with pytest.raises(AssertionError) as caught, Generator(setup_for(Nobody(), work=work)):
        pass
    assert not isinstance(caught.value, GeneratorError)
    assert "none.jsonl" in str(caught.value)
