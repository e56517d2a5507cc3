"""How long a key waits while the log view takes a flood of lines, and how fast a big log opens.

    python tests/benchmarks/log_view.py             # about 40 s
    python tests/benchmarks/log_view.py --seconds 10 --rate 200000 --no-file

Lines are fed into the real widget in a headless app from its event loop, as a follower would, while
a key is pressed every 50 ms. The time of a key is from handing it to the app until the frame with
its effect is painted. Twice: without a filter, and with a filter and a search in force. Then a log
of 1 GB is made and opened: its last 1,000 lines read and on the screen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from textual import events
from textual.app import App, ComposeResult

from opsconsole.logs import Filter, Follower, Pattern, tail
from opsconsole.tui.theme import DARK
from opsconsole.tui.widgets.log_view import LogView

KEYS = ("k", "j", "pageup", "f", "k", "right", "left", "z", "z", "G", "e", "E", "G")
BATCH_SECONDS = 0.05


class LogApp(App[None]):
    """A log view that fills the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    def compose(self) -> ComposeResult:
        yield LogView()

    def on_mount(self) -> None:
        self.query_one(LogView).focus()
        self.has_lines = asyncio.Event()

    def on_state_changed(self, message: LogView.StateChanged) -> None:
        if message.state.held:
            self.has_lines.set()


def make_lines(count: int) -> list[bytes]:
    """Plain and JSON lines, some errors, some hostile."""
    noise = random.Random(5)
    lines = []
    for number in range(count):
        kind = noise.random()
        if kind < 0.3:
            record = {"time": 1763728800.0 + number, "level": "info", "message": "rerank",
                      "request_id": f"{number:08x}", "pairs": 100, "seconds": 0.0153}  # fmt: skip
            lines.append(json.dumps(record).encode())
        elif kind < 0.31:
            lines.append(b"2026-11-21 12:00:00 ERROR inference failed: CUDA out of memory")
        elif kind < 0.311:
            lines.append(b"\x1b]52;c;ZXZpbA==\x07" + b"\x1b[31m" * 1000 + b"x" * 20_000)
        else:
            lines.append(
                b"2026-11-21 12:00:00,123 INFO uvicorn.access: POST /rerank 200 %d" % number
            )
    return lines


async def flood(rate: int, seconds: float, filtered: bool) -> tuple[list[float], float, str]:
    """Milliseconds of each key, lines a second taken, and the view's state at the end."""
    app = LogApp()
    lines = make_lines(50_000)
    waits: list[float] = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        view = app.query_one(LogView)
        if filtered:
            view.filter = Filter(exclude=(Pattern("health"),), level="info")
            view.search(Pattern("rer[a]nk.*7"))
        fed, begin = 0, time.perf_counter()

        async def feed() -> None:
            nonlocal fed
            while (now := time.perf_counter() - begin) < seconds:
                due = int(now * rate) - fed
                while due > 0:
                    at = fed % len(lines)
                    batch = lines[at : at + min(due, 10_000)]
                    view.feed(f"reranker-{fed // len(lines) % 3}", batch)
                    fed += len(batch)
                    due -= len(batch)
                await asyncio.sleep(BATCH_SECONDS)

        async def press() -> None:
            number = 0
            while time.perf_counter() - begin < seconds:
                key = KEYS[number % len(KEYS)]
                number += 1
                painted = asyncio.Event()
                start = time.perf_counter()
                app.post_message(events.Key(key, key if len(key) == 1 else None))
                # the key is handled by the app, then the focused widget, then a refresh paints
                app.call_later(view.call_later, view.call_after_refresh, painted.set)
                await asyncio.wait_for(painted.wait(), 20)
                spent = time.perf_counter() - start
                waits.append(spent * 1000)
                await asyncio.sleep(max(0.0, 0.05 - spent))

        await asyncio.gather(feed(), press())
        return waits, fed / (time.perf_counter() - begin), view.state.describe()


def make_big_log(path: Path, size: int) -> None:
    block = b"\n".join(make_lines(20_000)) + b"\n"
    with path.open("wb") as stream:
        while stream.tell() < size:
            stream.write(block)


async def open_big_log(path: Path) -> tuple[float, float]:
    """Seconds until the last 1,000 lines are read, and until they are painted."""
    app = LogApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        view = app.query_one(LogView)
        begin = time.perf_counter()
        with Follower(path, backlog=1000) as follower:
            lines: list[bytes] = []
            while found := follower.read():
                lines += found
            read = time.perf_counter() - begin
        view.feed("big", lines)
        await app.has_lines.wait()
        painted = asyncio.Event()
        view.call_after_refresh(painted.set)
        await painted.wait()
        return read, time.perf_counter() - begin


def quantile(values: Sequence[float], share: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rate", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--no-file", action="store_true", help="leave out the 1 GB log")
    chosen = options.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, 120x40\n"
    )
    print(f"{'':<26}{'lines/s':>9}{'keys':>6}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}")
    for filtered in (False, True):
        waits, rate, state = asyncio.run(flood(chosen.rate, chosen.seconds, filtered))
        name = "filter, level and search" if filtered else "all lines"
        print(
            f"{name:<26}{rate:>9,.0f}{len(waits):>6}{quantile(waits, 0.5):>8.1f}"
            f"{quantile(waits, 0.99):>8.1f}{max(waits):>8.1f}   {state}"
        )
    if not chosen.no_file:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "big.log"
            make_big_log(path, 1 << 30)
            begin = time.perf_counter()
            tail(path, 1000)
            spent = time.perf_counter() - begin
            read, painted = asyncio.run(open_big_log(path))
            print(
                f"\n1 GiB log: last 1,000 lines by tail() {spent * 1000:.1f} ms, by a follower "
                f"{read * 1000:.1f} ms, on the screen after {painted * 1000:.1f} ms"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
