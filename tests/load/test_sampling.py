from __future__ import annotations

import asyncio
from time import monotonic

import httpx

from opsconsole.host import Gpu, Gpus
from opsconsole.host.gpu import GpuProcess
from opsconsole.load.records import ServerSample
from opsconsole.load.sampling import Sampler, busy_by_process
from opsconsole.profile import Server
from tests.server.process import PLAIN, ServerProcess


async def test_a_server_says_what_it_did_between_two_ticks() -> None:
    with ServerProcess({"ENABLE_PREDICTION_CACHE": "true"}) as server:
        sampler = Sampler([Server(name="own", url=server.url, kind="own", interval=0.05)])
        sampler.start()

        async def until(field: str) -> ServerSample:
            deadline = monotonic() + 20
            while monotonic() < deadline:
                sample = sampler.samples().get("own", ServerSample())
                if getattr(sample, field) is not None:
                    return sample
                await asyncio.sleep(0.02)
            raise AssertionError(f"{field} never came")

        try:
            assert (await until("waiting")).waiting == 0
            body = {"query": "q", "documents": [f"document {i}" for i in range(7)]}
            async with httpx.AsyncClient(base_url=server.url, **PLAIN) as client:
                assert (await client.post("/v1/rerank", json=body)).status_code == 200
                sample = await until("batch_pairs")
                # Seven pairs in one batch; and a bi-encoder's query, encoded beside them.
                assert sample.batch_pairs in (7, 8)
                assert sample.state == "up"
                assert (await client.post("/v1/rerank", json=body)).status_code == 200
                assert (await until("cache_hits")).cache_hits == 1
        finally:
            await sampler.stop()


def test_a_gpu_is_known_by_the_processes_that_compute_on_it() -> None:
    gpus = Gpus(
        devices=(
            Gpu(index=0, name="a", utilization=0.2, processes=(GpuProcess(1, None),)),
            Gpu(index=1, name="b", utilization=0.9,
                processes=(GpuProcess(1, None), GpuProcess(2, 5))),
            Gpu(index=2, name="c", processes=(GpuProcess(3, None),)),
        )
    )  # fmt: skip
    assert busy_by_process(gpus) == {1: 0.9, 2: 0.9}
    assert busy_by_process(Gpus(reason="no driver")) == {}
