"""The generator process: phases, clients, schedules, control."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from opsconsole.load.generator.closed_loop import part_of
from opsconsole.load.generator.failures import KINDS, kind_of_status
from opsconsole.load.generator.recording import Recorder
from opsconsole.load.histogram import Histogram
from opsconsole.load.messages import HEADER_BYTES, Begin, Control, Frame, PhasesEnded, Stop
from opsconsole.load.plan import Phase, Work
from opsconsole.load.records import Totals
from tests.load.driving import (
    PATH,
    Generator,
    GeneratorError,
    body_work,
    check_sums,
    closed,
    drive,
    opened,
    setup_for,
)
from tests.load.farside import Far
from tests.net import free_port
from tests.server.process import until


@pytest.fixture(scope="module")
def quick() -> Iterator[Far]:
    """A server that answers at once."""
    with Far("exact") as far:
        yield far


@pytest.fixture(scope="module")
def slow() -> Iterator[Far]:
    """A server that answers after 100 ms."""
    with Far("exact", delay=0.1) as far:
        yield far


# --- Phases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("uvloop", [True, False])
def test_phases_follow_one_another_without_a_gap(quick: Far, uvloop: bool) -> None:
    phases = (
        opened(200, 0.25, measured=False),
        Phase(name="closed", concurrency=3, duration=0.2),
        closed(50, 2),
        Phase(name="ramp", rate=0, rate_end=400, duration=0.5),
    )
    driven = drive(setup_for(quick), *phases, uvloop=uvloop)
    check_sums(driven)
    first, second, third, fourth = driven.parts
    assert first.begin == driven.at
    for before, after in pairwise(driven.parts):
        assert before.end == after.begin
    assert first.seconds == pytest.approx(0.25)
    assert second.seconds == pytest.approx(0.2)
    assert fourth.seconds == pytest.approx(0.5)
    assert first.all.good == first.client.due == 50
    assert second.all.good > 3
    assert third.all.good == 50
    assert fourth.all.good == fourth.client.due == 100
    assert second.client.due == third.client.due == 0
    assert driven.all.errors == {}


def test_the_console_may_begin_again(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        for _ in range(3):
            driven = generator.run(closed(20, 4), opened(500, 0.1))
            assert [part.all.good for part in driven.parts] == [20, 50]


def test_clients_who_wait_go_on_in_the_next_phase(slow: Far) -> None:
    """Never more in flight than there are clients, also where phases meet."""
    before = slow.counts().connections
    steps = [Phase(name=str(n), concurrency=n, duration=0.25) for n in (2, 6, 3)]
    with Generator(setup_for(slow)) as generator:
        driven = generator.run(*steps)
        seen = slow.counts()
    check_sums(driven)
    assert seen.connections - before == 6
    # 2.5 rounds of 100 ms each; the half is begun and ends in the next phase's time.
    assert [part.all.sent // n for part, n in zip(driven.parts, (2, 6, 3), strict=True)] == [
        pytest.approx(2.5, abs=1)
    ] * 3
    assert driven.all.service.largest < 250_000_000


def test_what_ends_first_ends_the_phase(slow: Far) -> None:
    few = Phase(name="few", concurrency=2, requests=4, duration=20.0)
    short = Phase(name="short", concurrency=2, requests=1000, duration=0.3)
    driven = drive(setup_for(slow), few, short)
    assert driven.parts[0].all.good == 4
    assert 0.2 <= driven.parts[0].seconds < 2
    assert driven.parts[1].seconds == pytest.approx(0.3)


def test_an_open_phase_that_counts_ends_with_its_last_answer(slow: Far) -> None:
    driven = drive(setup_for(slow), Phase(name="open", rate=100, requests=10))
    assert driven.all.good == driven.client.due == 10
    assert driven.first.seconds == pytest.approx(0.19, abs=0.09)


def test_clients_think(quick: Far) -> None:
    driven = drive(setup_for(quick), Phase(name="think", concurrency=2, duration=0.5, think=0.1))
    assert 4 <= driven.all.good <= 10


def test_processes_share_the_requests() -> None:
    for whole in (1, 7, 100):
        for shares in (1, 2, 3, 8):
            parts = [part_of(whole, share, shares) for share in range(shares)]
            assert sum(parts) == whole
            assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize("phase", [closed(11, 2), Phase(name="open", rate=200, duration=0.25)])
def test_three_processes_do_what_one_does(quick: Far, phase: Phase) -> None:
    found = [drive(setup_for(quick, share=share, shares=3), phase).all.good for share in range(3)]
    assert sum(found) == (phase.requests or 50)
    if phase.concurrency:
        assert found == [6, 5, 0]  # a process without clients sends nothing


# --- Control --------------------------------------------------------------------------------------


def test_clients_come_and_go(slow: Far) -> None:
    with Generator(setup_for(slow)) as generator:
        generator.begin(Phase(name="closed", concurrency=1, duration=1.2))
        start = slow.counts().open
        for wanted in (8, 2):
            generator.send(Control(concurrency=wanted))
            until(lambda n=wanted: slow.counts().open >= start + min(n, 8), "clients")
            time.sleep(0.25)
        driven = generator.collect()
    check_sums(driven)
    # 1 client would make 12 requests, 8 would make 96.
    assert 20 < driven.all.good < 80


def test_the_rate_changes_while_it_runs(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        begin = quick.counts().requests
        generator.begin(opened(20, 60.0))
        until(lambda: quick.counts().requests >= begin + 5, "requests")
        generator.send(Control(rate=400.0))
        until(lambda: quick.counts().requests >= begin + 100, "more of them")
        generator.send(Control(rate=0.0))
        time.sleep(0.1)
        before = quick.counts().requests
        time.sleep(0.2)
        assert quick.counts().requests == before
        generator.send(Control(rate=100.0))
        until(lambda: quick.counts().requests >= before + 10, "requests again")
        generator.send(Stop())
        driven = generator.collect()
    check_sums(driven)
    assert driven.client.due == driven.all.sent >= before - begin + 10


def test_clients_pause(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        generator.begin(Phase(name="closed", concurrency=4, duration=0.6))
        begin = quick.counts().requests
        until(lambda: quick.counts().requests >= begin + 5, "requests")
        generator.send(Control(paused=True))
        time.sleep(0.1)
        before = quick.counts().requests
        time.sleep(0.4)
        assert quick.counts().requests == before
        generator.send(Control(paused=False))
        driven = generator.collect()
    check_sums(driven)
    assert driven.all.good > before - begin
    assert driven.first.seconds >= 1.0  # the pause is not taken from the phase


def test_a_stop_ends_all_phases(slow: Far) -> None:
    with Generator(setup_for(slow)) as generator:
        generator.begin(Phase(name="a", concurrency=4, duration=60.0), opened(10, 60.0))
        begin = slow.counts().requests
        until(lambda: slow.counts().requests >= begin + 8, "requests")
        generator.send(Stop(grace=5.0))
        spans, whole = ending(generator)
        assert len(spans) == 1
        assert whole.good == whole.sent == whole.ended
        generator.begin(opened(10, 60.0), at=time.monotonic_ns() + 60_000_000_000)
        generator.send(Stop())
        assert ending(generator) == ((), Totals())


def ending(generator: Generator) -> tuple[tuple[tuple[int, int], ...], Totals]:
    """The spans of the phases that began, and all totals."""
    whole = Totals()
    while not isinstance(message := generator.receive(), PhasesEnded):
        assert isinstance(message, Frame)
        for totals in message.totals.values():
            whole.add(totals)
    return message.spans, whole


def test_what_a_stop_cuts_short_is_not_forgotten() -> None:
    with Far("silent") as far, Generator(setup_for(far)) as generator:
        generator.begin(Phase(name="closed", concurrency=3, duration=60.0))
        until(lambda: far.counts().requests == 3, "requests")
        generator.send(Stop(grace=0.1))
        driven = generator.collect()
    check_sums(driven)
    assert driven.all.errors == {"unfinished": 3}


def test_an_interrupt_is_the_consoles_to_answer(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        generator.begin(opened(100, 0.3))
        os.kill(generator.pid, signal.SIGINT)
        assert generator.collect().all.good == 30


# --- What is sent and seen ------------------------------------------------------------------------


@pytest.mark.parametrize("uvloop", [True, False])
def test_head_has_no_body(uvloop: bool) -> None:
    """An answer to HEAD tells a length that never comes."""

    def head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")

    work = Work(dialect="http", method="HEAD", path=PATH)
    totals = against(head, work, uvloop=uvloop)
    assert (totals.good, totals.errors) == (20, {})


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content"])
def test_answers_without_content(status: str) -> None:
    def empty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tail = "" if status.startswith("204") else "content-length: 0\r\n"
        writer.write(f"HTTP/1.1 {status}\r\n{tail}\r\n".encode())

    totals = against(empty, body_work(100))
    assert (totals.good, totals.errors) == (20, {})


def test_headers_without_end() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-again: " + b"y" * 10_000 + b"\r\n")
            await writer.drain()

    totals = against(endless, body_work(100))
    assert totals.errors == {"not http": 20}


def test_another_protocol_is_no_answer() -> None:
    def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n\x00"
        )

    totals = against(upgrade, body_work(100))
    assert totals.errors == {"HTTP 101": 20}


def against(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object],
    work: Work,
    *,
    uvloop: bool = True,
) -> Totals:
    """Twenty requests by two clients to a server that answers each head like this."""
    port = free_port()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                done = answer(reader, writer)
                if asyncio.iscoroutine(done):
                    await done
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    class Here:
        host, unix = "127.0.0.1", ""

    here = Here()
    here.port = port  # type: ignore[attr-defined]

    async def run() -> Totals:
        async with await asyncio.start_server(serve, "127.0.0.1", port):
            driven = await asyncio.to_thread(
                drive, setup_for(here, work=work), closed(20, 2), uvloop=uvloop
            )
        check_sums(driven)
        return driven.all

    return asyncio.run(run())


def test_a_client_whom_nobody_answers_does_not_spin() -> None:
    class Nobody:
        host, unix, port = "127.0.0.1", "", free_port()

    driven = drive(setup_for(Nobody()), Phase(name="closed", concurrency=2, duration=0.5))
    assert 2 <= driven.all.errors["refused"] <= 60


def test_many_targets_are_asked_in_turn(quick: Far, slow: Far) -> None:
    driven = drive(setup_for(quick, slow), opened(100, 0.5))
    assert {name: totals.good for name, totals in driven.first.totals.items()} == {
        "far0": 25,
        "far1": 25,
    }


def recording(folder: Path, count: int) -> Work:
    """Requests 50 ms apart."""
    path = folder / "recorded.jsonl"
    body = {"query": "q", "documents": ["a", "b"]}
    lines = [json.dumps({"at": 1000 + number * 0.05, "body": body}) for number in range(count)]
    path.write_text("\n".join(lines))
    return Work(replay=str(path), check=0.0)


def test_recorded_moments_are_kept_in_each_phase(quick: Far, tmp_path: Path) -> None:
    phase = Phase(name="recorded", arrivals="recorded")
    short = Phase(name="short", arrivals="recorded", duration=0.22)
    with Generator(setup_for(quick, work=recording(tmp_path, 7))) as generator:
        driven = generator.run(phase, short, closed(20, 2), phase)
    check_sums(driven)
    assert [part.all.good for part in driven.parts] == [7, 5, 20, 7]
    for part in (driven.parts[0], driven.parts[3]):
        assert 0.3 <= part.seconds < 0.6
    assert driven.parts[1].seconds == pytest.approx(0.22)


def test_a_recording_without_moments_has_no_schedule(quick: Far, tmp_path: Path) -> None:
    path = tmp_path / "plain.jsonl"
    path.write_text('{"query": "q", "documents": ["a"]}\n')
    setup = setup_for(quick, work=Work(replay=str(path), check=0.0))
    with pytest.raises(GeneratorError, match="no moments"):
        drive(setup, Phase(name="recorded", arrivals="recorded"))


def test_more_processes_than_recorded_requests(quick: Far, tmp_path: Path) -> None:
    phase = Phase(name="recorded", arrivals="recorded")
    work = recording(tmp_path, 2)
    found = [
        drive(setup_for(quick, work=work, share=share, shares=3), phase).all.good
        for share in range(3)
    ]
    assert found == [1, 1, 0]


def test_a_schedule_that_cannot_be_kept_is_told() -> None:
    """More than it can send: what was due counts, and its lateness."""
    with Far("exact") as far:
        driven = drive(setup_for(far, max_in_flight=5000), opened(400_000, 0.4))
    check_sums(driven)
    client = driven.client
    assert client.due == pytest.approx(160_000, rel=0.01)
    assert driven.all.sent + client.dropped < 0.99 * client.due
    late = client.late.percentile(99)
    assert late is not None
    assert late > 0.1


# --- Messages and records -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phase",
    [
        Phase(name="odd", duration=1.0),
        Phase(name="odd", rate=1.0),
        Phase(name="odd", concurrency=1),
    ],
)
def test_a_phase_without_an_end_or_a_law_is_refused(quick: Far, phase: Phase) -> None:
    with Generator(setup_for(quick)) as generator:
        generator.begin(phase)
        with pytest.raises(GeneratorError, match="phase odd: neither"):
            generator.collect()


def test_a_message_that_is_none_is_refused(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        assert generator.process.stdin is not None
        generator.process.stdin.write((3).to_bytes(HEADER_BYTES, "big") + b"odd")
        with pytest.raises(AssertionError, match="a message of the console is none"):
            raise AssertionError(generator.receive())
        assert generator.process.wait(10) == 1


def test_to_begin_twice_is_refused(slow: Far) -> None:
    with Generator(setup_for(slow)) as generator:
        generator.begin(opened(10, 30.0))
        generator.send(Begin(phases=(), first=1, at=0))
        with pytest.raises(GeneratorError, match="begin while phases run"):
            generator.collect()


def test_frames_add_up_to_what_was_recorded() -> None:
    recorder = Recorder(3, ("a", "b"), is_open=True, begin=100)
    whole, late = {"a": Totals(), "b": Totals()}, Histogram()
    services: list[int] = []
    for number in range(1000):
        tally = recorder.started(number % 2, 10, number)
        recorder.due += 1
        if number % 7 == 0:
            recorder.bad(tally, f"kind {number}", "\x1b[31mred")
        else:
            recorder.open_requests -= 1
            tally.good += 1
            services.append(number * 1000)
            tally.raw_same.append(number * 1000)
            tally.raw_response.append(number * 1001)
        if number % 90 == 0:
            frame = recorder.cut(200 + number, 0.5)
            assert frame is not None
            for name, totals in frame.totals.items():
                whole[name].add(totals)
            late.add(frame.client.late)
    recorder.over = True
    frame = recorder.cut(5000, 0.5)
    assert frame is not None
    assert (frame.phase, frame.end, frame.client.in_flight) == (3, 5000, 0)
    for name, totals in frame.totals.items():
        whole[name].add(totals)
    late.add(frame.client.late)
    assert recorder.cut(6000, 0.5) is None
    together = Totals()
    for totals in whole.values():
        together.add(totals)
    assert together.sent == together.ended == 1000
    assert together.good == together.service.total == together.first_byte.total == 857
    assert together.service.sum == sum(services)
    assert together.response.total == 857
    assert late.total == 1000
    assert len(together.errors) == KINDS + 1
    assert together.errors["other"] == 143 - KINDS


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error": {"type": "queue_full"}}', "HTTP 503 queue_full"),
        (b'{"error": "Model is overloaded", "error_type": "overloaded"}', "HTTP 503 overloaded"),
        (b'{"object": "error", "type": "BadRequest"}', "HTTP 503 BadRequest"),
        (b'{"error": {"type": "a sentence, rather"}}', "HTTP 503"),
        (b'{"error": {"type": 7}}', "HTTP 503"),
        (b'{"error": ', "HTTP 503"),
        (b'{"error": "\xff"}', "HTTP 503"),
        (b"[]", "HTTP 503"),
        (b"", "HTTP 503"),
        (b'{"a":' * 10_000, "HTTP 503"),
    ],
)
def test_the_kind_of_a_refusal(body: bytes, kind: str) -> None:
    assert kind_of_status(503, body) == kind
