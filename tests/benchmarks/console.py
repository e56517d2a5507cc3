"""The console over many servers: frames, its own processor time, and the time to first paint.

    python -m tests.benchmarks.console [--servers 100] [--seconds 15]

A frame needs the event loop: what is measured is the longest time for which nothing else could
run, while the console polls every server each second and redraws. First paint is taken in a pty,
from exec to the table's header on the wire.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from opsconsole.host import describe
from opsconsole.profile import Server, load_file
from opsconsole.tui.app import ConsoleApp
from tests.net import free_port


def profile_of(servers: int, port: int, folder: Path) -> Path:
    lines = ["name: many\ndefaults: {interval: 1s, timeout: 2s}\nservers:\n"]
    lines += [f"  - {{name: s{i}, url: 'http://127.0.0.1:{port}/{i}'}}\n" for i in range(servers)]
    path = folder / "many.yaml"
    path.write_text("".join(lines))
    return path


async def watch_many(path: Path, seconds: float) -> None:
    """Run the console headless on 160x45 and measure its loop."""
    app = ConsoleApp(load_file(path))
    me = psutil.Process()
    gaps: list[float] = []
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause(4)  # first polls, connections, caches
        cpu, start, polls = sum(me.cpu_times()[:2]), time.perf_counter(), app.model.version
        await asyncio.sleep(seconds)
        elapsed = time.perf_counter() - start
        used = (sum(me.cpu_times()[:2]) - cpu) / elapsed
        rate = (app.model.version - polls) / elapsed
        last = start = time.perf_counter()
        while last - start < seconds:
            await asyncio.sleep(0.002)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now
        up = app.model.fleet().up
    gaps.sort()
    p99 = gaps[int(0.99 * len(gaps))]
    print(f"servers up                 {up}")
    print(f"polls taken in             {rate:.0f} /s")
    print(f"processor                  {used:.0%} of a core")
    print(f"loop busy at a stretch     p99 {p99 * 1000:.1f} ms, longest {gaps[-1] * 1000:.1f} ms")
    print(f"frames/s at p99 / worst    {1 / p99:.0f} / {1 / gaps[-1]:.0f}")


async def poll_plainly(path: Path, seconds: float) -> float:
    """The peer: the same polls as a plain httpx loop without a screen; its share of a core."""
    profile, me = load_file(path), psutil.Process()

    async def one(server: Server) -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=2, trust_env=False) as client:
            while True:
                for route in ("/health", "/metrics"):
                    (await client.get(route)).json()
                await asyncio.sleep(server.interval)

    tasks = [asyncio.create_task(one(server)) for server in profile.servers]
    await asyncio.sleep(3)
    cpu, start = sum(me.cpu_times()[:2]), time.perf_counter()
    await asyncio.sleep(seconds)
    used = (sum(me.cpu_times()[:2]) - cpu) / (time.perf_counter() - start)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return used


HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("STATE")
Hello().run()
"""


def first_paint(argv: list[str], runs: int) -> list[float]:
    """Seconds from exec to the first word on the wire, in a pty of 80x24."""
    out = []
    for _ in range(runs):
        master, slave = pty.openpty()
        os.set_inheritable(slave, True)
        start = time.perf_counter()
        console = subprocess.Popen(
            [sys.executable, *argv],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
        )  # fmt: skip
        seen = b""
        while b"STATE" not in seen:
            if select.select([master], [], [], 10)[0]:
                seen += os.read(master, 65536)
        out.append(time.perf_counter() - start)
        console.terminate()
        while console.poll() is None:
            if select.select([master], [], [], 0.05)[0]:
                os.read(master, 65536)
        os.close(master)
        os.close(slave)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    print(describe())
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        alone = profile_of(1, free_port(), Path(folder))
        for name, argv in (
            ("first paint", ["-m", "opsconsole", "-p", str(alone)]),
            ("Textual's hello world", ["-c", HELLO]),
        ):
            paints = first_paint(argv, options.runs)
            print(f"{name:<26} median {statistics.median(paints):.2f} s, "
                  f"best {min(paints):.2f} s, worst {max(paints):.2f} s")  # fmt: skip
        path = profile_of(options.servers, port, Path(folder))
        argv = ["-m", "tests.benchmarks.many_servers", "--port", str(port),
                "--seconds", str(options.seconds + 60)]  # fmt: skip
        far = subprocess.Popen([sys.executable, *argv])
        try:
            plain = asyncio.run(poll_plainly(path, options.seconds))
            print(f"the same polls, httpx only {plain:.0%} of a core, no screen")
            asyncio.run(watch_many(path, options.seconds))
        finally:
            far.terminate()
            far.wait()


if __name__ == "__main__":
    main()
