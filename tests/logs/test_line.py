from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.logs import LogLine, detect_level, line_time, merge_by_time
from tests.logs.corpus import HOSTILE, SGR, dangerous


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lines_come_out_harmless(name: str) -> None:
    line = LogLine("a", HOSTILE[name])
    assert dangerous(line.text) == []
    assert "\n" not in line.text
    assert dangerous("".join(span.text for span in line.spans(4096))) == []
    assert dangerous(line.head(100)) == []
    assert len(line.head(100)) <= 100


@given(st.binary(max_size=200))
def test_no_bytes_at_all_come_out_dangerous(raw: bytes) -> None:
    line = LogLine("a", raw)
    assert dangerous(line.text) == []
    assert dangerous("".join(span.text for span in line.spans())) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_json_text_comes_out_dangerous(message: str, value: str) -> None:
    raw = json.dumps({"time": 1, "level": value, "message": message, value: message}).encode()
    assert dangerous(LogLine("a", raw).text) == []


def test_colour_sequences_become_spans() -> None:
    spans = LogLine("a", SGR).spans()
    assert [(span.text, span.sgr) for span in spans] == [
        ("red", "1;31"),
        (" plain ", ""),
        ("rgb", "38;2;1;2;3"),
    ]


def test_our_json_lines_have_a_short_form() -> None:
    moment = time.mktime((2026, 11, 21, 12, 41, 7, 0, 0, -1))
    raw = json.dumps(
        {
            "time": moment,
            "level": "warning",
            "message": "queue full",
            "request_id": "ab12",
            "waiting": 64,
            "seconds": 0.123456789,
            "path": "/v1/rerank now",
            "cached": False,
            "model": None,
            "tags": ["a", 1],
        }
    ).encode()
    assert LogLine("a", raw).text == (
        "12:41:07 WARNING queue full request_id=ab12 waiting=64 seconds=0.123457 "
        'path="/v1/rerank now" cached=false model=null tags=["a",1]'
    )
    assert LogLine("a", raw).level == "warning"


def test_times_may_be_milliseconds_or_iso_8601() -> None:
    moment = time.mktime((2026, 11, 21, 12, 41, 7, 0, 0, -1))
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    for stamp in (moment * 1000, iso, "2026-11-21T12:41:07.250"):
        raw = json.dumps({"time": stamp, "level": "info", "message": "m"}).encode()
        assert LogLine("a", raw).text == "12:41:07 INFO m"
        found = line_time(raw)
        assert found is not None
        assert abs(found - moment) < 1


@pytest.mark.parametrize(
    "raw",
    [
        b'{"time":1,"level":"info"}',
        b'{"level":"info","message":"m"}',
        b'{"time":1,"level":"info","message":"m"',
        b'["message"]',
        b'{"time":1,"level":"info","message":"\xff"}',
    ],
)
def test_other_json_stays_as_it_is(raw: bytes) -> None:
    assert LogLine("a", raw).text == raw.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("raw", "level"),
    [
        (b'{"level": "ERROR", "message": "x"}', "error"),
        (b'{"message": "the \\"level\\":\\"error\\" was said", "level":"info"}', "info"),
        (b'{"severity":"WARN"}', "warning"),
        (b'{"level":50,"msg":"bunyan"}', "error"),
        (b'{"level":30}', "info"),
        (b'{"msg":"no level"}', None),
        (b"2026-11-21 12:00:00,1 ERROR root: x", "error"),
        (b"INFO:     127.0.0.1 - ERROR in the path", "info"),
        (b"2026-11-21T12:00:00Z \x1b[32m INFO\x1b[0m router: ready", "info"),
        (b"\x1b[31mERROR\x1b[0m bad", "error"),
        (b"\x1b[33mWARN\x1b[0m slow", "warning"),
        (b"[warn] low disk", "warning"),
        (b"error: cannot open", "error"),
        (b"ts=1 level=warn msg=x", "warning"),
        (b'lvl="debug" x', "debug"),
        (b"E1121 12:34:56.000 7 file.cc:1] x", "error"),
        (b"W1121 12:34:56.000 7 file.cc:1] x", "warning"),
        (b"Traceback (most recent call last):", "error"),
        (b"torch.OutOfMemoryError: CUDA out of memory", "error"),
        (b"ValueError", "error"),
        (b"CRITICAL disk", "error"),
        (b"2026 FATAL x", "error"),
        (b"TRACE x", "debug"),
        (b"no errors found, 0 warnings", None),
        (b"ERRORS_TOTAL 5", None),
        (b"", None),
        (b"x" * 300 + b" ERROR far right", None),
    ],
)
def test_levels(raw: bytes, level: str | None) -> None:
    assert detect_level(raw) == level


def test_merging_keeps_tracebacks_with_their_error_and_orders_by_time() -> None:
    merged = list(
        merge_by_time(
            {
                "a": [
                    b"2026-11-21 12:00:01 one",
                    b"Traceback",
                    b"  at x",
                    b"2026-11-21 12:00:05 two",
                ],
                "b": [b"2026-11-21 12:00:00 early", b"2026-11-21 12:00:03 late"],
            }
        )
    )
    assert merged == [
        ("b", [b"2026-11-21 12:00:00 early"]),
        ("a", [b"2026-11-21 12:00:01 one", b"Traceback", b"  at x"]),
        ("b", [b"2026-11-21 12:00:03 late"]),
        ("a", [b"2026-11-21 12:00:05 two"]),
    ]


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.lists(st.integers(0, 50).map(lambda s: b"2026-11-21 12:00:%02d x" % s), max_size=20),
    )
)
def test_merging_loses_nothing_and_keeps_each_sources_order(
    batches: dict[str, list[bytes]],
) -> None:
    back: dict[str, list[bytes]] = {source: [] for source in batches}
    for source, run in merge_by_time(batches):
        back[source] += run
    assert back == batches
