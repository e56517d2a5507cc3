"""``opsconsole profile``: validate, show, schema, list."""

from __future__ import annotations

import click
import msgspec

from opsconsole import profile as profiles
from opsconsole.cli.options import json_option, table
from opsconsole.errors import ExitCode, OpsError
from opsconsole.text import clean


@click.group()
def profile() -> None:
    """Validate, show and complete profiles."""


@profile.command()
@click.argument("names", nargs=-1, metavar="[NAME|PATH]...")
@click.pass_context
def validate(ctx: click.Context, names: tuple[str, ...]) -> int:
    """Check profiles: every mistake with file, line and key; exit code 64 when there are any."""
    code = ExitCode.OK
    for name in names or (ctx.obj,):
        try:
            found = profiles.load(name)
        except OpsError as error:
            click.echo(clean(str(error)), err=True)
            code = ExitCode.USAGE
            continue
        servers, daemons = len(found.servers), len(found.daemons)
        click.echo(clean(f"{found.path}: ok: {found.name}, {servers} servers, {daemons} daemons"))
    return code


@profile.command()
@click.argument("name", required=False, metavar="[NAME|PATH]")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """The profile with every default filled in."""
    found = profiles.load(name or ctx.obj)
    if as_json:
        data = msgspec.json.encode(profiles.as_data(found))
        click.echo(msgspec.json.format(data, indent=2).decode())
    else:
        click.echo(f"# {clean(str(found.path))}\n{clean(profiles.as_yaml(found))}", nl=False)


@profile.command()
def schema() -> None:
    """The JSON Schema of a profile, for editors: `# yaml-language-server: $schema=FILE`."""
    click.echo(msgspec.json.format(msgspec.json.encode(profiles.json_schema()), indent=2).decode())


@profile.command(name="list")
def list_() -> None:
    """The profiles that can be had by name."""
    rows = [["NAME", "TITLE", "FILE"]]
    for name, path in profiles.available().items():
        try:
            title = profiles.load_file(path).title
        except OpsError:
            title = "(has mistakes: opsconsole profile validate)"
        rows.append([name, title, str(path)])
    click.echo(table(rows))
