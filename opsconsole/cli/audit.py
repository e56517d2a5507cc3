"""``opsconsole audit``."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import msgspec

from opsconsole.actions.audit import read
from opsconsole.cli.options import json_option, table


@click.command()
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(1, 100_000),
              help="How many.")  # fmt: skip
@json_option
def audit(count: int, as_json: bool) -> None:
    """Who did what, when: the newest actions on daemons, oldest first."""
    records = read(count)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(records), indent=2).decode())
        return
    rows = [["WHEN (UTC)", "OPERATOR", "VIA", "ACTION", "TARGET", "OUTCOME", "TOOK", "DETAIL"]]
    for r in records:
        when = datetime.fromtimestamp(r.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.append([when, r.operator, r.via, r.action, f"{r.profile}/{r.target}", r.outcome,
                     f"{r.seconds:.1f}s", r.detail[:120]])  # fmt: skip
    click.echo(table(rows, right=frozenset((6,))))
