"""What fails fails alone, and the device thread goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from opsconsole.engine import Engine, EngineSettings, load
from opsconsole.engine.architecture import read_architecture
from opsconsole.engine.backends.base import DeviceMemory
from opsconsole.engine.device_thread import DeviceThread
from opsconsole.engine.failures import DeviceOutOfMemory
from opsconsole.errors import OpsError
from tests.engine.conftest import DOCUMENTS, QUERIES
from tests.engine.gate import Gate, wait_for

QUERY = QUERIES[0]


@pytest.fixture
def engine(bert: Path) -> Iterator[Engine]:
    """An engine of the test's own, which fills batches across requests."""
    settings = EngineSettings(dtype="float32", local_path=str(bert), batch_size=64, warmup=False)
    with load(settings) as engine:
        engine._schedule._limits = engine._schedule._limits._replace(fill=2048, padding=2048)
        yield engine


def break_on(engine: Engine, broken: Callable[[Any], BaseException | None]) -> list[int]:
    """Let batches raise what ``broken`` says of their rows; returns the sizes of all batches."""
    backend: Any = engine._backend
    forward, sizes = backend.launch, []

    def launch(rows: Any) -> Any:
        sizes.append(len(rows))
        error = broken(rows)
        if error is not None:
            raise error
        return forward(rows)

    backend.launch = launch
    return sizes


def holds_up(engine: Engine) -> Gate:
    """A batch that is under way while others queue up behind it."""
    gate = Gate(engine)
    engine.submit(QUERY, ["first"])
    gate.wait()
    return gate


def has(token: int) -> Callable[[Any], bool]:
    return lambda rows: any(token in row.ids for row in rows)


def token_of(engine: Engine, word: str) -> int:
    ids = engine._tokenizer.singles([word])[0].ids
    assert len(ids) == 3
    return ids[1]


def test_an_error_fails_one_request_only(engine: Engine) -> None:
    gate = Gate(engine)
    good = engine.score  # what a request gets after the failing ones
    backend: Any = engine._backend
    forward, broken = backend.launch, [True]

    def launch(rows: Any) -> Any:
        if broken[0]:
            raise RuntimeError("device\x1b[31m lost")
        return forward(rows)

    backend.launch = launch
    gate.open()
    for count in (1, 2):
        with pytest.raises(OpsError, match="the model failed: RuntimeError: device") as caught:
            good(QUERY, DOCUMENTS)
        assert isinstance(caught.value.__cause__, RuntimeError)
        stats = engine.stats()
        assert (stats.failures, stats.consecutive_failures) == (count, count)
        assert stats.last_error == "engine: the model failed: RuntimeError: device lost"
    broken[0] = False
    assert len(good(QUERY, DOCUMENTS).values) == len(DOCUMENTS)
    stats = engine.stats()
    assert (stats.failures, stats.consecutive_failures) == (2, 0)
    assert stats.last_error is not None


def test_out_of_memory_halves_the_batch(bert: Path) -> None:
    with load(EngineSettings(dtype="float32", local_path=str(bert), batch_size=8)) as engine:
        expected = engine.score(QUERY, DOCUMENTS[:8]).values
        backend: Any = engine._backend
        forward = backend.launch

        def launch(rows: Any) -> Any:
            if len(rows) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return forward(rows)

        backend.launch = launch
        assert engine.score(QUERY, DOCUMENTS[:8]).values == pytest.approx(expected, abs=1e-6)
        assert engine.stats().out_of_memory > 0
        assert engine.stats().failures == 0

        def never(rows: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        backend.launch = never
        with pytest.raises(OpsError, match="out of memory"):
            engine.score(QUERY, ["one"])
        backend.launch = forward
        assert engine.score(QUERY, DOCUMENTS[:8]).values == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "error", [MemoryError(), SystemExit(1), KeyboardInterrupt(), RuntimeError("no luck")]
)
def test_the_device_thread_survives_anything(error: BaseException, engine: Engine) -> None:
    faults = [error] * 3
    break_on(engine, lambda rows: faults.pop() if faults else None)
    failures = 0
    while faults:
        with pytest.raises(OpsError, match=r"the model failed|does not fit"):
            engine.score(QUERY, ["one"])
        failures += 1
    assert engine.stats().consecutive_failures == failures
    assert len(engine.score(QUERY, ["one"]).values) == 1


@pytest.mark.parametrize("late", [False, True])
def test_an_error_hits_only_the_request_it_belongs_to(late: bool, engine: Engine) -> None:
    rain = has(token_of(engine, "rain"))
    expected = engine.score(QUERY, ["sun", "wind"]).values
    gate = holds_up(engine)

    def broken(rows: Any) -> BaseException | None:
        return RuntimeError("no rain") if rain(rows) else None

    backend: Any = engine._backend
    forward, sizes = backend.launch, []

    def launch(rows: Any) -> Any:
        sizes.append(len(rows))
        error = broken(rows)
        if error is not None and not late:
            raise error
        outputs = forward(rows)

        def wait() -> Any:
            if error is not None:
                raise error
            return outputs()

        return wait

    backend.launch = launch
    good = [engine.submit(QUERY, [text]) for text in ("sun", "wind")]
    bad = engine.submit(QUERY, ["rain", "snow"])
    wait_for(lambda: engine.stats().queued_rows == 4)
    gate.open()
    assert [job.future.result(30).values[0] for job in good] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(OpsError, match="no rain"):
        bad.future.result(30)
    assert max(sizes) == 4  # they were in one batch at first
    stats = engine.stats()
    assert (stats.failures, stats.out_of_memory) == (1, 0)


