"""Fleets for the screen's tests: a recorded stream that is replayed, and a profile to run."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from opsconsole.fleet import Counters, Failure, Histogram, Identity, ServerState, Snapshot
from opsconsole.profile import Profile, Server, ServiceLevel, load_file
from opsconsole.tui.feed import Source
from tests.net import free_port

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, math.inf)


def fleet(environment: str = "development") -> Profile:
    """Five servers, none of them on this machine."""
    level = ServiceLevel(p95=0.5, success_rate=0.99)
    servers = [
        Server(name=f"reranker-{i}", url=f"http://10.0.0.{i}:8000", service_level=level)
        for i in (1, 2, 3)
    ]
    servers.append(Server(name="tei-a", url="http://10.0.0.8:3000", kind="http"))
    servers.append(Server(name="box7", url="http://10.0.0.9:8001", service_level=level))
    return Profile(name="gpu-fleet", servers=tuple(servers), environment=environment)  # type: ignore[arg-type]


def _counters(second: int, rate: float, slow: float, failed: float, waiting: float) -> Counters:
    n = rate * (second + 1) + 0.6 * rate * math.sin(second / 4)
    shares = (0.02, 0.1, 0.5 - slow / 2, 0.8 - slow / 2, 0.95 - slow, 0.97 - slow, 0.98 - slow,
              0.99 - slow / 2, 1, 1)  # fmt: skip
    return Counters(
        requests=n, succeeded=n * (1 - failed), failed=n * failed, rejected=0.0, pairs=100 * n,
        latency=Histogram(BOUNDS, tuple(n * share for share in shares), n * 0.03),
        active=2.0, waiting=waiting, max_parallel=4.0, max_queue=64.0, resident_bytes=4e8,
        cpu_seconds=second * 0.7, start_time=1.0,
    )  # fmt: skip


def recording(seconds: int, start: float) -> list[Snapshot]:
    """``seconds`` polls of :func:`fleet` from ``start`` on the clock, one a second."""
    out = []
    for second in range(seconds):
        at = start + second
        for i, rate in ((1, 212.0), (2, 209.0), (3, 37.0)):
            sick = i == 3
            out.append(Snapshot(
                server=f"reranker-{i}", at=at, clock=at, poll_seconds=0.004,
                state=ServerState.DEGRADED if sick else ServerState.UP,
                detail="3 forwards in a row failed" if sick else "",
                identity=Identity(version="0.1.0", model="bge-reranker-v2-m3", backend="pytorch",
                                  device=f"cuda:{i - 1}", dtype="bfloat16", started_at=start - 9e4),
                counters=_counters(second, rate, 0.2 if sick else 0.0, 0.041 if sick else 0.0,
                                   61.0 if sick else i),
            ))  # fmt: skip
        out.append(Snapshot(server="tei-a", at=at, clock=at, poll_seconds=0.002,
                            state=ServerState.UP))  # fmt: skip
        out.append(Snapshot(server="box7", at=at, clock=at, poll_seconds=0.001,
                            state=ServerState.DOWN, failure=Failure.REFUSED,
                            detail="connection refused: nothing listens there"))  # fmt: skip
    return out


def replay(snapshots: Sequence[Snapshot]) -> Source:
    """A source that gives ``snapshots`` at once and then rests."""

    async def source(servers: Sequence[Server]) -> AsyncGenerator[Snapshot, None]:
        for snapshot in snapshots:
            yield snapshot
        await asyncio.Event().wait()

    return source


def local_profile(folder: Path, *, daemons: int = 1, environment: str = "development") -> Profile:
    """A profile of real daemons with the embedded model on free ports."""
    lines = [f"name: here\nenvironment: {environment}\ndefaults: {{interval: 200ms}}\nservers:\n"]
    for i in range(daemons):
        url = f"http://127.0.0.1:{free_port()}"
        lines.append(
            f"  - {{name: local-{i}, url: '{url}', "
            "daemon: {stop_grace: 10s, env: {OPSCONSOLE_WARMUP: false}}}\n"
        )
    path = folder / "here.yaml"
    path.write_text("".join(lines))
    return load_file(path)
