"""``logs`` and ``tail``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from opsconsole.cli.options import choose_daemons, load_profile, profile_option
from opsconsole.daemon import log_path
from opsconsole.errors import ExitCode
from opsconsole.logs import Follower, LogLine
from opsconsole.logs import tail as read_tail

_POLL = 0.1


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@profile_option
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes.")
@click.option("-n", "count", default=50, show_default=True, type=click.IntRange(0, 10_000_000),
              help="Lines from the end.")  # fmt: skip
@click.option("--raw", is_flag=True, help="The lines as they are in the file, not shortened.")
def logs(
    names: tuple[str, ...], profile_name: str | None, follow: bool, count: int, raw: bool
) -> int:
    """Print the end of the logs of daemons; all of the profile when no NAME is given."""
    return _print(names, profile_name, follow, count, raw)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@profile_option
@click.option("-n", "count", default=10, show_default=True, type=click.IntRange(0, 10_000_000),
              help="Lines from the end, first.")  # fmt: skip
@click.option("--raw", is_flag=True, help="The lines as they are in the file, not shortened.")
def tail(names: tuple[str, ...], profile_name: str | None, count: int, raw: bool) -> int:
    """Follow the logs of daemons, through rotation, until ctrl+c."""
    return _print(names, profile_name, True, count, raw)


def _print(
    names: Sequence[str], profile_name: str | None, follow: bool, count: int, raw: bool
) -> int:
    profile = load_profile(profile_name)
    servers = choose_daemons(profile, names)
    sources = {server.name: Path(log_path(profile, server)) for server in servers}
    width = max(map(len, sources)) if len(sources) > 1 else 0
    followers = {}
    for name, path in sources.items():
        # Where the file ends now is where following begins: nothing twice, nothing missed.
        followers[name] = Follower(path, from_end=True) if follow else None
        _show(name, read_tail(path, count), width, raw)
    if not follow:
        return ExitCode.OK
    while True:
        quiet = True
        for name, follower in followers.items():
            assert follower is not None
            if lines := follower.read():
                quiet = False
                _show(name, lines, width, raw)
        if quiet:
            sys.stdout.flush()
            time.sleep(_POLL)


def _show(name: str, lines: Sequence[bytes], width: int, raw: bool) -> None:
    head = f"{name:<{width}}  " if width else ""
    out = []
    for line in lines:
        if raw and not sys.stdout.isatty():
            # Into a file or a pipe goes what the file holds, to the byte.
            out.append(head.encode() + line)
        else:
            record = LogLine(name, line)
            text = record.plain if raw else record.text
            out.append((head + text).encode("utf-8", "replace"))
    if out:
        sys.stdout.buffer.write(b"\n".join(out) + b"\n")
        sys.stdout.flush()
