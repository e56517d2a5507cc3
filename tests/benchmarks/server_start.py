"""How long a server takes to answer its port, and to be healthy, with the embedded model.

    python -m tests.benchmarks.server_start [STARTS]

Goals: the port within 1 s of the start of the process, healthy within 6 s.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import statistics
import sys
import time

from tests.net import free_port
from tests.server.process import ServerProcess

STARTS = 5
NAMES = ("port answers", "healthy", "processor time", "stopped")


def ask(port: int) -> dict[str, str] | None:
    """The health of the server on that port; ``None`` when nothing answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\nHost: x\r\n\r\n")
            received = b""
            while piece := connection.recv(65536):
                received += piece
    except OSError:
        return None
    return json.loads(received.partition(b"\r\n\r\n")[2]) if received else None  # type: ignore[no-any-return]


def one_start() -> tuple[float, float, float, float]:
    """(first answer, healthy, processor time so far, from SIGTERM to gone) in seconds."""
    port = free_port()
    start = time.perf_counter()
    with ServerProcess({"PORT": str(port)}, wait=None) as server:
        answered = 0.0
        while (health := ask(port)) is None or health["status"] != "healthy":
            if health is not None and not answered:
                answered = time.perf_counter() - start
            if server.process.poll() is not None:
                raise SystemExit(server.log.read_text())
            time.sleep(0.005)
        healthy = time.perf_counter() - start
        server.port = port
        cpu = server.metrics()["process"]["cpu_seconds"]
        stop = time.perf_counter()
        server.stop()
        return answered or healthy, healthy, cpu, time.perf_counter() - stop


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else STARTS
    one_start()  # the disk's cache is warm from here on
    found = [one_start() for _ in range(count)]
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {load:.1f}, {count} starts"
    )
    for name, values in zip(NAMES, zip(*found, strict=True), strict=True):
        print(f"{name:15} median {statistics.median(values):.2f} s, worst {max(values):.2f} s")


if __name__ == "__main__":
    main()
