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
from opsconsole.logs import Follower, LogLine, merge_by_time
from opsconsole.logs import tail as read_tail
from opsconsole.text import clean_line

_POLL = 0.1
_BACKLOG_BYTES = 1 << 30


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
    if not follow:
        pages = {name: read_tail(path, count) for name, path in sources.items()}
        for name, lines in merge_by_time(pages):
            _show(name, lines, width, raw)
        return ExitCode.OK
    followers = {name: Follower(path, backlog=count) for name, path in sources.items()}
    first = {name: follower.read(_BACKLOG_BYTES) for name, follower in followers.items()}
    for name, lines in merge_by_time(first):
        _show(name, lines, width, raw)
    while True:
        quiet = True
        for name, follower in followers.items():
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
            text = clean_line(line.decode("utf-8", "replace")) if raw else LogLine(name, line).text
            out.append((head + text).encode("utf-8", "replace"))
    if out:
        sys.stdout.buffer.write(b"\n".join(out) + b"\n")
        sys.stdout.flush()
