"""``opsconsole --check``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from opsconsole.checks import FORMATS, CheckResult, as_text, check, exit_code
from opsconsole.cli.options import names_of, unicode_output
from opsconsole.profile import load


def run(profile_name: str | None, names: Sequence[str], format_: str, *, ascii: bool) -> int:
    """Check, print the verdict, and return its exit code."""
    profile = load(profile_name)
    order = [server.name for server in profile.servers]

    async def collect() -> list[CheckResult]:
        return [result async for result in check(profile, names_of(names))]

    results = sorted(asyncio.run(collect()), key=lambda r: order.index(r.server))
    if format_ == "text":
        click.echo(as_text(profile.name, results, unicode=unicode_output() and not ascii))
    else:
        click.echo(FORMATS[format_](profile.name, results))
    return exit_code(results)
