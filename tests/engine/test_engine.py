"""Requests, cancellation, failures, the cache, the counters."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from opsconsole.engine import Engine, EngineSettings, load
from opsconsole.errors import OpsError
from tests.engine.conftest import DOCUMENTS, QUERIES
from tests.engine.gate import Gate, wait_for
from tests.engine.models import edit_weights, make_cross_encoder

QUERY = QUERIES[0]


@pytest.fixture
def engine(bert: Path) -> Iterator[Engine]:
    """An engine of the test's own."""
    with load(EngineSettings(dtype="float32", local_path=str(bert), batch_size=2)) as engine:
        yield engine


def test_no_documents(bert_engine: Engine) -> None:
    scores = bert_engine.score(QUERY, [])
    assert scores.values == []
    assert (scores.tokens, scores.padded_tokens) == (0, 0)


def test_a_text_is_no_list_of_texts(bert_engine: Engine) -> None:
    with pytest.raises(TypeError):
        bert_engine.submit(QUERY, "one document")


def test_scores_keep_the_order_of_the_documents(bert_engine: Engine) -> None:
    together = bert_engine.score(QUERY, DOCUMENTS).values
    assert together == pytest.approx(
        [bert_engine.score(QUERY, [text]).values[0] for text in DOCUMENTS], abs=1e-6
    )
    backwards = bert_engine.score(QUERY, DOCUMENTS[::-1]).values
    assert backwards[::-1] == pytest.approx(together, abs=1e-6)


def test_what_a_request_cost(bert_engine: Engine) -> None:
    before = bert_engine.stats()
    scores = bert_engine.score("weather", ["rain", "sun and rain", "word " * 2000])
    after = bert_engine.stats()
    # [CLS] weather [SEP] rain [SEP], two words more, and one that fills the model.
    assert scores.tokens == 5 + 7 + 512
    assert scores.padded_tokens in (scores.tokens, 2 * 7 + 512)  # by the backend's layout
    assert scores.truncated == 1
    assert after.tokens_real - before.tokens_real == scores.tokens
    assert after.tokens_padded - before.tokens_padded == scores.padded_tokens
    assert after.pairs - before.pairs == 3
    assert after.batches - before.batches in (1, 2)
    assert scores.inference_seconds > 0
    assert scores.tokenize_seconds > 0
    assert scores.queue_seconds >= 0
    assert after.last_forward_age is not None
    assert after.last_forward_age >= 0


def test_the_same_pair_is_computed_once(engine: Engine) -> None:
    gate = Gate(engine, is_open=True)
    scores = engine.score(QUERY, ["a", "b", "a", "a", "b"])
    assert sum(gate.batches) == 2
    a, b = scores.values[:2]
    assert scores.values == [a, b, a, a, b]
    assert a != b


def test_a_bi_encoder_encodes_the_query_once(bi_encoder: Path) -> None:
    with load(EngineSettings(dtype="float32", local_path=str(bi_encoder))) as engine:
        scores = engine.score("weather", ["rain", "weather", "rain"])
        # Two texts of one word with two special tokens: a document is also the query.
        assert scores.tokens == 6
        assert engine.score("sun", ["rain", "wind", "rain"]).tokens == 9
        assert scores.values[1] == pytest.approx(1, abs=1e-6)
        assert scores.values[0] == scores.values[2] < 1


def test_any_text_can_be_scored(bert_engine: Engine) -> None:
    texts = ["\ud800", "\udfff" * 10, "\0" * 100, "\U0010ffff", "\uffff", " " * 100_000]
    for query in texts:
        assert all(map(math.isfinite, bert_engine.score(query, texts).values))


def test_many_threads(bert_engine: Engine) -> None:
    queries = [f"query {number} about rain" for number in range(24)]
    expected = [bert_engine.score(query, DOCUMENTS[:6]).values for query in queries]
    before = bert_engine.stats().pairs
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda q: bert_engine.score(q, DOCUMENTS[:6]).values, queries))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert bert_engine.stats().pairs - before == 24 * 6


