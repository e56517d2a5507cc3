"""What the engine counts, and what it expects of a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.engine import Engine, EngineSettings, load
from opsconsole.engine.counters import POSITION_BOUNDS, ROW_BOUNDS, Counters
from opsconsole.engine.estimate import TokenEstimate
from tests.engine.conftest import DOCUMENTS, QUERIES


def test_bounds() -> None:
    assert (ROW_BOUNDS[0], ROW_BOUNDS[-1]) == (1, 1024)
    assert (POSITION_BOUNDS[0], POSITION_BOUNDS[-1]) == (16, 65536)
    fresh = Counters().read()
    assert len(fresh.batch_rows) == len(ROW_BOUNDS) + 1
    assert len(fresh.batch_positions) == len(POSITION_BOUNDS) + 1
    assert fresh.tokens_per_second is None
    assert fresh.last_forward_age is None


def test_batches_are_counted_by_their_sizes() -> None:
    counters = Counters()
    for rows, positions in ((1, 16), (2, 17), (3, 32), (2000, 100_000)):
        counters.count_batch(rows=rows, tokens=10, positions=positions, seconds=0.1)
    stats = counters.read()
    assert stats.batch_rows[:3] == (1, 1, 1)
    assert stats.batch_rows[-1] == 1
    assert stats.batch_positions[:2] == (1, 2)
    assert stats.batch_positions[-1] == 1
    assert sum(stats.batch_rows) == sum(stats.batch_positions) == stats.batches == 4
    assert stats.tokens_real == 40


def test_the_rate_is_that_of_the_last_batches() -> None:
    counters = Counters(rate=500.0)
    assert counters.read().tokens_per_second == counters.rate() == 500
    for _ in range(300):
        counters.count_batch(rows=1, tokens=100, positions=100, seconds=0.1)
    assert counters.rate() == pytest.approx(1000, rel=0.02)
    for _ in range(300):
        counters.count_batch(rows=1, tokens=20, positions=20, seconds=0.1)
    assert counters.rate() == pytest.approx(200, rel=0.1)


def test_who_is_to_blame_for_an_error_is_kept() -> None:
    counters = Counters()
    counters.count_failure(RuntimeError("a\x1b[31mb"))
    counters.count_success(pairs=2, hits=2, misses=0)
    assert counters.read().consecutive_failures == 1  # the cache answered, not the model
    counters.count_success(pairs=2, hits=1, misses=1)
    stats = counters.read()
    assert (stats.failures, stats.consecutive_failures, stats.last_error) == (1, 0, "ab")


def test_an_engine_counts_its_batches(bert: Path) -> None:
    with load(
        EngineSettings(dtype="float32", local_path=str(bert), batch_size=4, warmup=False)
    ) as engine:
        engine.score(QUERIES[0], DOCUMENTS)
        stats = engine.stats()
    assert sum(stats.batch_rows) == sum(stats.batch_positions) == stats.batches
    assert sum(stats.batch_rows[:3]) == stats.batches  # up to 4 rows
    assert stats.tokens_per_second is not None
    assert stats.tokens_per_second > 0
    assert stats.device_memory is None  # the CPU's is the process's


def test_the_estimate_learns() -> None:
    estimate = TokenEstimate()
    before = estimate.pairs(0, [300] * 10, 1000)
    for _ in range(50):
        estimate.learn(3000, 1000)
    assert estimate.pairs(0, [300] * 10, 1000) == pytest.approx(1030, rel=0.03)
    assert estimate.pairs(0, [300] * 10, 1000) > before
    assert estimate.pairs(0, [10**9] * 3, 512) == 3 * 512
    for _ in range(10_000):
        estimate.learn(2000, 1000)
    estimate.learn(10**9, 3)  # blanks
    assert estimate.pairs(100, [100], 10_000) == pytest.approx(103, rel=0.03)


def test_the_estimate_comes_near_the_truth(bert_engine: Engine) -> None:
    texts = ["It is sunny outside, but it may rain tomorrow in the city.", "word " * 2000] * 20
    for number in range(30):
        bert_engine.score(f"what is the weather {number}", texts)
    scores = bert_engine.score(
        "how is the weather now", [f"{text} {number}" for number, text in enumerate(texts)]
    )
    found = bert_engine.estimate_tokens("how is the weather now", texts)
    assert found == pytest.approx(scores.tokens, rel=0.25)
    assert bert_engine.estimate_tokens("q", []) == 0
