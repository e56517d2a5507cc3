"""What several verbs share: the profile option, choosing servers, and tables."""

from __future__ import annotations

import locale
import sys
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

import click

from opsconsole.errors import UsageError
from opsconsole.profile import Profile, Server, load
from opsconsole.profile.problems import nearest
from opsconsole.text import clean_line

profile_option: Callable[[Any], Any] = click.option(
    "-p", "--profile", "profile_name", metavar="NAME|PATH", help="The fleet."
)
json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document."
)


def load_profile(name: str | None) -> Profile:
    """The profile named by the verb's own option, or by that of ``opsconsole`` itself."""
    return load(name or click.get_current_context().obj)


def refuse_changes(ctx: click.Context, reading: Container[str | None]) -> None:
    """Keep ``opsconsole --read-only``: of a group's commands only those in ``reading`` may run.

    Raises:
        UsageError: another one was called.
    """
    verb = ctx.invoked_subcommand
    if ctx.find_root().params.get("read_only") and verb not in reading:
        command = f"{ctx.command_path} {verb}".strip()
        raise UsageError(f"{command} acts upon servers or what is stored", where="--read-only")


def names_of(values: Iterable[str]) -> tuple[str, ...]:
    """The names of an option that is repeated, or has commas, or both: ``-s a,b -s c``. A comma
    alone stays: it names nobody, which is a mistake, and not all servers."""
    names: list[str] = []
    for value in values:
        parts = [part.strip() for part in value.split(",")]
        names += [part for part in parts if part] or [value]
    return tuple(names)


def choose_daemons(profile: Profile, names: Sequence[str]) -> list[Server]:
    """The daemons called ``names``, in profile order; all when no name is given.

    Raises:
        UsageError: an unknown name, a server that is no daemon, or no daemons at all.
    """
    daemons = {server.name: server for server in profile.daemons}
    for name in names:
        if name in daemons:
            continue
        if profile.server(name) is not None:
            raise UsageError(f"{name!r} is not a daemon of this machine", where=profile.name)
        raise UsageError(
            f"there is no daemon {name!r}", where=profile.name, hint=nearest(name, daemons)
        )
    if not daemons:
        raise UsageError("the profile has no daemons", where=profile.name)
    return [server for name, server in daemons.items() if not names or name in names]


def unicode_output() -> bool:
    """Whether standard output can show glyphs."""
    encoding = (getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding()).lower()
    return "utf" in encoding


def table(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Rows in aligned columns; the columns in ``right`` are right-aligned. Cells are cleaned."""
    cells = [[clean_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        parts = [
            f"{cell:>{width}}" if i in right else f"{cell:<{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)
