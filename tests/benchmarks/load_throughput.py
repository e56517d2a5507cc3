"""Requests per second of the load generator in a closed loop, beside wrk, ab, hey and httpx.

    python -m tests.benchmarks.load_throughput             # about two minutes
    python -m tests.benchmarks.load_throughput --quick

32 kept connections, POST of 4,096 bytes of JSON, nginx with one worker answers 600 bytes at once.
nginx has one core, the client another. Every count is compared with nginx's own.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import httpx

from opsconsole.host import describe
from opsconsole.load.messages import Setup
from opsconsole.load.plan import Phase
from tests.benchmarks.peers import common_options, in_turn, processor_seconds, quantile, spread
from tests.load.driving import Generator, body_work, check_sums, setup_for
from tests.load.farside import on_core
from tests.net import free_port
from tests.nginx import configure
from tests.server.process import until

CONNECTIONS = 32
BODY_BYTES = 4096
SERVER = """
keepalive_requests 1000000000;
location /status {{ stub_status; }}
location / {{ default_type application/json; return 200 '{answer}'; }}
"""
WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{path}", "rb")
wrk.body = file:read("*a")
file:close()
"""


class Nginx:
    """A real nginx on loopback, that answers every request at once; ended with the block."""

    host, unix = "127.0.0.1", ""

    def __init__(self, core: int | None = 0) -> None:
        self._core = core

    def __enter__(self) -> Nginx:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        assert program, "no nginx: apt-get install nginx-light"
        self._folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        answer = '{"results":"' + "x" * 586 + '"}'
        server = SERVER.format(answer=answer)
        path = configure(Path(self._folder.name), self.port, server)
        with on_core(self._core):
            self.process = subprocess.Popen([program, "-c", str(path)], stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}"
        until(self._answers, "nginx to answer", 10.0)
        return self

    def _answers(self) -> bool:
        try:
            return self.served() > 0
        except httpx.HTTPError:
            return False

    def served(self) -> int:
        """Requests so far, this one among them."""
        text = httpx.get(f"{self.url}/status", trust_env=False).text
        found = re.search(r"\n *\d+ +\d+ +(\d+)", text)
        assert found, text
        return int(found[1])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.wait(10)
        self._folder.cleanup()


class Contestant:
    """One client. A call is a round: requests a second; ``micros`` of processor time are kept."""

    def __init__(self, nginx: Nginx, ask: Callable[[], tuple[float, int | None, float]]) -> None:
        self._nginx = nginx
        self._ask = ask
        self.micros: list[float] = []

    def __call__(self) -> float:
        before = self._nginx.served()
        rate, count, spent = self._ask()
        served = self._nginx.served() - before - 1
        if count is not None:
            assert count == served, f"says {count:,} requests, nginx counted {served:,}"
        self.micros.append(1e6 * spent / served)
        return rate


def with_generator(setup: Setup, seconds: float, uvloop: bool) -> tuple[float, int, float]:
    """Rate, number of all requests and processor seconds of this project's generator."""
    phases = (
        Phase(name="warm-up", measured=False, duration=seconds / 4, concurrency=CONNECTIONS),
        Phase(name="measured", duration=seconds, concurrency=CONNECTIONS),
    )
    with Generator(setup, uvloop=uvloop, core=1) as generator:
        spent = processor_seconds(generator.pid)
        driven = generator.run(*phases)
        spent = processor_seconds(generator.pid) - spent
    check_sums(driven)
    assert not driven.all.errors, driven.all.errors
    assert not driven.client.failures, driven.client.failures
    measured = driven.parts[1]
    return measured.all.good / measured.seconds, driven.all.ended, spent


def with_program(argv: list[str], pattern: str) -> tuple[float, None, float]:
    """Rate and processor seconds of another program; ``pattern`` finds the rate in what it says."""
    import resource

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    with on_core(1):
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = re.search(pattern, done.stdout)
    assert found, done.stdout
    assert "Non-2xx" not in done.stdout, done.stdout
    return float(found[1]), None, spent() - before


