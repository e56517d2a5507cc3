"""Texts that do not fit: cut, split or refused, as the request wants it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.engine import Engine, EngineSettings, Options, load
from opsconsole.engine.chunking import fit, longest_first, split
from opsconsole.engine.failures import InputTooLong
from tests.engine.conftest import QUERIES, Reference
from tests.engine.models import make_bi_encoder

QUERY = "weather in the city"


VOCABULARY = ["rain", "sun", "wind", "snow", "city", "weather", "house", "tree", "river", "road"]


def text_of(words: int) -> str:
    """So many words, each of one token; a longer text begins like a shorter one."""
    order = random.Random(7)
    return " ".join(order.choice(VOCABULARY) for _ in range(words))


@pytest.fixture(scope="module")
def small(bert: Path) -> Iterator[Engine]:
    """A cross-encoder that reads 32 tokens: 29 of texts."""
    settings = EngineSettings(
        dtype="float32", local_path=str(bert), max_length=32, cache=True, warmup=False
    )
    with load(settings) as engine:
        yield engine


def tokens_of(engine: Engine, query: str, document: str, options: Options) -> list[list[int]]:
    tokenizer = engine._tokenizer
    rows = tokenizer.pair_rows(tokenizer.query(query, options), [document], options)[0]
    return [row.ids for row in rows]


LENGTH = st.integers(0, 200)


@given(LENGTH, LENGTH, st.integers(2, 60), st.integers(1, 6), st.booleans())
def test_what_is_kept_of_any_pair(
    query: int, document: int, room: int, pieces: int, left: bool
) -> None:
    kept, spans, is_whole = fit(query, document, room, pieces=pieces, left=left)
    covered = sum(end - start for start, end in spans)
    assert 1 <= len(spans) <= pieces
    assert all(end - start <= room - kept for start, end in spans)
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert (spans[-1][1] == document) if left else (spans[0][0] == 0)
    assert is_whole == (kept == query and covered == document)
    assert 0 <= longest_first(query, document, room)[0] - kept <= 1
    if len(spans) > 1:
        assert kept <= room / 2  # of the room
        sizes = [end - start for start, end in spans]
        assert max(sizes) - min(sizes) <= 1
    if pieces == 1:
        assert covered == longest_first(query, document, room)[1]


def test_splits_are_even_unless_something_is_left_out() -> None:
    assert split(10, 10, 5) == [(0, 10)]
    assert split(0, 10, 5) == [(0, 0)]
    assert split(11, 10, 5) == [(0, 5), (5, 11)]
    assert split(100, 10, 3) == [(0, 10), (10, 20), (20, 30)]
    assert split(100, 10, 3, left=True) == [(70, 80), (80, 90), (90, 100)]


@pytest.mark.parametrize("chunks", [1, 3, 20])
def test_too_long_is_refused_when_nothing_may_be_cut(small: Engine, chunks: int) -> None:
    options = Options(truncate=False, max_chunks_per_doc=chunks)
    fits = 25 * chunks
    assert len(small.score(QUERY, ["rain", text_of(fits)], options).values) == 2
    with pytest.raises(InputTooLong, match=f"document 2 has .* tokens .*, {fits} fit") as caught:
        small.score(QUERY, ["rain", "rain", text_of(fits + 1)], options)
    assert caught.value.document == 2
    with pytest.raises(InputTooLong, match="the query has 40 tokens") as caught:
        small.score(text_of(40), ["rain"], options)
    assert caught.value.document is None
    stats = small.stats()
    assert (stats.failures, stats.consecutive_failures) == (0, 0)  # the client is to blame


def test_an_answer_that_was_cut_does_not_excuse_a_refusal(small: Engine) -> None:
    long = text_of(300)
    assert small.score(QUERY, [long]).truncated == 1
    with pytest.raises(InputTooLong):
        small.score(QUERY, [long], Options(truncate=False))


def test_the_side_that_is_cut_off(small: Engine) -> None:
    text = text_of(60)
    whole = small._tokenizer._encode([text], None)[0]
    (right,) = tokens_of(small, QUERY, text, Options(truncation_side="right"))
    (left,) = tokens_of(small, QUERY, text, Options(truncation_side="left"))
    assert right == tokens_of(small, QUERY, text, Options())[0]
    assert right[6:-1] == whole[:25]
    assert left[6:-1] == whole[-25:]
    assert right[:6] == left[:6]
    scores = [small.score(QUERY, [text], Options(truncation_side=s)) for s in ("left", "right")]
    assert scores[0].values != scores[1].values
    assert [s.truncated for s in scores] == [1, 1]


def test_a_megabyte_is_cut_from_the_left(small: Engine) -> None:
    text = text_of(200_000) + " hill"
    (ids,) = tokens_of(small, QUERY, text, Options(truncation_side="left"))
    assert len(ids) == 32
    assert ids[-2] == small._tokenizer._encode(["hill"], None)[0][0]


def test_the_requests_own_limits_come_first(small: Engine) -> None:
    options = Options(max_tokens_per_query=2, max_tokens_per_doc=3)
    text = text_of(10)
    (ids,) = tokens_of(small, QUERY, text, options)
    encode = small._tokenizer._encode
    assert ids[1:3] == encode([QUERY], None)[0][:2]
    assert ids[4:7] == encode([text], None)[0][:3]
    assert len(ids) == 8
    scores = small.score(QUERY, [text, "rain"], options)
    assert scores.truncated == 2  # of both pairs the query was cut
    assert small.score(QUERY, [text, "sun"], Options(max_tokens_per_doc=3)).truncated == 1
    # What the request cuts itself is no reason to refuse it.
    strict = Options(max_tokens_per_doc=3, truncate=False)
    assert small.score(QUERY, [text_of(100)], strict).truncated == 1


def test_the_best_piece_counts(small: Engine) -> None:
    text = text_of(60)
    words = text.split()
    pieces = [" ".join(words[start : start + 20]) for start in (0, 20, 40)]
    apart = small.score(QUERY, pieces).values
    assert len(set(apart)) == 3
    scores = small.score(QUERY, [text, "rain"], Options(max_chunks_per_doc=3))
    assert scores.values[0] == pytest.approx(max(apart), abs=1e-6)
    assert scores.truncated == 0
    first_two = small.score(QUERY, [text], Options(max_chunks_per_doc=2))
    assert first_two.truncated == 1
    assert first_two.tokens == 2 * 32
    again = small.score(QUERY, [text], Options(max_chunks_per_doc=3, activation="none"))
    assert again.cache_hits == 1


def test_a_long_query_leaves_half_of_the_room(small: Engine) -> None:
    rows = tokens_of(small, text_of(100), text_of(100), Options(max_chunks_per_doc=50))
    # 29 tokens: the query has 14 of them, as it would with one piece, the document 15 a piece.
    assert [len(row) for row in rows] == [3 + 14 + size for size in (14, 14, 14, 15, 14, 14, 15)]
    assert len(tokens_of(small, text_of(100), text_of(100), Options())[0]) == 32


def test_all_of_a_megabyte_that_the_pieces_hold_is_read(small: Engine) -> None:
    text = text_of(200_000)
    rows = tokens_of(small, QUERY, text, Options(max_chunks_per_doc=40))
    ids = [token for row in rows for token in row[6:-1]]
    assert ids == small._tokenizer._encode([text_of(1000)], None)[0]


@pytest.mark.parametrize("prompt", ["", "passage: "])
def test_a_bi_encoder_splits_behind_its_prompt(
    prompt: str, tmp_path: Path, bi_reference: Callable[[Path], Reference]
) -> None:
    folder = make_bi_encoder(tmp_path / "bi", prompts={"query": "", "document": prompt})
    reference = bi_reference(folder)
    text, room = text_of(75), 30 - (2 if prompt else 0)
    words = text.split()
    pieces = [" ".join(words[start : start + 25]) for start in (0, 25, 50)]
    settings = EngineSettings(
        dtype="float32", local_path=str(folder), max_length=32, cache=True, warmup=False
    )
    options = Options(max_chunks_per_doc=3)
    with load(settings) as engine:
        for _ in range(2):  # from the vectors' cache too
            found = engine.score(QUERY, [text, "rain"], options)
            assert found.values[0] == pytest.approx(max(reference(QUERY, pieces)), abs=1e-5)
            assert found.values[1] == pytest.approx(reference(QUERY, ["rain"])[0], abs=1e-5)
            engine._cache = engine._scoring._cache = None
        cut = engine.score(QUERY, [text], Options(max_chunks_per_doc=2))
        assert cut.truncated == 1
        with pytest.raises(InputTooLong, match=f"document 1 has 75 tokens or more, {room} fit"):
            engine.score(QUERY, ["rain", text], Options(truncate=False))
        with pytest.raises(InputTooLong, match="the query"):
            engine.score(text, ["rain"], Options(truncate=False))
        limited = engine.score(QUERY, [text], Options(max_tokens_per_doc=5))
        expected = reference(QUERY, [" ".join(words[:5])])
        assert limited.values == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("query", QUERIES)
def test_options_that_change_nothing(small: Engine, query: str) -> None:
    texts = ["rain", text_of(200), ""]
    expected = small.score(query, texts).values
    for options in (
        Options(truncation_side="right"),
        Options(max_tokens_per_doc=1000, max_tokens_per_query=1000),
    ):
        assert small.score(query, texts, options).values == pytest.approx(expected, abs=1e-6)
