"""What the console's drawing does to a load test, and a load test to the console's drawing.

    python -m tests.benchmarks.load_drawing             # about two minutes
    python -m tests.benchmarks.load_drawing --quick

The real console in a pty of 160x45, its screen Load drawn ten times a second, beside the same run
without a screen: open loop at 1,000/s against a server that answers after 5 ms. Then the heaviest
run, a closed loop at full speed, with the view drawn as often as it can be up to 25 times a second.
No process is bound to a core: they share what there is, as they do for an operator.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil

from opsconsole.host import describe
from opsconsole.load import LoadRun, Plan, Run, plan_for
from opsconsole.profile import Profile, Server
from tests.benchmarks.load_throughput import BODY_BYTES, CONNECTIONS, Nginx
from tests.benchmarks.peers import common_options, quantile, spread
from tests.load.farside import Far

SIZE = (160, 45)
DELAY, RATE = 0.005, 1000.0
FRAMES, MOST_FRAMES = 10.0, 25.0
DEADLINE = 120.0
SETTLED = 2.0
"""Seconds after which the console has drawn itself, polled, and imported what it needs."""


def plan_of(kind: str, seconds: float) -> Plan:
    """The plan of a round: ``rate``, or ``full`` speed."""
    work: dict[str, Any] = {
        "dialect": "http", "method": "POST", "path": "/x", "body": "x" * BODY_BYTES,
        "duration": seconds, "warmup": 1.0, "thresholds": ["p99 < 50ms"],
    }  # fmt: skip
    if kind == "rate":
        return plan_for("rate", rate=RATE, **work)
    return plan_for("throughput", concurrency=CONNECTIONS, **work)


def measured(run: Run) -> dict[str, float]:
    """What is compared, in milliseconds."""
    whole = run.measured()
    assert whole is not None
    totals = whole.all()
    p50, p99 = totals.response.percentiles((50, 99))
    late = whole.client.late.percentile(99)
    return {
        "p50": 1000 * (p50 or 0),
        "p99": 1000 * (p99 or 0),
        "late p99": 1000 * (late or 0),
        "a second": totals.good / whole.seconds,
        "failed": totals.ended - totals.good,
    }


# --- In the process that is measured --------------------------------------------------------------


async def plainly(plan: Plan, profile: Profile) -> dict[str, float]:
    """The run without a screen."""
    load_run = LoadRun(plan, profile)
    async with aclosing(load_run.ticks()) as ticks:
        async for _ in ticks:
            pass
    return measured(load_run.run)


def drawn(plan: Plan, profile: Profile, frames: float) -> dict[str, float]:
    """The run on the screen Load, its view drawn ``frames`` times a second."""
    from rich.console import RenderableType
    from textual.screen import Screen

    import opsconsole.tui.app as app_module
    from opsconsole.tui.app import ConsoleApp
    from opsconsole.tui.screens.load import LoadScreen

    class Watched(ConsoleApp):
        """Counts what is drawn, and how long its loop is busy at a stretch."""

        CSS_PATH = Path(app_module.__file__).with_name("app.tcss")

        def __init__(self) -> None:
            super().__init__(profile)
            self.moments: list[float] = []
            self.gaps: list[float] = []
            self.found: dict[str, float] = {}

        def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
            if renderable is not None:
                self.moments.append(time.monotonic())
            super()._display(screen, renderable)

        def on_mount(self) -> None:  # beside the console's own, which Textual calls too
            self.run_worker(self._measure(), exit_on_error=True)

        async def _measure(self) -> None:
            await asyncio.sleep(SETTLED)
            desk = self.load_desk
            self.switch_mode("load")
            await asyncio.sleep(SETTLED)
            desk.start(plan, profile)
            session = desk.session
            assert session is not None
            while session.state == "starting":  # noqa: ASYNC110 - it says so to screens alone
                await asyncio.sleep(1 / frames)
            watching = asyncio.create_task(self._watch_loop())
            begin, me = time.monotonic(), psutil.Process()
            spent = sum(me.cpu_times()[:2])
            while session.state == "running":
                await asyncio.sleep(1 / frames)
                screen = self.screen
                assert isinstance(screen, LoadScreen)
                screen.run_view.show(session)
            end = time.monotonic()
            spent = sum(me.cpu_times()[:2]) - spent
            watching.cancel()
            while desk.busy:  # noqa: ASYNC110
                await asyncio.sleep(1 / frames)
            self.found = measured(session.run) | self._figures(begin, end, spent)
            self.exit()

        async def _watch_loop(self) -> None:
            last = time.monotonic()
            while True:
                await asyncio.sleep(0.002)
                now = time.monotonic()
                self.gaps.append(now - last)
                last = now

        def _figures(self, begin: float, end: float, spent: float) -> dict[str, float]:
            seconds = Counter(int(at - begin) for at in self.moments if begin <= at < end)
            whole = [seconds[i] for i in range(int(end - begin))]
            return {
                "frames/s": sum(whole) / max(1, len(whole)),
                "frames in the worst second": min(whole, default=0),
                "loop busy p99, ms": 1000 * quantile(self.gaps, 0.99),
                "loop busy at most, ms": 1000 * max(self.gaps),
                "console's core, %": 100 * spent / (end - begin),
            }

    app = Watched()
    app.run()
    assert app.found, app.crash or "the console ended early"
    return app.found


def inner(given: dict[str, Any]) -> None:
    """The process that is measured: one round."""
    plan = plan_of(given["kind"], given["seconds"])
    profile = Profile(
        name="bench", servers=(Server(name="far", url=given["url"], kind="http", health="/"),)
    )
    if given["frames"]:
        found = drawn(plan, profile, given["frames"])
    else:
        found = asyncio.run(plainly(plan, profile))
    Path(given["out"]).write_text(json.dumps(found))


# --- In the process that measures -----------------------------------------------------------------


def round_of(kind: str, port: int, seconds: float, frames: float, folder: Path) -> dict[str, float]:
    """One round in a process of its own, in a pty where it draws."""
    out = folder / "found.json"
    out.unlink(missing_ok=True)
    given = {"kind": kind, "url": f"http://127.0.0.1:{port}", "seconds": seconds,
             "frames": frames, "out": str(out)}  # fmt: skip
    argv = [sys.executable, "-m", "tests.benchmarks.load_drawing", "--inner", json.dumps(given)]
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8",
           "XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}  # fmt: skip
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    shown = bytearray()

    def drain() -> None:
        with contextlib.suppress(OSError):
            while data := os.read(master, 1 << 16):
                shown[:] = (shown + data)[-20_000:]

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    process = subprocess.Popen(
        argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=env
    )
    os.close(slave)
    try:
        process.wait(seconds + DEADLINE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join(5)
        os.close(master)
    if not out.exists():
        raise RuntimeError(f"ended with {process.returncode}: {shown.decode(errors='replace')}")
    found: dict[str, float] = json.loads(out.read_text())
    return found


def table(rounds: list[dict[str, float]]) -> None:
    for name in rounds[0]:
        print(f"  {name:<28}{spread([one[name] for one in rounds])}")


def main() -> int:
    parser = common_options(__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--inner", help="used by itself")
    options = parser.parse_args()
    if options.inner:
        inner(json.loads(options.inner))
        return 0
    if options.quick:
        options.seconds, options.rounds = 4.0, 1
    print(f"{describe()}, load {os.getloadavg()[0]:.1f}\nmedian (range) of {options.rounds} rounds")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Far("exact", delay=DELAY) as far:
            plain, seen = [], []
            for number in range(options.rounds):
                for frames in (0.0, FRAMES) if number % 2 else (FRAMES, 0.0):
                    found = round_of("rate", far.port, options.seconds, frames, folder)
                    (seen if frames else plain).append(found)
        print(f"\n{RATE:,.0f}/s against a server of {1000 * DELAY:g} ms, without a screen")
        table(plain)
        print(f"the same with the screen Load drawn {FRAMES:g} times a second")
        table(seen)
        both = [quantile([one["p99"] for one in part], 0.5) for part in (plain, seen)]
        print(f"  p99 with the screen minus p99 without: {both[1] - both[0]:+.3f} ms")
        with Nginx(core=None) as nginx:
            heavy = [
                round_of("full", nginx.port, options.seconds, MOST_FRAMES, folder)
                for _ in range(max(1, options.rounds // 2))
            ]
        print(
            f"\nclosed loop of {CONNECTIONS} clients at full speed, drawn up to {MOST_FRAMES:g}/s"
        )
        table(heavy)
    print("\nto reach: p99 within 0.5 ms; more than 15 frames/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
