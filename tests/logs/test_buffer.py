from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.logs import LogBuffer


def held(buffer: LogBuffer) -> list[tuple[int, str, bytes]]:
    return list(buffer.slots(buffer.first, buffer.end))


def test_lines_keep_their_numbers_while_older_ones_go() -> None:
    buffer = LogBuffer(max_lines=3)
    buffer.extend("a", [b"0", b"1"])
    buffer.extend("b", [b"2", b"3"])
    assert held(buffer) == [(1, "a", b"1"), (2, "b", b"2"), (3, "b", b"3")]
    assert (buffer.dropped, buffer.bytes, len(buffer)) == (1, 3, 3)
    assert buffer.sources == ("a", "b")
    assert buffer.line(2).source == "b"
    with pytest.raises(IndexError, match="line 0 is not held"):
        buffer.raw(0)


def test_bytes_are_bounded_and_the_last_line_always_stays() -> None:
    buffer = LogBuffer(max_lines=100, max_bytes=10)
    buffer.extend("a", [b"1234"] * 3)
    assert (len(buffer), buffer.bytes) == (2, 8)
    buffer.extend("a", [b"x" * 50])
    assert held(buffer) == [(3, "a", b"x" * 50)]
    buffer.extend("a", [b"1"])
    assert held(buffer) == [(4, "a", b"1")]


def test_older_lines_go_before_the_first_as_far_as_there_is_room() -> None:
    buffer = LogBuffer(max_lines=5)
    buffer.extend("a", [b"x", b"y"])
    assert buffer.prepend("b", [b"1", b"2", b"3", b"4"]) == 3
    assert [raw for _, _, raw in held(buffer)] == [b"2", b"3", b"4", b"x", b"y"]
    assert buffer.first == -3
    assert buffer.prepend("b", [b"0"]) == 0
    buffer.extend("a", [b"z"])
    assert [raw for _, _, raw in held(buffer)] == [b"3", b"4", b"x", b"y", b"z"]


def test_clearing_forgets_lines_but_not_numbers() -> None:
    buffer = LogBuffer()
    buffer.extend("a", [b"x", b"y"])
    buffer.clear()
    assert (len(buffer), buffer.bytes, buffer.first) == (0, 0, 2)
    buffer.extend("a", [b"z"])
    assert held(buffer) == [(2, "a", b"z")]


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.sampled_from("ab"), st.lists(st.binary(max_size=6), max_size=12)
        ),
        max_size=20,
    ),
    st.integers(1, 9),
    st.integers(1, 30),
)
def test_the_ring_behaves_like_a_list(
    steps: list[tuple[bool, str, list[bytes]]], max_lines: int, max_bytes: int
) -> None:
    buffer = LogBuffer(max_lines, max_bytes)
    model: list[tuple[str, bytes]] = []
    came = 0
    for front, source, lines in steps:
        if front:
            taken = buffer.prepend(source, lines)
            assert taken <= len(lines)
            kept = lines[len(lines) - taken :]
            model[:0] = [(source, raw) for raw in kept]
        else:
            buffer.extend(source, lines)
            came += len(lines)
            model += [(source, raw) for raw in lines]
            while len(model) > max_lines or (
                len(model) > 1 and sum(len(raw) for _, raw in model) > max_bytes
            ):
                model.pop(0)
        assert [(source, raw) for _, source, raw in held(buffer)] == model
        assert buffer.bytes == sum(len(raw) for _, raw in model)
        assert len(buffer) <= max_lines
        assert buffer.end == came
