"""``watch`` and ``get``: what the servers of a profile answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import click
import msgspec

from opsconsole.cli.options import json_option, load_profile, profile_option
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.fleet import FetchError, History, Snapshot, client_for, fetch
from opsconsole.fleet import watch as watch_fleet
from opsconsole.pretty import pretty
from opsconsole.profile.problems import nearest
from opsconsole.text import clean, clean_line


@click.command()
@profile_option
@json_option
@click.option("-n", "count", type=click.IntRange(1), help="End after this many polls.")
def watch(profile_name: str | None, as_json: bool, count: int | None) -> None:
    """Poll all servers of the profile, one line (or with --json one JSON record) a poll."""
    profile = load_profile(profile_name)
    histories = {server.name: History() for server in profile.servers}

    async def run() -> None:
        left = count
        async with aclosing(watch_fleet(profile.servers)) as snapshots:
            async for snapshot in snapshots:
                history = histories[snapshot.server]
                history.add(snapshot)
                if as_json:
                    click.echo(msgspec.json.encode(snapshot))
                else:
                    click.echo(_line(snapshot, history))
                if left is not None:
                    left -= 1
                    if left == 0:
                        return

    asyncio.run(run())


def _line(snapshot: Snapshot, history: History) -> str:
    figures = history.figures()
    when = time.strftime("%H:%M:%S", time.localtime(snapshot.at))
    parts = [f"{when}  {snapshot.server:<16} {snapshot.state:<9}"]
    if figures.request_rate is not None:
        parts.append(f"{figures.request_rate:.1f} req/s")
    if figures.p95 is not None:
        parts.append(f"p95 {figures.p95 * 1000:.1f} ms")
    if snapshot.failure or snapshot.detail:
        parts.append(clean_line(snapshot.detail or str(snapshot.failure), 200))
    return "  ".join(parts)


@click.command()
@click.argument("name")
@click.argument("what", type=click.Choice(["health", "metrics"]))
@profile_option
def get(name: str, what: str, profile_name: str | None) -> int:
    """The raw answer of a server's health or metrics route."""
    profile = load_profile(profile_name)
    server = profile.server(name)
    if server is None:
        hint = nearest(name, [s.name for s in profile.servers])
        raise UsageError(f"there is no server {name!r}", where=profile.name, hint=hint)

    async def run() -> tuple[int, bytes]:
        async with client_for(server) as client, asyncio.timeout(server.timeout):
            answer = await fetch(client, server.health if what == "health" else "/metrics")
            return answer.status, answer.body

    try:
        status, body = asyncio.run(run())
    except FetchError as error:
        raise OpsError(error.detail, where=server.name) from None
    except TimeoutError:
        raise OpsError("no answer in time", where=server.name) from None
    click.echo(clean(pretty(body)))
    return ExitCode.OK if 200 <= status < 300 else ExitCode.CRITICAL
