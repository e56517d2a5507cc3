from __future__ import annotations

import time

import pytest

from opsconsole.engine.records import Options
from opsconsole.server import asking
from opsconsole.server.errors import RequestError
from opsconsole.server.settings import ServerSettings

SETTINGS = ServerSettings(max_deadline=600.0)


def read(**headers: bytes) -> asking.Terms:
    named = [(b"x-request-" + name.encode(), value) for name, value in headers.items()]
    return asking.read({"headers": named}, SETTINGS)


def left(**headers: bytes) -> float:
    """Seconds to the deadline that the headers set, counted from before they were read."""
    before = time.monotonic()
    return read(**headers).deadline - before


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"2", 2.0),
        (b"2.5", 2.5),
        (b".5", 0.5),
        (b"500ms", 0.5),
        (b"1500 ms", 1.5),
        (b" 3S ", 3.0),
        (b"1m", 60.0),
        (b"1.5m", 90.0),
        (b"9m", 540.0),
        (b"11m", 600.0),
        (b"999999999999", 600.0),
    ],
)
def test_a_timeout_is_seconds_or_has_a_unit(value: bytes, seconds: float) -> None:
    assert seconds <= left(timeout=value) < seconds + 10


def test_there_always_is_a_deadline() -> None:
    assert 600.0 <= left() < 610.0
    assert read().weight is None


@pytest.mark.parametrize(
    "value",
    [
        b"", b"0", b"0.0ms", b"-1", b"+1", b"1e3", b"inf", b"nan", b"1_0", b"2h", b"s", b"1s1s",
        "٣".encode(), b"\xff", b"1" * 13, b"1.2.3", b"0x10", b"1\xa0s",
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_the_headers_name(value: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        read(timeout=value)
    assert (refused.value.status, refused.value.type) == (422, "invalid_request")
    assert refused.value.field == "x-request-timeout"


def test_a_priority_is_a_weight_and_wins_over_the_bodys() -> None:
    body = Options(weight=0.25, truncate=False)
    for word, weight in ((b"high", 4.0), (b"Normal", 1.0), (b" low ", 0.25)):
        terms = read(priority=word)
        options = terms.of(body)
        assert terms.weight == options.weight == weight
        assert options.deadline == terms.deadline
        assert not options.truncate
    assert read().of(body).weight == 0.25
    for nonsense in (b"", b"urgent", b"1", b"\xff"):
        with pytest.raises(RequestError) as refused:
            read(priority=nonsense)
        assert refused.value.field == "x-request-priority"
