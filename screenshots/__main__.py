"""Makes every picture in this folder again: ``python -m screenshots`` in a checkout.

The fleet picture replays the recording of the tests with the clocks stopped; all others show real
daemons with the embedded model under a little real load, started and stopped here.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from textual.pilot import Pilot

from opsconsole.daemon import start, stop
from opsconsole.load import plan_for
from opsconsole.profile import Profile, load_file
from opsconsole.tui.app import ConsoleApp
from tests.tui.conftest import NOON, still_clock
from tests.tui.fleet import fleet, recording, replay
from tests.tui.render import screen_text, wait_for

HERE = Path(__file__).parent
SIZE = (118, 30)
PROFILE = """\
name: reranker
title: Three rerankers on one machine
environment: staging
defaults: {{interval: 500ms, service_level: {{p95: 500ms, success_rate: 99%}}}}
servers:
  - {{name: reranker-1, url: 'http://127.0.0.1:{0}', daemon: {{}}}}
  - {{name: reranker-2, url: 'http://127.0.0.1:{1}', daemon: {{}}}}
  - {{name: reranker-3, url: 'http://127.0.0.1:{2}', daemon: {{}}}}
loads:
  - {{name: smoke, mode: load, requests: 300, concurrency: 10}}
  - {{name: steady, mode: rate, rate: 20/s, arrivals: poisson, duration: 1m}}
  - {{name: limit, mode: search, rate: 8/s, duration: 10s}}
"""
Steps = Callable[[Pilot[Any]], Awaitable[None]]


async def shoot(name: str, app: ConsoleApp, steps: Steps, size: tuple[int, int] = SIZE) -> None:
    """Run ``app`` through ``steps`` and keep what it shows."""
    async with app.run_test(size=size) as pilot:
        await steps(pilot)
        await pilot.pause()
        svg = app.export_screenshot(title="opsconsole")
    # Textual numbers the classes of each picture anew: without that a remake changes every line.
    svg = re.sub(r"terminal-\d+", f"terminal-{name}", svg)
    (HERE / f"{name}.svg").write_text(svg)
    print(f"{name}.svg")


def shows(pilot: Pilot[Any], *words: str) -> Callable[[], bool]:
    return lambda: all(word in screen_text(pilot.app) for word in words)


async def recorded() -> None:
    """The fleet with one sick server, in each theme and in ASCII."""

    async def sick(pilot: Pilot[Any]) -> None:
        await wait_for(pilot, shows(pilot, "3/5 up"))
        await pilot.press("j", "j")
        await wait_for(pilot, shows(pilot, "3 forwards in a row failed"))

    for name, theme, more in (
        ("fleet-dark", "opsconsole-dark", {}),
        ("fleet-light", "opsconsole-light", {}),
        ("fleet-color-blind", "opsconsole-color-blind", {}),
        ("fleet-ascii", "opsconsole-dark", {"ascii": True}),
    ):
        source = replay(recording(60, NOON - 59))
        app = ConsoleApp(fleet("production"), source=source, **more)  # type: ignore[arg-type]
        app.theme = theme
        await shoot(name, app, sick, (80, 24) if more else (118, 28))


async def live(profile: Profile) -> None:
    """Every screen over real daemons under load."""
    urls = [server.url for server in profile.servers]
    done = asyncio.Event()

    async def traffic() -> None:
        documents = [f"Document {i}: how to free memory on GPU {i % 8}." for i in range(40)]
        async with httpx.AsyncClient(timeout=30) as client:
            while not done.is_set():
                body = {"query": "memory", "documents": random.sample(documents, 3)}
                await client.post(f"{random.choice(urls)}/v1/rerank", json=body)
                if random.random() < 0.03:
                    await client.post(f"{random.choice(urls)}/v1/rerank", json={"query": 7})
                await asyncio.sleep(0.05)

    async def servers(pilot: Pilot[Any]) -> None:
        await pilot.pause(40)

    async def logs(pilot: Pilot[Any]) -> None:
        await pilot.press("2")
        await wait_for(pilot, shows(pilot, "/v1/rerank"), seconds=30)
        await pilot.pause(3)

    async def rerank(pilot: Pilot[Any]) -> None:
        await wait_for(pilot, shows(pilot, "up"))
        await pilot.press("r")
        await wait_for(pilot, shows(pilot, "ranked by"))
        await pilot.press("ctrl+r")
        await wait_for(pilot, shows(pilot, "order"), seconds=60)

    async def load_test(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        await wait_for(pilot, shows(pilot, "up"))
        done.set()  # the other traffic: what is seen is this load
        plan = plan_for("rate", rate=25, arrivals="poisson", duration=60, documents=2,
                        servers=[server.name for server in profile.servers])  # fmt: skip
        app.load_start(plan)
        await wait_for(pilot, shows(pilot, "44s of 1m"), seconds=80)

    async def choose(pilot: Pilot[Any]) -> None:
        await pilot.press("3")
        await wait_for(pilot, shows(pilot, "smoke"))
        await pilot.pause(1)

    async def host(pilot: Pilot[Any]) -> None:
        await pilot.press("5")
        await pilot.pause(30)

    async def help(pilot: Pilot[Any]) -> None:
        await pilot.press("question_mark")
        await wait_for(pilot, shows(pilot, "Keys and commands"))

    load = asyncio.create_task(traffic())
    try:
        for name, steps in (
            ("servers", servers), ("logs", logs), ("rerank", rerank), ("host", host),
            ("load", load_test), ("load-setup", choose), ("help", help),
        ):  # fmt: skip
            await shoot(name, ConsoleApp(profile), steps)
    finally:
        done.set()
        await load


def main() -> None:
    with mock.patch.dict(os.environ, {"TZ": "UTC"}), still_clock():
        time.tzset()
        asyncio.run(recorded())
    from tests.net import free_port

    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        path = Path(folder) / "reranker.yaml"
        path.write_text(PROFILE.format(free_port(), free_port(), free_port()))
        profile = load_file(path)
        try:
            for server in profile.daemons:
                start(profile, server)
            asyncio.run(live(profile))
        finally:
            for server in profile.daemons:
                stop(profile, server)


if __name__ == "__main__":
    main()