def test_a_shared_input_survives_the_failure_of_one_that_wants_it(engine: Engine) -> None:
    rain = has(token_of(engine, "rain"))
    gate = holds_up(engine)
    break_on(engine, lambda rows: RuntimeError("no rain") if rain(rows) else None)
    bad = engine.submit(QUERY, ["rain", "sun"])
    wait_for(lambda: engine.stats().queued_rows == 2)
    good = engine.submit(QUERY, ["sun"])
    wait_for(lambda: engine.stats().shared_pairs == 1)
    gate.open()
    assert len(good.future.result(30).values) == 1
    with pytest.raises(OpsError, match="no rain"):
        bad.future.result(30)


def test_only_the_pair_that_cannot_fit_fails(engine: Engine) -> None:
    gate = holds_up(engine)
    sizes = break_on(
        engine,
        lambda rows: (
            torch.OutOfMemoryError("CUDA out of memory.")
            if max(len(row.ids) for row in rows) > 200 or len(rows) > 3
            else None
        ),
    )
    good = engine.submit("weather", [f"rain {number}" for number in range(9)])
    bad = engine.submit("weather", ["sun", "wind", "word " * 300, "snow"])
    wait_for(lambda: engine.stats().queued_rows == 13)
    gate.open()
    assert len(good.future.result(30).values) == 9
    with pytest.raises(DeviceOutOfMemory, match="document 2 of 304 tokens alone does not fit"):
        bad.future.result(30)
    assert max(sizes) > 3
    stats = engine.stats()
    assert stats.failures == 1
    assert stats.out_of_memory > 2


def test_a_backend_that_loses_outputs(engine: Engine) -> None:
    backend: Any = engine._backend
    forward = backend.launch
    backend.launch = lambda rows: lambda: []
    with pytest.raises(OpsError, match="0 outputs of 2 inputs"):
        engine.score(QUERY, ["a", "b"])
    backend.launch = forward
    assert len(engine.score(QUERY, ["a", "b"]).values) == 2


def test_a_tokenizer_that_panics_fails_the_request_only(engine: Engine) -> None:
    class Panic(BaseException):
        """As pyo3 raises it."""

    encode = engine._tokenizer._encode

    def panic(texts: Any, options: Any) -> Any:
        if "panic" in texts:
            raise Panic("index out of bounds")
        return encode(texts, options)

    engine._tokenizer._encode = panic  # type: ignore[method-assign]
    with pytest.raises(OpsError, match="Panic: index out of bounds"):
        engine.score(QUERY, ["panic"])
    assert len(engine.score(QUERY, ["a"]).values) == 1


class Ahead:
    """A backend that says it works beside the thread, and notes what it is asked."""

    unpadded = False
    asynchronous = True

    def __init__(self, backend: Any) -> None:
        self.events: list[tuple[str, int]] = []
        self._backend = backend
        self._count = 0

    def launch(self, rows: Any) -> Any:
        number = self._count
        self._count += 1
        self.events.append(("launched", number))
        outputs = self._backend.launch(rows)

        def wait() -> Any:
            self.events.append(("awaited", number))
            return outputs()

        return wait

    def memory(self) -> DeviceMemory:
        return DeviceMemory(1, 2, 3)


def test_an_asynchronous_backend_gets_the_next_batch_before_the_last_is_awaited(
    bert: Path, bert_engine: Engine
) -> None:
    settings = EngineSettings(dtype="float32", local_path=str(bert), batch_size=7)
    backend: Any = Ahead(bert_engine._backend)
    architecture, tokenizer = read_architecture(bert), bert_engine._tokenizer
    with Engine(
        settings, bert_engine.info, architecture, tokenizer, backend, DeviceThread()
    ) as engine:
        engine._schedule._limits = engine._schedule._limits._replace(tokens=1 << 20, padding=1000)
        gate = holds_up(engine)
        job = engine.submit(QUERY, DOCUMENTS)
        wait_for(lambda: engine.stats().queued_rows == len(DOCUMENTS))
        gate.open()
        values = job.future.result(30).values
        assert engine.stats().device_memory == (1, 2, 3)
    assert values == pytest.approx(bert_engine.score(QUERY, DOCUMENTS).values, abs=1e-6)
    order = ["launched", "launched", "awaited", "launched", "awaited", "launched"]
    assert [event for event, _ in backend.events[:6]] == order
    numbers = [number for event, number in backend.events if event == "awaited"]
    assert numbers == list(range(len(numbers)))
