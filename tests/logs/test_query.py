from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import OpsError
from opsconsole.logs import Filter, LineIndex, LogBuffer, Pattern, pattern_test


@pytest.mark.parametrize(
    ("expression", "regex", "line", "matches"),
    [
        ("error", True, b"An ERROR", True),
        ("Error", True, b"An ERROR", False),
        (r"\Sx", True, b"AX", True),
        (r"a.c", True, b"abc", True),
        (r"a.c", False, b"abc", False),
        (r"[/x]", False, b"see [/x]", True),
        ("größe", True, "GRÖSSE Größe".encode(), True),
        ("red plain", True, b"\x1b[31mred\x1b[0m plain", True),
        ("31", True, b"\x1b[31mred\x1b[0m plain", False),
        ("k=v", True, b'{"time":1,"level":"info","message":"m","k":"v"}', True),
    ],
)
def test_patterns(expression: str, regex: bool, line: bytes, matches: bool) -> None:
    assert Pattern(expression, regex=regex).matches(line) is matches


@pytest.mark.parametrize(
    ("expression", "column"), [("a(b", 2), ("[z-a]", 2), ("*", 1), ("a{99999999999}", 1)]
)
def test_a_bad_pattern_says_where(expression: str, column: int) -> None:
    with pytest.raises(OpsError, match="not a regular expression") as caught:
        Pattern(expression)
    assert caught.value.where == f"column {column}"


def test_patterns_that_python_warns_about_are_quiet() -> None:
    assert Pattern("[[a]").matches(b"[")


def accepted(chosen: Filter, lines: list[tuple[str, bytes]]) -> list[bytes]:
    test = chosen.test()
    return [raw for source, raw in lines if test(source, raw)]


def test_filters_narrow_in_and_out() -> None:
    lines = [("a", b"GET /health 200"), ("a", b"POST /rerank 503"), ("b", b"POST /rerank 200")]
    chosen = Filter().including(Pattern("rerank"))
    assert accepted(chosen, lines) == [b"POST /rerank 503", b"POST /rerank 200"]
    assert accepted(chosen.excluding(Pattern("503")), lines) == [b"POST /rerank 200"]
    assert accepted(chosen.including(Pattern("503")), lines) == [b"POST /rerank 503"]
    assert accepted(Filter(sources=frozenset("b")), lines) == [b"POST /rerank 200"]
    assert not Filter()
    assert chosen.including(Pattern("rerank")) == chosen
    assert chosen.excluding(Pattern("x")).describe() == "& rerank  ! x"


def test_a_traceback_has_the_level_of_its_error_per_source() -> None:
    lines = [
        ("a", b"starting"),
        ("a", b"INFO ok"),
        ("a", b"ERROR failed"),
        ("b", b"INFO other"),
        ("a", b"  File x, line 1"),
        ("b", b"  detail of info"),
        ("a", b"INFO again"),
        ("a", b"  more info"),
    ]
    assert accepted(Filter(level="warning"), lines) == [b"ERROR failed", b"  File x, line 1"]
    assert len(accepted(Filter(level="info"), lines)) == 7


def test_an_index_goes_on_where_its_time_ran_out() -> None:
    buffer = LogBuffer()
    buffer.extend("a", [b"hit" if n % 3 == 0 else b"miss" for n in range(1000)])
    seen: list[bytes] = []

    def counting(_source: str, raw: bytes) -> bool:
        seen.append(raw)
        return raw == b"hit"

    index = LineIndex(buffer, lambda: counting)
    rounds = 0
    while not index.advance(0.0):
        rounds += 1
    assert rounds > 50
    assert list(index.numbers) == list(range(0, 1000, 3))
    assert len(seen) == 1000
    buffer.extend("a", [b"hit"])
    assert index.advance(1.0)
    assert len(seen) == 1001  # only the new line was looked at
    assert index.after(3) == 6
    assert index.before(3) == 0
    assert index.before(0) is None
    assert index.after(1000) is None
    assert index.position(7) == 3


@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from([b"x", b"y", b"xy", b"z"]), max_size=10)),
        max_size=12,
    ),
    st.integers(1, 12),
)
def test_indexes_agree_with_a_scan_of_the_buffer(
    steps: list[tuple[bool, list[bytes]]], size: int
) -> None:
    buffer = LogBuffer(max_lines=size)
    shown = LineIndex(buffer, Filter(include=(Pattern("x"),)).test)
    hits = LineIndex(buffer, lambda: pattern_test(Pattern("y")), base=shown)
    for front, lines in steps:
        if front:
            until = buffer.first
            buffer.prepend("a", lines)
            shown.extend_front(until)
            hits.extend_front(until)
        else:
            buffer.extend("a", lines)
        while not shown.advance(0.0):
            pass
        while not hits.advance(0.0):
            pass
        held = list(buffer.slots(buffer.first, buffer.end))
        assert list(shown.numbers) == [n for n, _, raw in held if b"x" in raw]
        assert list(hits.numbers) == [n for n, _, raw in held if raw == b"xy"]
