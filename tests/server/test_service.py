"""What becomes of a request whose engine fails, is late or hangs, in ways that no CPU can show."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from opsconsole.engine import Engine
from opsconsole.engine.failures import DeadlineMissed, DeviceOutOfMemory, InputTooLong
from opsconsole.engine.job import Job
from opsconsole.engine.records import EngineStats, ModelInfo, Options, Scores, Tuning
from opsconsole.errors import OpsError
from opsconsole.server.errors import RequestError
from opsconsole.server.exchange import Exchange
from opsconsole.server.logs import JsonLog
from opsconsole.server.service import Service
from opsconsole.server.settings import ServerSettings
from opsconsole.server.wire import RankRequest

INFO = ModelInfo(
    name="m", path="/m", revision="sha256:0", family="cross-encoder", architecture="X",
    backend="pytorch", device="cuda:0", dtype="bfloat16", max_length=512, parameters=1,
    tuning=Tuning(2048, 256, 16, 0, tokens_per_second=1000.0),
)  # fmt: skip


class Device:
    """An engine that does with each job what it is told."""

    info = INFO

    def __init__(self, act: Callable[[Job], object]) -> None:
        self._act = act
        self.jobs: list[Job] = []

    def submit(self, query: str, documents: Sequence[str], options: Options) -> Job:
        job = Job(query, documents, options)
        self.jobs.append(job)
        self._act(job)
        return job

    def estimate_tokens(self, query: str, documents: Sequence[str], options: Options) -> int:
        return 10 * len(documents)

    def stats(self) -> EngineStats:
        return EngineStats()


class Bench:
    """A service around such an engine."""

    def __init__(self, act: Callable[[Job], object], folder: Path, **settings: Any) -> None:
        self.log = folder / "log"
        fd = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.service = Service(ServerSettings(**settings), JsonLog(fd))
        self.device = Device(act)
        self.service.ready(cast(Engine, self.device))

    async def rank(self, documents: int = 5, timeout: float = 60.0) -> Any:
        options = Options(deadline=time.monotonic() + timeout)
        request = RankRequest("q", ["d"] * documents, None, options)
        return await self.service.rank(request, Exchange("an-id"))

    async def refused(self, documents: int = 5, timeout: float = 60.0) -> RequestError:
        with pytest.raises(RequestError) as refused:
            await self.rank(documents, timeout)
        admission = self.service.admission
        assert (admission.active, admission.waiting, admission.tokens) == (0, 0, 0)
        assert all(job.future.done() for job in self.device.jobs)
        return refused.value


def ignore(job: Job) -> None:
    """What a device does that hangs."""


@pytest.mark.parametrize(
    ("error", "status", "type", "field"),
    [
        (InputTooLong(3, 600, 512), 422, "input_too_long", "documents[3]"),
        (InputTooLong(None, 600, 512), 422, "input_too_long", "query"),
        (DeviceOutOfMemory(3, 500), 503, "out_of_memory", "documents[3]"),
        (DeviceOutOfMemory(None, 500), 503, "out_of_memory", "query"),
        (DeadlineMissed(), 504, "deadline_exceeded", None),
        (OpsError("the model failed", where="engine"), 500, "engine_error", None),
        (RuntimeError("secret"), 500, "engine_error", None),
    ],
)
async def test_each_failure_has_its_answer(
    error: Exception, status: int, type: str, field: str | None, tmp_path: Path
) -> None:
    bench = Bench(lambda job: job.fail(error), tmp_path)
    refused = await bench.refused()
    assert (refused.status, refused.type, refused.field) == (status, type, field)
    assert "secret" not in refused.message
    logged = bench.log.read_text()
    assert ("an-id" in logged) == (type in ("engine_error", "out_of_memory"))
    assert ("secret" in logged and "Traceback" in logged) == isinstance(error, RuntimeError)


async def test_a_device_that_hangs_does_not_hold_a_request_beyond_its_deadline(
    tmp_path: Path,
) -> None:
    bench = Bench(ignore, tmp_path)
    refused = await bench.refused(documents=1, timeout=0.1)
    assert (refused.status, refused.type) == (504, "deadline_exceeded")
    assert bench.device.jobs[0].future.cancelled()


async def test_a_client_that_leaves_takes_its_job_along(tmp_path: Path) -> None:
    bench = Bench(ignore, tmp_path)
    task = asyncio.create_task(bench.rank())
    await asyncio.sleep(0)
    assert bench.service.admission.active == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.device.jobs[0].future.cancelled()
    assert bench.service.admission.active == 0


async def test_an_engine_that_is_closed_means_draining(tmp_path: Path) -> None:
    bench = Bench(lambda job: job.cancel(), tmp_path)
    refused = await bench.refused()
    assert (refused.type, refused.retry_after) == ("draining", 2)


async def test_an_estimate_alone_does_not_refuse_what_has_the_device_for_itself(
    tmp_path: Path,
) -> None:
    """Else a first guess that is too high would never meet the request that mends it."""
    bench = Bench(ignore, tmp_path, max_parallel=1)
    taken = await bench.refused(documents=30, timeout=0.1)  # 300 tokens at 1000 a second
    assert taken.type == "deadline_exceeded"
    assert len(bench.device.jobs) == 1


async def test_a_deadline_that_cannot_be_met_is_refused_before_the_engine_sees_it(
    tmp_path: Path,
) -> None:
    bench = Bench(ignore, tmp_path, max_parallel=1)
    alone = await bench.refused(documents=900, timeout=2.0)  # 9000 tokens at 1000 a second
    assert (alone.type, alone.retry_after) == ("deadline_unmeetable", None)
    assert bench.device.jobs == []
    ahead = asyncio.create_task(bench.rank(documents=1000))  # 10 s
    await asyncio.sleep(0)
    with pytest.raises(RequestError) as behind:
        await bench.rank(documents=1, timeout=5.0)
    assert behind.value.type == "deadline_unmeetable"
    assert behind.value.retry_after == 10
    assert "10000 tokens ahead and 10 of its own" in behind.value.message
    waits = asyncio.create_task(bench.rank(documents=1, timeout=60.0))
    await asyncio.sleep(0)
    assert bench.service.admission.waiting == 1
    for task in (waits, ahead):
        task.cancel()
    await asyncio.gather(waits, ahead, return_exceptions=True)


async def test_retry_after_is_the_time_in_which_the_work_ahead_is_done(tmp_path: Path) -> None:
    bench = Bench(ignore, tmp_path, max_parallel=1, max_queue=0, max_queue_tokens=5000)
    ahead = asyncio.create_task(bench.rank(documents=420))  # 4200 tokens
    await asyncio.sleep(0)
    with pytest.raises(RequestError) as full:
        bench.service.check_open()
    assert (full.value.type, full.value.retry_after) == ("queue_full", 5)
    with pytest.raises(RequestError) as over:
        await bench.rank(documents=100)
    assert (over.value.type, over.value.retry_after) == ("overloaded", 5)
    ahead.cancel()
    await asyncio.gather(ahead, return_exceptions=True)


async def test_what_costs_several_rankings_adds_up(tmp_path: Path) -> None:
    scores = Scores([0.5], tokens=7, queue_seconds=0.1, tokenize_seconds=0.2, inference_seconds=0.3)
    bench = Bench(lambda job: job.succeed(scores), tmp_path)
    exchange = Exchange("an-id")
    for _ in range(2):
        await bench.service.rank(RankRequest("query", ["text"]), exchange)
    assert (exchange.documents, exchange.characters, exchange.tokens) == (2, 18, 14)
    headers = dict(exchange.timings(bench.service.compute_type))
    assert headers[b"x-queue-time"] == b"200"
    assert headers[b"x-tokenization-time"] == b"400"
    assert headers[b"x-inference-time"] == b"600"
    assert headers[b"x-compute-tokens"] == b"14"
    assert headers[b"x-compute-type"] == b"gpu"
