"""A process that answers as many opsconsole servers: the far side of the console's benchmark.

Each path prefix ``/N`` is a server of its own with growing counters; the bodies are those of the
real service, built once a second so that this process takes little of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from typing import ClassVar


def bodies(number: int, second: float) -> tuple[bytes, bytes]:
    """Health and metrics of one server after ``second`` seconds."""
    n = int(200 * second * (1 + 0.3 * math.sin(number)) + 30 * math.sin(second / 5 + number))
    bounds = [0.001 * 1.7**i for i in range(22)]
    buckets: list[list[object]] = [[b, int(n * min(1.0, i / 18))] for i, b in enumerate(bounds)]
    health = {
        "status": "healthy", "reason": None, "name": f"s{number}", "version": "0.1.0",
        "pid": 1000 + number, "started_at": 1.0, "uptime_seconds": second,
        "model": {"name": "bge-reranker-v2-m3", "loaded": True, "backend": "pytorch",
                  "device": "cuda:0", "dtype": "bfloat16"},
        "controller": {"max_parallel": 4, "max_queue": 64, "active": 2, "waiting": n % 9},
    }  # fmt: skip
    metrics = {
        "total_requests": n, "successful_requests": n, "failed_requests": 0,
        "rejected_requests": 0, "pairs": 100 * n, "tokens": {"real": 7000 * n, "padded": 7100 * n},
        "latency": {"count": n, "sum_seconds": n * 0.02, "buckets": [*buckets, ["+Inf", n]]},
        "queue": {"active": 2, "waiting": n % 9, "max_parallel": 4, "max_queue": 64},
        "queue_time": {"count": n, "sum_seconds": 0.1}, "cache": {"hits": n // 3, "misses": n},
        "process": {"pid": 1, "start_time": 1.0, "resident_bytes": 4e8, "cpu_seconds": second},
    }  # fmt: skip
    return json.dumps(health).encode(), json.dumps(metrics).encode()


class Answer(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as little as a benchmark's far side needs."""

    cache: ClassVar[dict[tuple[int, int], tuple[bytes, bytes]]] = {}
    start = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, self.data = self.data.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].decode()
            _, number, route = path.split("/", 2)
            second = int(time.monotonic() - self.start)
            key = (int(number), second)
            if key not in self.cache:
                self.cache[key] = bodies(int(number), second + 1)
            body = self.cache[key][0 if route == "health" else 1]
            answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.write(answer + str(len(body)).encode() + b"\r\n\r\n" + body)


async def main(port: int, seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", port)
    async with server:
        await asyncio.sleep(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    asyncio.run(main(options.port, options.seconds))
