"""How long the tokenizer is kept by one request, and what a request is reckoned to cost."""

from __future__ import annotations

import msgspec
import pytest

from opsconsole.engine import Engine, Options
from opsconsole.engine.engine import _tokenizer_threads
from opsconsole.engine.estimate import TokenEstimate
from opsconsole.engine.job import Job
from opsconsole.engine.reading import SLICE_CHARACTERS, SLICE_TEXTS, _slices
from opsconsole.engine.records import MOST_CHUNKS


def test_slices_are_bounded_by_texts_and_characters() -> None:
    texts = ["a" * 10] * 300 + ["b" * 20_000] * 3 + ["c" * 1_000_000, "d", "e" * 1_000_000]
    slices = list(_slices(texts))
    assert [text for part in slices for text in part] == texts
    for part in slices:
        assert len(part) <= SLICE_TEXTS
        assert len(part) == 1 or sum(map(len, part)) <= SLICE_CHARACTERS
    assert [len(part) for part in slices] == [128, 128, 45, 1, 1, 1, 1, 1]
    assert list(_slices([])) == []


def test_long_texts_are_read_one_by_one_and_a_left_request_no_further(
    bert_engine: Engine,
) -> None:
    job = Job("天" * 50_000, ["дождь" * 10_000 + str(number) for number in range(4)])
    steps = bert_engine._scoring.prepare(job)
    for _ in range(4):  # the query, and three of the documents
        next(steps)
    with pytest.raises(StopIteration):
        next(steps)
    gone = Job(job.query, job.documents)
    steps = bert_engine._scoring.prepare(gone)
    bert_engine._advance(gone, steps)
    gone.cancel()
    bert_engine._advance(gone, steps)
    assert gone.work is None


def test_one_long_text_leaves_a_tokenizer_thread() -> None:
    assert _tokenizer_threads("cpu") >= 2


def test_the_estimate_counts_pieces(bert_engine: Engine) -> None:
    texts = ["word " * 2000, "word " * 100]
    for options in (
        Options(),
        Options(max_chunks_per_doc=3),
        Options(max_chunks_per_doc=100),
        Options(max_tokens_per_doc=50),
        Options(max_tokens_per_doc=700, max_chunks_per_doc=5),
        Options(max_tokens_per_query=1, max_chunks_per_doc=2),
    ):
        computed = bert_engine.score("what is a word", texts, options).tokens
        for _ in range(20):
            bert_engine._estimate.learn(5000, 1000)
        found = bert_engine.estimate_tokens("what is a word", texts, options)
        assert found == pytest.approx(computed, rel=0.25), options


def test_the_estimate_of_single_texts_and_of_absurd_limits() -> None:
    estimate = TokenEstimate()  # 4 characters a token
    assert estimate.texts(40, [4000, 40], 103) == 13 + 103 + 13
    assert estimate.texts(40, [4000], 103, Options(max_chunks_per_doc=5)) == 13 + 5 * 103
    assert estimate.texts(40, [4000], 103, Options(max_chunks_per_doc=50)) == 13 + 1000 + 30
    assert estimate.texts(4000, [], 103, Options(max_tokens_per_query=7)) == 10
    absurd = Options(max_chunks_per_doc=1 << 30)
    most = msgspec.structs.replace(absurd, max_chunks_per_doc=MOST_CHUNKS)
    assert estimate.pairs(40, [10**9], 103, absurd) == estimate.pairs(40, [10**9], 103, most)
    assert Job("q", ["d"], absurd).options == most
