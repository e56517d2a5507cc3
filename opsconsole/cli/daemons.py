"""``start``, ``stop``, ``restart``, ``status``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import click
import msgspec

from opsconsole.cli.options import (
    choose_daemons,
    json_option,
    load_profile,
    profile_option,
    table,
    unicode_output,
)
from opsconsole.daemon import DaemonState, DaemonStatus
from opsconsole.errors import ExitCode, OpsError
from opsconsole.figures import ago
from opsconsole.profile import Server
from opsconsole.text import clean_line

_GLYPHS = {
    DaemonState.RUNNING: "●",
    DaemonState.STARTING: "◐",
    DaemonState.STOPPING: "◐",
    DaemonState.UNREADY: "▲",
    DaemonState.ORPHANED: "▲",
    DaemonState.BACKOFF: "▲",
    DaemonState.STOPPED: "○",
    DaemonState.UNKNOWN: "?",
}
_ASCII = {"●": "+", "◐": "~", "▲": "!", "○": "-", "×": "x", "?": "?"}
_EXITS = {
    DaemonState.RUNNING: ExitCode.OK,
    DaemonState.STARTING: ExitCode.WARNING,
    DaemonState.UNREADY: ExitCode.WARNING,
    DaemonState.ORPHANED: ExitCode.WARNING,
    DaemonState.BACKOFF: ExitCode.WARNING,
    DaemonState.STOPPING: ExitCode.WARNING,
    DaemonState.UNKNOWN: ExitCode.UNKNOWN,
}

names_argument: Callable[[Any], Any] = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.command()
@names_argument
@profile_option
@json_option
def start(names: tuple[str, ...], profile_name: str | None, as_json: bool) -> int:
    """Start daemons and wait until they are healthy; all of the profile when no NAME is given.

    A daemon that runs already is left alone; one whose keeper died gets a new keeper.
    """
    return _each("server.start", names, profile_name, as_json)


@click.command()
@names_argument
@profile_option
@json_option
def stop(names: tuple[str, ...], profile_name: str | None, as_json: bool) -> int:
    """Stop daemons: accepted requests are answered, then the whole process group ends."""
    return _each("server.stop", names, profile_name, as_json)


@click.command()
@names_argument
@profile_option
@json_option
@click.option("--rolling", is_flag=True, help="One at a time, each healthy before the next.")
def restart(names: tuple[str, ...], profile_name: str | None, as_json: bool, rolling: bool) -> int:
    """Restart daemons and wait until they are healthy."""
    if not rolling:
        return _each("server.restart", names, profile_name, as_json)
    from opsconsole.actions.perform import perform_rolling

    profile = load_profile(profile_name)
    done: list[DaemonStatus] = []
    for status_ in perform_rolling(profile, choose_daemons(profile, names), via="cli"):
        done.append(status_)
        if not as_json:
            click.echo(_line(status_))
    if as_json:
        click.echo(_json(done))
    return ExitCode.OK


@click.command()
@names_argument
@profile_option
@json_option
def status(names: tuple[str, ...], profile_name: str | None, as_json: bool) -> int:
    """What the daemons are doing. Exit code 0 when all run, else the worst of them."""
    from opsconsole.actions.states import stopped, with_away
    from opsconsole.balancer.away import remarks
    from opsconsole.daemon import status as read_status

    profile = load_profile(profile_name)
    servers = choose_daemons(profile, names)
    found = [read_status(profile, server) for server in servers]
    click.echo(_json(with_away(profile, found)) if as_json else _table(found))
    for server in servers:
        if server.is_unchecked:
            click.echo(
                f"{server.name}: its certificate is not checked (tls: verify: false)", err=True
            )
    for line in remarks(profile, stopped(found)):
        click.echo(clean_line(line, 400), err=True)
    return worst_exit(found)


def worst_exit(found: Iterable[DaemonStatus]) -> ExitCode:
    """The exit code of several daemons together."""
    codes = {_exit(s) for s in found}
    order = (ExitCode.CRITICAL, ExitCode.UNKNOWN, ExitCode.WARNING, ExitCode.OK)
    return next((code for code in order if code in codes), ExitCode.UNKNOWN)


def _exit(s: DaemonStatus) -> ExitCode:
    code = _EXITS.get(s.state, ExitCode.CRITICAL)
    # Healthy, but with settings that are or were on trial, or about to be taken away.
    return ExitCode.WARNING if code is ExitCode.OK and (s.left_behind or s.at_work) else code


def _each(action: str, names: tuple[str, ...], profile_name: str | None, as_json: bool) -> int:
    """Perform ``action`` on each daemon side by side; every failure is told, none hides another."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    from opsconsole.actions.perform import perform

    profile = load_profile(profile_name)
    servers = choose_daemons(profile, names)
    done: list[DaemonStatus] = []
    failed = False

    def one(server: Server) -> DaemonStatus:
        return perform(action, profile, server, via="cli")

    with ThreadPoolExecutor(len(servers)) as pool:
        futures = {pool.submit(one, server): server for server in servers}
        for future in as_completed(futures):
            try:
                result = future.result()
            except OpsError as error:
                failed = True
                text = error.about(futures[future].name)
                click.echo(f"opsconsole: {clean_line(text, 2000)}", err=True)
                continue
            done.append(result)
            if not as_json:
                click.echo(_line(result))
    if as_json:
        click.echo(_json(sorted(done, key=lambda s: [x.name for x in servers].index(s.name))))
    if failed or any(s.survivors for s in done):
        return ExitCode.CRITICAL
    # Stopped, but somebody else holds the port: not what whoever stops a server counts on.
    return ExitCode.WARNING if any(s.state is DaemonState.FOREIGN for s in done) else ExitCode.OK


def glyph(state: DaemonState) -> str:
    """The mark of a state, in what standard output can show."""
    mark = _GLYPHS.get(state, "×")
    return mark if unicode_output() else _ASCII[mark]


def _line(s: DaemonStatus) -> str:
    pid = f"  pid {s.pid}" if s.pid else ""
    port = f"  port {s.port}" if s.port else ""
    detail = f"  {clean_line(s.remarks, 200)}" if s.remarks else ""
    survivors = f"  still alive: {', '.join(map(str, s.survivors))}" if s.survivors else ""
    return f"{glyph(s.state)} {s.name}  {s.state}{pid}{port}{detail}{survivors}"


def _table(found: list[DaemonStatus]) -> str:
    now = time.time()
    dash = "—" if unicode_output() else "-"
    rows = [["", "NAME", "STATE", "PID", "PORT", "UP", "RESTARTS", "DETAIL"]]
    for s in found:
        alive = s.started_at is not None and s.pid is not None
        rows.append(
            [
                glyph(s.state),
                s.name,
                str(s.state),
                str(s.pid or dash),
                str(s.port or dash),
                ago(now - s.started_at) if alive and s.started_at else dash,
                str(s.restarts),
                _detail(s, now),
            ]
        )
    return table(rows, right=frozenset((3, 4, 5, 6)))


def _detail(s: DaemonStatus, now: float) -> str:
    parts = [s.remarks] if s.remarks else []
    if s.backoff_until and s.backoff_until > now:
        parts.append(f"restart in {ago(s.backoff_until - now + 0.5)}")
    if s.last_exit:
        parts.append(f"last exit: {s.last_exit}")
    if sys.stdout.isatty():
        return clean_line("; ".join(parts), 100)
    return clean_line("; ".join(parts), 400)


def _json(found: list[DaemonStatus]) -> str:
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
