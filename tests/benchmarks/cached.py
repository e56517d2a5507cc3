"""Requests per second when every score is in the cache: what the service itself costs.

    python -m tests.benchmarks.cached             # about a minute
    python -m tests.benchmarks.cached --quick

One request of 100 documents, asked again and again of a server with ENABLE_PREDICTION_CACHE=true by
our client and, where Debian's wrk is installed, by that in turn. The server's processor time is
that of its process; the client has a core of its own where there are two.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.http_client import Job, Stream, drive, open_client, rerank
from tests.benchmarks.peers import (
    Child,
    common_options,
    in_turn,
    machine,
    made_model,
    processor_seconds,
    quantile,
    spread,
    texts,
)
from tests.server.process import ServerProcess

WRK = "/usr/bin/wrk"
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{path}", "rb")
wrk.body = file:read("*a")
file:close()
"""


class Measured:
    """One way to ask: its rates are returned, the processor's microseconds and waits kept."""

    def __init__(self, server: ServerProcess, ask: Callable[[], tuple[float, list[float]]]) -> None:
        self._server = server
        self._ask = ask
        self.microseconds: list[float] = []
        self.latencies: list[float] = []

    def __call__(self) -> float:
        """Requests a second of one round."""
        spent, count = processor_seconds(self._server.pid), served(self._server)
        rate, latencies = self._ask()
        spent = processor_seconds(self._server.pid) - spent
        self.microseconds.append(1e6 * spent / (served(self._server) - count))
        self.latencies += latencies
        return rate


def served(server: ServerProcess) -> int:
    return int(server.metrics()["total_requests"])


def with_client(
    client: Child, server: ServerProcess, request: bytes, clients: int, seconds: float
) -> tuple[float, list[float]]:
    job = Job(server.port, [Stream("cached", [request], clients)], seconds=seconds)
    seen = drive(client, job)["cached"]
    assert seen.failed == 0, "a request was not answered with 200"
    return seen.rate, seen.latencies


def with_wrk(
    script: Path, server: ServerProcess, clients: int, seconds: float
) -> tuple[float, list[float]]:
    argv = [WRK, "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    argv.append(f"{server.url}/v1/rerank")
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out, out
    found = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert found is not None, out
    return float(found[1]), []


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 1.0, 1
    _, documents = texts(documents=options.documents)
    (request,) = rerank(["what does the cache cost"], documents)
    print(machine())
    print(f"one request of {options.documents} documents, {len(request):,} bytes, all cached\n")
    with made_model() as folder, open_client() as client, tempfile.TemporaryDirectory() as made:
        body = Path(made) / "body.json"
        body.write_bytes(request.partition(b"\r\n\r\n")[2])
        script = Path(made) / "post.lua"
        script.write_text(SCRIPT.format(path=body))
        env = {"LOCAL_MODEL_PATH": str(folder), "ENABLE_PREDICTION_CACHE": "true"}
        with ServerProcess(env) as server:
            with_client(client, server, request, 1, 0.1)  # the first one computes
            asking = {
                f"our client, {count} connection{'s' * (count > 1)}": Measured(
                    server,
                    lambda count=count: with_client(
                        client, server, request, count, options.seconds
                    ),  # type: ignore[misc]
                )
                for count in (1, 4)
            }
            if shutil.which(WRK):
                asking["wrk, 4 connections"] = Measured(
                    server, lambda: with_wrk(script, server, 4, options.seconds)
                )
            else:
                print("no second opinion: apt-get install wrk")
            rates = in_turn(dict(asking), options.rounds)
            cache = server.metrics()["cache"]
    print(f"{'':<28}{'requests/s (range)':>28}{'µs of CPU':>11}{'p50 ms':>9}{'p99 ms':>9}")
    for name, values in rates.items():
        measured = asking[name]
        waits = "".join(
            f"{quantile(measured.latencies, share) * 1000:>9.2f}"
            if measured.latencies
            else f"{'—':>9}"
            for share in (0.5, 0.99)
        )
        cost = quantile(measured.microseconds, 0.5)
        print(f"{name:<28}{spread(values):>28}{cost:>11.0f}{waits}")
    print(f"\ncache: {cache}\nµs of CPU: of the server's process, for a request")
    return 0


if __name__ == "__main__":
    sys.exit(main())
