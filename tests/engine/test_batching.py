from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.engine.batching import padded_tokens, plan_batches


@given(
    st.lists(st.integers(0, 600), max_size=200),
    st.integers(1, 40),
    st.integers(1, 5000),
    st.integers(0, 10_000),
)
def test_every_input_once_and_within_all_budgets(
    lengths: list[int], size: int, tokens: int, padding: int
) -> None:
    batches = plan_batches(lengths, batch_size=size, batch_tokens=tokens, batch_padding=padding)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        own = [lengths[index] for index in batch]
        assert 1 <= len(batch) <= size
        assert padded_tokens(own) <= tokens or len(batch) == 1
        assert padded_tokens(own) - sum(own) <= padding
    longest = [max(lengths[index] for index in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_one_long_input_does_not_pad_the_short_ones() -> None:
    plan = plan_batches([256, 8, 9, 10], batch_size=32, batch_tokens=2048, batch_padding=64)
    assert plan == [[0], [3, 2, 1]]


def test_a_longer_input_than_the_budget_is_a_batch_of_its_own() -> None:
    plan = plan_batches([512, 512, 4], batch_size=32, batch_tokens=100, batch_padding=10_000)
    assert plan == [[0], [1], [2]]


def test_equal_lengths_keep_their_order() -> None:
    plan = plan_batches([5, 5, 5, 5], batch_size=2, batch_tokens=100, batch_padding=0)
    assert plan == [[0, 1], [2, 3]]
    assert plan_batches([], batch_size=2, batch_tokens=100, batch_padding=0) == []