async def ask_with_httpx(url: str, seconds: float) -> float:
    """Requests a second of httpx.AsyncClient as it comes, asked by 32 coroutines."""
    body, headers = b'{"fill":"' + b"x" * (BODY_BYTES - 11) + b'"}', {"content-type": "a/json"}
    done = 0
    async with httpx.AsyncClient(trust_env=False) as client:
        begin = time.monotonic()

        async def ask() -> None:
            nonlocal done
            while time.monotonic() - begin < seconds:
                response = await client.post(url, content=body, headers=headers)
                assert response.status_code == 200
                done += 1

        await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
        return done / (time.monotonic() - begin)


def contestants(nginx: Nginx, folder: Path, seconds: float) -> dict[str, Contestant]:
    """All that are installed."""
    body = folder / "body.json"
    body.write_text('{"fill":"' + "x" * (BODY_BYTES - 11) + '"}')
    script = folder / "post.lua"
    script.write_text(WRK.format(path=body))
    setup = setup_for(nginx, work=body_work(BODY_BYTES))
    url = f"{nginx.url}/asked"
    whole = max(1, round(seconds))
    programs = {
        "wrk": ([f"-t1 -c{CONNECTIONS} -d{whole}s -s", script, url], r"Requests/sec:\s+([\d.]+)"),
        "ab": (
            [f"-k -c {CONNECTIONS} -t {whole} -n 100000000 -T application/json -p", body, url],
            r"Requests per second:\s+([\d.]+)",
        ),
        "hey": (
            [f"-c {CONNECTIONS} -z {whole}s -m POST -T application/json -D", body, url],
            r"Requests/sec:\s+([\d.]+)",
        ),
    }
    found: dict[str, Contestant] = {}
    for name, ((options, *last), pattern) in programs.items():
        if shutil.which(name) is None:
            print(f"no {name}: apt-get install it to compare")
            continue
        argv = [name, *str(options).split(), *map(str, last)]
        found[name] = Contestant(nginx, lambda a=argv, p=pattern: with_program(a, p))  # type: ignore[misc]
    argv = [sys.executable, "-m", __spec__.name, "--httpx", url, "--seconds", str(seconds)]
    found["httpx.AsyncClient"] = Contestant(nginx, lambda: with_program(argv, r"([\d.]+)"))
    found["generator, uvloop"] = Contestant(nginx, lambda: with_generator(setup, seconds, True))
    found["generator, asyncio"] = Contestant(nginx, lambda: with_generator(setup, seconds, False))
    return found


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--httpx", metavar="URL", help="be that contestant")
    options = parser.parse_args()
    if options.httpx:
        print(asyncio.run(ask_with_httpx(options.httpx, options.seconds)))
        return 0
    if options.quick:
        options.seconds, options.rounds = 1.0, 1
    print(describe())
    print(f"closed loop, {CONNECTIONS} connections, POST of {BODY_BYTES:,} bytes to nginx\n")
    with Nginx() as nginx, tempfile.TemporaryDirectory() as folder:
        asking = contestants(nginx, Path(folder), options.seconds)
        rates = in_turn(dict(asking), options.rounds, warmups=0 if options.quick else 1)
    middle = {name: quantile(values, 0.5) for name, values in rates.items()}
    print(f"{'':<22}{'requests/s (range)':>34}{'µs of CPU':>11}{'× wrk':>8}{'× httpx':>9}")
    for name, values in sorted(rates.items(), key=lambda item: -middle[item[0]]):
        wrk = f"{middle[name] / middle['wrk']:.2f}" if "wrk" in middle else "—"
        print(
            f"{name:<22}{spread(values):>34}{quantile(asking[name].micros, 0.5):>11.1f}"
            f"{wrk:>8}{middle[name] / middle['httpx.AsyncClient']:>9.0f}"
        )
    print("\nµs of CPU: of the client, for a request, starting included but for the generator")
    print("to reach: uvloop ≥ 0.5 × wrk, asyncio ≥ 0.25 × wrk, ≥ 100 × httpx")
    return 0


if __name__ == "__main__":
    sys.exit(main())
