"""The same pair, wanted by several requests at once, is computed once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from opsconsole.engine import Engine, EngineSettings, Options, load
from opsconsole.engine.inflight import Flights
from opsconsole.engine.job import Job
from opsconsole.engine.tokenizing import Row
from opsconsole.errors import OpsError
from tests.engine.conftest import QUERIES
from tests.engine.gate import Gate, wait_for

QUERY = QUERIES[0]


@pytest.fixture
def engine(bert: Path) -> Iterator[Engine]:
    """An engine without a cache."""
    with load(EngineSettings(dtype="float32", local_path=str(bert), warmup=False)) as engine:
        yield engine


@pytest.fixture
def gate(engine: Engine) -> Iterator[Gate]:
    """Holds the engine's device in a batch of its own, until the test opens it."""
    gate = Gate(engine)
    engine.submit("another query", ["first"])
    gate.wait()
    yield gate
    gate.open()


def row(length: int = 3) -> Row:
    return Row([0] * length, [0] * length, False)


def test_cells_are_shared_until_they_land() -> None:
    flights = Flights()
    first, second, third = (Job("q", []) for _ in range(3))
    (a,) = flights.join(first, [(b"a", row())])
    other, same = flights.join(second, [(b"b", row()), (b"a", row())])
    assert same is a
    assert other is not a
    assert len(flights) == 2
    assert flights.land(a) == [(first, 0), (second, 1)]
    assert flights.join(third, [(b"a", row())])[0] is not a
    second.cancel()
    assert flights.wanted(other) == []
    assert flights.forget([other, a]) == [other]
    assert len(flights) == 1


def test_the_same_pair_of_two_requests(engine: Engine, gate: Gate) -> None:
    first = engine.submit(QUERY, ["a", "b"])
    wait_for(lambda: engine.stats().queued_rows == 2)
    second = engine.submit(QUERY, ["c", "b", "a", "b"])
    wait_for(lambda: engine.stats().shared_pairs == 2)
    wait_for(lambda: engine.stats().queued_rows == 3)
    gate.open()
    a, b = first.future.result(30).values
    scores = second.future.result(30)
    assert scores.values[1:] == [b, a, b]
    assert scores.values[0] not in (a, b)
    assert sum(gate.batches) == 1 + 3
    assert scores.tokens < first.future.result(0).tokens  # shared pairs cost who came first
    assert scores.padded_tokens >= scores.tokens > 0
    stats = engine.stats()
    assert (stats.pairs, stats.shared_pairs) == (1 + 2 + 4, 2)
    assert (stats.cache_hits, stats.queued_rows, stats.queued_tokens) == (0, 0, 0)
    assert len(engine._flights) == 0


def test_who_came_first_is_cancelled(engine: Engine, gate: Gate) -> None:
    first = engine.submit(QUERY, ["a", "b", "only mine"])
    wait_for(lambda: engine.stats().queued_rows == 3)
    second = engine.submit(QUERY, ["b", "a"])
    wait_for(lambda: engine.stats().shared_pairs == 2)
    assert first.cancel()
    wait_for(lambda: engine.stats().queued_rows == 2)
    gate.open()
    assert len(second.future.result(30).values) == 2
    assert sum(gate.batches) == 1 + 2
    with pytest.raises(CancelledError):
        first.future.result(0)


def test_other_limits_are_another_pair(engine: Engine, gate: Gate) -> None:
    text = "one two three four"
    jobs = [engine.submit(QUERY, [text], Options(max_tokens_per_doc=n)) for n in (None, 2, 2)]
    jobs.append(engine.submit(QUERY, [text], Options(activation="none")))
    wait_for(lambda: engine.stats().shared_pairs == 2)
    assert engine.stats().queued_rows == 2
    gate.open()
    whole, cut, again, logit = [job.future.result(30).values[0] for job in jobs]
    assert cut == again != whole
    assert logit != whole


def test_a_failure_is_everybodys(engine: Engine, gate: Gate) -> None:
    jobs = [engine.submit(QUERY, ["a"]) for _ in range(3)]
    wait_for(lambda: engine.stats().shared_pairs == 2)
    backend: Any = engine._backend

    def launch(rows: Any) -> Any:
        raise RuntimeError("device lost")

    backend.launch = launch
    gate.open()
    for job in jobs:
        with pytest.raises(OpsError, match="device lost"):
            job.future.result(30)
    assert engine.stats().failures == 3
    assert len(engine._flights) == 0


def test_a_document_of_two_queries_is_embedded_once(bi_encoder: Path) -> None:
    with load(EngineSettings(dtype="float32", local_path=str(bi_encoder), warmup=False)) as engine:
        expected = [engine.score(query, ["rain", "sun"]).values for query in ("city", "sea")]
        gate = Gate(engine)
        engine.submit("another query", ["first"])
        gate.wait()
        jobs = [engine.submit(query, ["rain", "sun"]) for query in ("city", "sea")]
        wait_for(lambda: engine.stats().shared_pairs == 2)
        wait_for(lambda: engine.stats().queued_rows == 4)
        gate.open()
        found = [job.future.result(30).values for job in jobs]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert sum(gate.batches) == 2 + 4


def test_many_threads_want_the_same(engine: Engine) -> None:
    texts = [f"document {number}" for number in range(30)]
    expected = dict(zip(texts, engine.score(QUERY, texts).values, strict=True))

    def ask(thread: int) -> None:
        for turn in range(10):
            mine = texts[(thread + turn) % 7 :: 1 + thread % 3]
            job = engine.submit(QUERY, mine)
            if (thread + turn) % 5 == 0:
                job.cancel()
                continue
            values = job.future.result(60).values
            assert values == pytest.approx([expected[text] for text in mine], abs=1e-5)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(6)))
    wait_for(lambda: engine.stats().queued_rows == 0 and len(engine._flights) == 0)
    stats = engine.stats()
    assert (stats.failures, stats.queued_tokens) == (0, 0)
    assert not engine._open


def test_who_joins_after_the_others_have_gone_gets_an_input_of_its_own() -> None:
    flights = Flights()
    gone, late = Job("q", ["d"]), Job("q", ["d"])
    row = Row([1, 2, 3], [0, 0, 0], False)
    (cell,) = flights.join(gone, [(b"key", row)])
    gone.cancel()
    assert flights.drop_unwanted([cell]) == []
    (fresh,) = flights.join(late, [(b"key", row)])
    assert fresh is not cell
    assert flights.drop_unwanted([fresh]) == [fresh]
    assert len(flights) == 1
