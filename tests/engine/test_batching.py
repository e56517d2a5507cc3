"""What fits into a batch, padded and unpadded."""

from __future__ import annotations

from opsconsole.engine.batching import PaddedRoom, Room, UnpaddedRoom, padded_tokens


def put(room: Room, lengths: list[int]) -> list[int]:
    """Offer rows, longest first; returns those that joined."""
    joined = []
    for length in lengths:
        if length <= room.longest and room.admits(length):
            room.add(length)
            joined.append(length)
    return joined


def test_rows_positions_and_padding_are_bounded() -> None:
    assert put(PaddedRoom(3, 1000, 1000), [9, 8, 7, 6]) == [9, 8, 7]
    assert put(PaddedRoom(32, 40, 1000), [10, 9, 8, 7, 6]) == [10, 9, 8, 7]
    assert put(PaddedRoom(32, 1000, 5), [10, 8, 8, 7]) == [10, 8, 8]


def test_one_long_row_does_not_pad_the_short_ones() -> None:
    assert put(PaddedRoom(32, 2048, 64), [256, 10, 9, 8]) == [256]


def test_a_longer_row_than_the_budget_is_alone() -> None:
    assert put(PaddedRoom(32, 100, 10_000), [512, 4]) == [512]
    assert put(UnpaddedRoom(32, 100), [512, 4]) == [512]


def test_without_padding_the_tokens_count() -> None:
    assert put(UnpaddedRoom(32, 100), [60, 50, 30, 20, 10]) == [60, 30, 10]
    assert put(UnpaddedRoom(2, 100), [60, 30, 10]) == [60, 30]


def test_a_batch_that_is_full_enough_takes_no_more() -> None:
    for room in (PaddedRoom(32, 1000, 1000), UnpaddedRoom(32, 1000)):
        assert put(room, [10, 10]) == [10, 10]
        room.narrow(35)
        assert put(room, [10, 10]) == [10]
        room.narrow(5)
        assert room.longest == 0 or not put(room, [6])


def test_padded_tokens() -> None:
    assert padded_tokens([]) == 0
    assert padded_tokens([3, 5, 4]) == 15
