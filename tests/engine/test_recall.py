"""What the engine remembers: scores, and a bi-encoder's vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from opsconsole.engine import Engine, EngineSettings, Options, load
from opsconsole.engine.embeddings import ENTRY_BYTES, EmbeddingCache
from tests.engine.conftest import DOCUMENTS, QUERIES, Reference
from tests.engine.gate import Gate

QUERY = QUERIES[0]


@pytest.fixture
def engine(bert: Path) -> Iterator[Engine]:
    """An engine without a cache."""
    with load(EngineSettings(dtype="float32", local_path=str(bert), warmup=False)) as engine:
        yield engine


@pytest.fixture
def remembering(bert: Path) -> Iterator[Engine]:
    """An engine with a cache."""
    with load(
        EngineSettings(dtype="float32", local_path=str(bert), cache=True, warmup=False)
    ) as engine:
        yield engine


def test_cache(bert: Path) -> None:
    settings = EngineSettings(dtype="float32", local_path=str(bert), cache=True)
    with load(settings) as engine:
        first = engine.score(QUERY, ["a", "b", "a"])
        again = engine.score(QUERY, ["b", "c", "a"])
        other = engine.score("another query", ["a"])
        stats = engine.stats()
    assert (first.cache_hits, again.cache_hits, other.cache_hits) == (0, 2, 0)
    assert [again.values[2], again.values[0]] == first.values[:2]
    assert other.values[0] != first.values[0]
    assert again.tokens < first.tokens
    assert (stats.cache_hits, stats.cache_misses, stats.cache_entries) == (2, 5, 4)
    assert stats.cache_bytes > 0
    assert stats.pairs == 7


def test_without_a_cache_nothing_is_kept(engine: Engine) -> None:
    for _ in range(2):
        assert engine.score(QUERY, ["a"]).cache_hits == 0
    stats = engine.stats()
    assert (stats.cache_hits, stats.cache_misses, stats.cache_entries) == (0, 0, 0)


def test_a_known_answer_is_there_on_return(remembering: Engine) -> None:
    first = remembering.score(QUERY, DOCUMENTS)
    gate = Gate(remembering)  # closed: the device would never answer
    job = remembering.submit(QUERY, [*DOCUMENTS, DOCUMENTS[0]])
    assert job.future.done()
    scores = job.future.result(0)
    assert scores.values == [*first.values, first.values[0]]
    assert scores.cache_hits == len(DOCUMENTS) + 1
    assert (scores.tokens, scores.inference_seconds) == (0, 0)
    assert not remembering._open
    gate.open()
    assert remembering.submit(QUERY, []).future.done()


def test_any_activation_is_answered_from_the_cache(remembering: Engine) -> None:
    asked = [Options(activation="none"), Options(), Options(activation="sigmoid")]
    logits, default, sigmoid = [remembering.score(QUERY, DOCUMENTS, o) for o in asked]
    assert default.cache_hits == sigmoid.cache_hits == len(DOCUMENTS)
    assert default.values == sigmoid.values  # this model's reference has a sigmoid
    expected = torch.tensor(logits.values, dtype=torch.float64).sigmoid().tolist()
    assert sigmoid.values == pytest.approx(expected, abs=1e-12)


def test_other_limits_are_not_answered_from_the_cache(remembering: Engine) -> None:
    text = "one two three four five"
    whole = remembering.score(QUERY, [text])
    cut = remembering.score(QUERY, [text], Options(max_tokens_per_doc=2))
    assert cut.cache_hits == 0
    assert cut.values != whole.values


def test_a_failing_model_is_not_excused_by_the_cache(remembering: Engine) -> None:
    remembering.score(QUERY, ["a"])
    backend: Any = remembering._backend

    def launch(rows: Any) -> Any:
        raise RuntimeError("device lost")

    backend.launch = launch
    assert remembering.submit(QUERY, ["b"]).future.exception(30) is not None
    assert len(remembering.score(QUERY, ["a"]).values) == 1
    assert remembering.stats().consecutive_failures == 1


def test_vectors_of_documents_are_kept(
    bi_encoder: Path, bi_reference: Callable[[Path], Reference]
) -> None:
    reference = bi_reference(bi_encoder)
    settings = EngineSettings(dtype="float32", local_path=str(bi_encoder), cache=True, warmup=False)
    with load(settings) as engine:
        gate = Gate(engine, is_open=True)
        for query in ("city", "rain", "sea"):
            found = engine.score(query, DOCUMENTS).values
            assert found == pytest.approx(reference(query, DOCUMENTS), abs=1e-5)
        assert sum(gate.batches) == len(DOCUMENTS) + 3
        stats = engine.stats()
        assert (stats.embedding_hits, stats.embedding_misses) == (
            2 * len(DOCUMENTS),
            len(DOCUMENTS),
        )
        assert stats.embedding_entries == len(DOCUMENTS)
        assert stats.embedding_bytes == len(DOCUMENTS) * (ENTRY_BYTES + 64 * 4)
        assert engine.score("city", DOCUMENTS).cache_hits == len(DOCUMENTS)
    assert engine.stats().embedding_entries == 0  # arrays are let go with the model


def test_vectors_are_bounded_and_own_their_memory() -> None:
    cache = EmbeddingCache(3 * (ENTRY_BYTES + 400))
    batch = torch.arange(1000, dtype=torch.float32).view(10, 100)
    for number in range(3):
        cache.put(bytes([number]), [batch[number]])
    assert cache.get_many([b"\0"]) == [[pytest.approx(batch[0])]]
    cache.put(b"\0", [batch[5]])  # it is there already
    cache.put(b"\3", [batch[3]])
    kept = cache.get_many([bytes([number]) for number in range(5)])
    assert [vectors is not None for vectors in kept] == [True, False, True, True, False]
    (vector,) = kept[0] or []
    assert vector.tolist() == batch[0].tolist()
    assert vector.untyped_storage().nbytes() == 400
    assert (len(cache), cache.size_bytes) == (3, 3 * (ENTRY_BYTES + 400))
    assert (cache.hits, cache.misses) == (4, 2)
    cache.put(b"\7", [batch.view(-1)])  # larger than the cache
    assert len(cache) == 3
    cache.clear()
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_a_bi_encoders_cache_that_is_filled_while_a_request_waits() -> None:
    with load(EngineSettings(dtype="float32", cache=True)) as engine:
        documents = ["one", "two", "three"]
        expected = engine.score(QUERY, documents)
        recall = engine._scoring.recall
        engine._scoring.recall = lambda job: None  # type: ignore[method-assign]
        again = engine.score(QUERY, documents)  # as if the first had ended just now
        engine._scoring.recall = recall  # type: ignore[method-assign]
        assert again.values == expected.values
        assert again.cache_hits == 3
        assert engine.stats().failures == 0
