"""The generator process: what it sends, sees and says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconsole.load.generator.failures import KINDS, kind_of_status
from opsconsole.load.generator.recording import Recorder
from opsconsole.load.histogram import Histogram
from opsconsole.load.messages import HEADER_BYTES, Begin
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

    async def run() -> Totals:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            here = Here()
            here.port = server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
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
        assert 0.3 <= part.seconds < 8
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


def test_a_schedule_that_cannot_be_kept_is_told(quick: Far) -> None:
    """More than it can send: what was due counts, and its lateness."""
    driven = drive(setup_for(quick, max_in_flight=5000), opened(400_000, 0.4))
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
            frame = recorder.cut(200 + number)
            assert frame is not None
            for name, totals in frame.totals.items():
                whole[name].add(totals)
            late.add(frame.client.late)
    recorder.close()
    frame = recorder.cut(5000)
    assert frame is not None
    assert (frame.phase, frame.end, frame.client.in_flight) == (3, 5000, 0)
    for name, totals in frame.totals.items():
        whole[name].add(totals)
    late.add(frame.client.late)
    assert recorder.cut(6000) is None
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


def test_what_could_not_be_sent_after_all_makes_no_negative_frame() -> None:
    recorder = Recorder(0, ("a",), is_open=False, begin=0)

    def frame(at: int) -> tuple[int, int]:
        found = recorder.cut(at)
        assert found is not None
        totals = found.totals.get("a", Totals())
        return totals.sent, totals.bytes_out

    tally = recorder.started(0, 100, 0)
    assert frame(1) == (1, 100)
    recorder.unsent(tally, 100, "no ports", "why")
    assert frame(2) == (0, 0)
    for _ in range(3):
        recorder.started(0, 70, 0)
    assert frame(3) == (2, 110)
    recorder.unsent(tally, 70, "no ports", "why")
    for _ in range(2):
        recorder.open_requests -= 1
        tally.good += 1
    recorder.close()
    assert frame(4) == (-1, -70)  # of nothing else there is a later one


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
        pytest.param(b'{"a":' * 10_000, "HTTP 503", id="deep"),
    ],
)
def test_the_kind_of_a_refusal(body: bytes, kind: str) -> None:
    assert kind_of_status(503, body) == kind
