"""``opsconsole profile``: validate, show, schema, list."""

from __future__ import annotations

import click
import msgspec

from opsconsole import profile as profiles
from opsconsole.cli.options import json_option, table
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.profile import LoadDoc, Problem, Profile, place_of
from opsconsole.text import clean


@click.group()
def profile() -> None:
    """Validate, show and complete profiles."""


@profile.command()
@click.argument("names", nargs=-1, metavar="[NAME|PATH]...")
@click.pass_context
def validate(ctx: click.Context, names: tuple[str, ...]) -> int:
    """Check profiles: every mistake with file, line and key; exit code 64 when there are any.

    Load tests are looked at as their runs would: the files that they replay, and whether a search
    knows what must hold.
    """
    code = ExitCode.OK
    for name in names or (ctx.obj,):
        try:
            found = profiles.load(name)
        except OpsError as error:
            click.echo(clean(str(error)), err=True)
            code = ExitCode.USAGE
            continue
        if wrong := _unrunnable(found):
            click.echo(clean("\n".join(wrong)), err=True)
            code = ExitCode.USAGE
            continue
        counts = f"{_many(len(found.servers), 'server')}, {_many(len(found.daemons), 'daemon')}"
        click.echo(clean(f"{found.path}: ok: {found.name}, {counts}"))
    return code


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _unrunnable(profile: Profile) -> list[str]:
    """The load tests that could not be run as they stand here, with a missing replay file or no
    threshold. Neither keeps anyone from watching the servers: only who asks is told."""
    from opsconsole.load.conductor import conduct
    from opsconsole.load.judge import thresholds_of
    from opsconsole.load.modes import build

    wrong = []
    for number, load in enumerate(profile.loads):
        try:
            plan = build(load)
            servers = [s for s in profile.servers if s.name in plan.servers]
            conduct(plan, thresholds_of(plan, servers or profile.servers[:1]))
        except UsageError as error:
            at = error.where or "mode"
            key = at if at in LoadDoc.__struct_fields__ else "replay"
            what = error.what if key == at else f"{at}: {error.what}"
            assert profile.path is not None
            place = place_of(profile.path, ("loads", number, key))
            problem = Problem(what, *place, f"loads[{number}].{key}", error.hint)
            wrong.append(problem.describe(str(profile.path)))
    return wrong


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
