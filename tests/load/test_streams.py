"""Answers that come as a stream of events: when they begin, and what goes wrong in them."""

from __future__ import annotations

import pytest

from opsconsole.load.generator.events import ERROR, UNENDED, Events, are_events
from opsconsole.load.plan import Work
from tests.load.driving import check_sums, closed, drive, setup_for
from tests.load.farside import Far

CHAT = Work(dialect="http", method="POST", path="/v1/chat/completions", body='{"stream":true}')
WORD = b'data: {"choices":[{"delta":{"content":"word"},"finish_reason":null}]}\n\n'
END = b'data: {"choices":[{"delta":{},"finish_reason" : "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def problem(*pieces: bytes) -> str | None:
    events = Events()
    for piece in pieces:
        events.feed(piece)
    return events.problem()


# --- The first byte -------------------------------------------------------------------------------


@pytest.mark.parametrize("uvloop", [True, False])
def test_the_first_byte_is_that_of_the_body(uvloop: bool) -> None:
    """The head comes at once, and says nothing of when the first word does."""
    with Far("thinks", delay=0.2) as far:
        driven = drive(setup_for(far, work=CHAT), closed(4, 2), uvloop=uvloop)
    check_sums(driven)
    totals = driven.all
    assert (totals.good, totals.errors) == (4, {})
    # On the far side's clock, and no machine is too fast for that.
    assert totals.first_byte.least >= 199_000_000
    assert totals.service.least >= 398_000_000
    assert totals.first_byte.least < totals.service.least
    assert totals.first_byte.total == totals.service.total == 4


@pytest.mark.parametrize("kind", ["dribble", "chunked", "good", "continues"])
def test_each_good_answer_has_one_first_byte(kind: str) -> None:
    with Far(kind, delay=0.02) as far:
        driven = drive(setup_for(far, work=CHAT), closed(6, 2))
    check_sums(driven)
    totals = driven.all
    assert totals.good == totals.first_byte.total == totals.service.total == 6
    assert totals.first_byte.largest <= totals.service.largest


# --- What goes wrong in it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error", "example"),
    [
        ("fails_in_stream", ERROR, '200 {"error": {"message": "CUDA out of memory"}}'),
        ("stops_in_stream", UNENDED, "200"),
    ],
)
def test_a_stream_that_goes_wrong_is_no_good_answer(kind: str, error: str, example: str) -> None:
    with Far(kind, nth=2) as far:
        driven = drive(setup_for(far, work=CHAT), closed(10, 1))
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert (totals.good, totals.errors) == (5, {error: 5})
    assert driven.examples == {error: example}
    assert seen.connections == 1  # it is kept


@pytest.mark.parametrize(
    "wrong",
    [
        b'data: {"error":{"message":"CUDA out of memory","code":400}}\n\n',
        b'data: {"error":"overloaded","error_type":"overloaded"}\n\n',
        b'data: {"type":"error","error":{"type":"overloaded_error"}}\r\n\r\n',
        b'data: {\ndata: "error": "in two lines"\ndata: }\n\n',
        b'event: error\ndata: {"type":"error","message":"odd"}\n\n',
        b'error: {"code":500}\n\n',
        b'data: {"error":"the last, without an empty line"}',
    ],
)
def test_an_event_that_is_an_error(wrong: bytes) -> None:
    stream = WORD + wrong
    assert problem(stream) == ERROR
    assert problem(*(stream[i : i + 1] for i in range(len(stream)))) == ERROR


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        WORD + DONE,
        WORD + DONE.rstrip(),
        WORD + END,
        WORD.replace(b"\n", b"\r\n") + DONE.replace(b"\n", b"\r\n"),
        b'data: {"token":{"text":"x"}}\n\n',
        b": a comment\n\nevent: ping\ndata: {}\n\n",
        b'data: {"error":null,"choices":[]}\n\n' + END,
        b'data: {"choices":[{"delta":{"content":"say \\"error\\""}}]}\n\n' + DONE,
        b'data: {"message":{"error":"deeper"}}\n\n',
        b'data: {"error": cut\n\n',
        b"data: " + b"x" * (3 << 20) + b"\n\n",
    ],
)
def test_a_stream_without_a_fault(stream: bytes) -> None:
    assert problem(stream) is None
    assert problem(*(stream[i : i + 40_001] for i in range(0, len(stream), 40_001))) is None


def test_a_chat_that_just_ends() -> None:
    said = WORD.replace(b"word", b'\\"finish_reason\\":\\"stop\\"')
    assert problem(WORD, said) == UNENDED


def test_which_answers_are_streams() -> None:
    assert are_events(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n")
    assert are_events(b"HTTP/1.1 200 OK\r\ncontent-type:text/event-stream\r\n\r\n")
    assert not are_events(b"HTTP/1.1 200 OK\r\naccept: text/event-stream\r\n\r\n")
    assert not are_events(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
