"""Nobody waits longer than wanted, and what nobody waits for is not computed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from opsconsole.engine import Engine, EngineSettings, Options, load
from opsconsole.engine.failures import DeadlineMissed
from tests.engine.conftest import QUERIES
from tests.engine.gate import Gate, wait_for

QUERY = QUERIES[0]


@pytest.fixture
def engine(bert: Path) -> Iterator[Engine]:
    with load(
        EngineSettings(dtype="float32", local_path=str(bert), batch_size=2, warmup=False)
    ) as engine:
        yield engine


class Slow:
    """Holds the tokenizer at each slice until it may go on."""

    def __init__(self, engine: Engine) -> None:
        self.slices: list[int] = []
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        tokenizer: Any = engine._tokenizer
        rows = tokenizer.pair_rows

        def pair_rows(query: Any, texts: Any, *rest: Any) -> Any:
            self.slices.append(len(texts))
            self.entered.release()
            assert self.go.acquire(timeout=30)
            return rows(query, texts, *rest)

        tokenizer.pair_rows = pair_rows


def test_a_deadline_that_has_passed(engine: Engine) -> None:
    gate = Gate(engine)
    with pytest.raises(DeadlineMissed, match="the deadline of the request passed"):
        engine.score(QUERY, ["a"], Options(deadline=time.monotonic() - 1))
    assert gate.batches == []
    gate.open()
    in_time = Options(deadline=time.monotonic() + 60)
    assert len(engine.score(QUERY, ["a"], in_time).values) == 1
    stats = engine.stats()
    assert (stats.expired, stats.failures, stats.consecutive_failures) == (1, 0, 0)


def test_a_deadline_passes_while_others_are_computed(engine: Engine) -> None:
    gate = Gate(engine)
    under_way = engine.submit(QUERY, ["first"])
    gate.wait()
    deadline = time.monotonic() + 2.0
    late = engine.submit(
        QUERY, [f"document {number}" for number in range(50)], Options(deadline=deadline)
    )
    wait_for(lambda: engine.stats().queued_rows == 50)
    wait_for(lambda: time.monotonic() > deadline)
    assert not late.future.done()
    gate.open()
    with pytest.raises(DeadlineMissed):
        late.future.result(30)
    assert len(under_way.future.result(30).values) == 1
    assert gate.batches == [1]
    stats = engine.stats()
    assert (stats.expired, stats.queued_rows, len(engine._flights)) == (1, 0, 0)


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_tokenising_ends_with_the_request(how: str, engine: Engine) -> None:
    slow = Slow(engine)
    deadline = time.monotonic() + 60 if how == "cancel" else time.monotonic() + 2.0
    texts = [f"document {number}" for number in range(1000)]
    job = engine.submit(QUERY, texts, Options(deadline=deadline))
    assert slow.entered.acquire(timeout=30)
    if how == "cancel":
        job.cancel()
    wait_for(lambda: how == "cancel" or time.monotonic() > deadline)
    slow.go.release()
    with pytest.raises((CancelledError, DeadlineMissed)):
        job.future.result(30)
    for _ in range(100):
        slow.go.release()
    assert len(engine.score(QUERY, ["a"]).values) == 1
    assert slow.slices[1:] == [1]  # the rest of the 1,000 was not tokenised
    stats = engine.stats()
    assert (stats.cancelled, stats.expired) == ((1, 0) if how == "cancel" else (0, 1))


def test_a_small_request_is_tokenised_between_the_slices_of_a_large_one(engine: Engine) -> None:
    slow = Slow(engine)
    threads = engine._pool._max_workers
    large = [engine.submit(f"query {n}", [f"text {i}" for i in range(600)]) for n in range(threads)]
    for _ in range(threads):
        assert slow.entered.acquire(timeout=30)
    small = engine.submit(QUERY, ["word " * 400])  # of one slice, but not tokenised at once
    for _ in range(2 * threads):
        slow.go.release()
    assert len(small.future.result(30).values) == 1
    assert not any(job.future.done() for job in large)
    for job in large:
        job.cancel()
    for _ in range(100):
        slow.go.release()


def test_an_urgent_request_goes_first(engine: Engine) -> None:
    gate = Gate(engine)
    engine.submit(QUERY, ["first"])
    gate.wait()
    done: list[str] = []
    patient = engine.submit(QUERY, ["patient"])
    wait_for(lambda: engine.stats().queued_rows == 1)
    engine._schedule._rate = lambda: 100.0
    urgent = engine.submit("other", ["urgent " * 300], Options(deadline=time.monotonic() + 10))
    wait_for(lambda: engine.stats().queued_rows == 2)
    for name, job in (("patient", patient), ("urgent", urgent)):
        job.future.add_done_callback(lambda _, name=name: done.append(name))
    gate.open()
    assert len(urgent.future.result(30).values) == 1
    assert len(patient.future.result(30).values) == 1
    assert done[0] == "urgent"