def test_submit_and_stats_do_not_wait_for_the_device(engine: Engine) -> None:
    gate = Gate(engine)
    jobs = [engine.submit(QUERY, DOCUMENTS) for _ in range(3)]
    gate.wait()
    jobs.append(engine.submit(QUERY, DOCUMENTS))
    assert engine.stats().batches == 0
    assert not any(job.future.done() for job in jobs)
    gate.open()
    first, *others = [job.future.result(60).values for job in jobs]
    for values in others:
        assert values == pytest.approx(first, abs=1e-6)


def test_cancel_frees_the_work_at_the_next_batch(engine: Engine) -> None:
    gate = Gate(engine)
    doomed = engine.submit(QUERY, [f"document {number}" for number in range(20)])
    gate.wait()
    waiting = engine.submit(QUERY, ["never computed"])
    kept = engine.submit(QUERY, ["kept"])
    assert doomed.cancel()
    assert waiting.cancel()
    gate.open()
    assert len(kept.future.result(30).values) == 1
    assert gate.batches == [2, 1]  # the batch under way when it was cancelled, and the kept one
    with pytest.raises(CancelledError):
        doomed.future.result(0)
    assert not kept.cancel()
    stats = engine.stats()
    assert (stats.pairs, stats.failures, stats.cancelled) == (1, 0, 2)
    assert (stats.queued_rows, stats.queued_tokens) == (0, 0)


@pytest.mark.parametrize("mlx", [False, True])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_an_error(bad: float, mlx: bool, tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model", activation="torch.nn.modules.linear.Identity")

    def poison(tensors: dict[str, torch.Tensor]) -> None:
        # The word "rain" (4542 in this vocabulary) has no usable vector.
        tensors["bert.embeddings.word_embeddings.weight"][4542].fill_(bad)

    edit_weights(folder, poison)
    settings = EngineSettings(
        dtype="float32", local_path=str(folder), use_mlx=mlx or None, cache=True
    )
    with load(settings) as engine:
        clean = engine.score(QUERY, ["sun", "wind"]).values
        for _ in range(2):  # nor is it kept in the cache
            with pytest.raises(OpsError, match="not a number"):
                engine.score(QUERY, ["sun", "rain"])
        assert engine.stats().failures == 2
        assert engine.score(QUERY, ["sun", "wind"]).values == clean


def test_close_fails_what_waits_and_ends_the_thread(bert: Path) -> None:
    engine = load(EngineSettings(dtype="float32", local_path=str(bert), batch_size=2))
    gate = Gate(engine)
    under_way = engine.submit(QUERY, ["a"])
    gate.wait()
    partly = engine.submit(QUERY, DOCUMENTS)
    wait_for(lambda: partly.work is not None)
    closing = threading.Thread(target=engine.close)
    closing.start()
    with pytest.raises(OpsError, match="the engine is closed"):
        partly.future.result(30)
    gate.open()
    closing.join(30)
    assert not closing.is_alive()
    assert len(under_way.future.result(0).values) == 1
    with pytest.raises(OpsError, match="the engine is closed"):
        engine.submit(QUERY, ["a"])
    engine.close()
    assert not any(
        thread.name == "engine-device" and thread is engine._device._thread
        for thread in threading.enumerate()
    )


def test_close_lets_the_model_go(bert: Path) -> None:
    engine = load(EngineSettings(dtype="float32", local_path=str(bert)))
    engine.score(QUERY, ["a"])
    engine.close()
    assert engine._backend is None
    assert engine.stats().pairs == 1


def test_max_length_and_threads(bert: Path) -> None:
    settings = EngineSettings(dtype="float32", local_path=str(bert), max_length=16, threads=1)
    with load(settings) as engine:
        assert engine.info.max_length == 16
        assert engine.score("a", ["word " * 100]).tokens == 16
