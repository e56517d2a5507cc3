"""``opsconsole``: the console itself, ``--check``, and the verbs."""

from __future__ import annotations

from importlib import import_module

import click
from click.core import ParameterSource

from opsconsole import __version__
from opsconsole.errors import ExitCode

# verb → module, attribute, one line. The line stands here so that `--help` imports no verb.
VERBS = {
    "start": ("opsconsole.cli.daemons", "start", "Start daemons and wait until they are healthy."),
    "stop": ("opsconsole.cli.daemons", "stop", "Stop daemons: drain, then the whole group."),
    "restart": ("opsconsole.cli.daemons", "restart", "Restart daemons; --rolling one at a time."),
    "status": ("opsconsole.cli.daemons", "status", "What the daemons are doing."),
    "logs": ("opsconsole.cli.logs", "logs", "Print the logs of daemons; -f follows."),
    "tail": ("opsconsole.cli.logs", "tail", "Follow the logs of daemons."),
    "watch": ("opsconsole.cli.fleet", "watch", "Poll all servers; a line or JSON record a poll."),
    "get": ("opsconsole.cli.fleet", "get", "The raw answer of a server's health or metrics."),
    "rank": ("opsconsole.cli.rank", "rank", "Rank documents with a server or the own engine."),
    "load": ("opsconsole.cli.load", "load", "Load-test servers; list, show, compare, export runs."),
    "tune": ("opsconsole.cli.tune", "tune", "Find the settings that serve best on a daemon."),
    "generate": ("opsconsole.cli.generate", "generate", "Write nginx's configuration."),
    "host": ("opsconsole.cli.host", "host", "This machine: cores, memory, disks, GPUs."),
    "profile": ("opsconsole.cli.profile", "profile", "Validate, show and complete profiles."),
    "audit": ("opsconsole.cli.audit", "audit", "Who did what, when."),
    "serve": ("opsconsole.cli.serve", "serve", "Run one reranker server in the foreground."),
    "backends": ("opsconsole.cli.backends", "backends", "What the model runs on here, compared."),
    "completion": ("opsconsole.cli.completion", "completion", "Print a shell completion script."),
}

_READING = frozenset(
    {"status", "logs", "tail", "watch", "get", "rank", "generate", "host", "profile", "audit",
     "backends", "completion", "load"}
)  # fmt: skip
"""What ``--read-only`` leaves; ``load`` looks at its own subcommands."""
_WITHOUT_COMMAND = ("check", "format_", "servers", "start", "ascii")


class LazyGroup(click.Group):
    """A group whose verbs are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS:
            from opsconsole.profile.problems import nearest

            raise click.UsageError(f"no such command: {args[0]} ({nearest(args[0], VERBS)})", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, _, line) in VERBS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-p", "--profile", metavar="NAME|PATH", help="The fleet: a name or a YAML file.")
@click.option("--check", is_flag=True, help="Headless verdict instead of the console.")
@click.option(
    "--format", "format_", type=click.Choice(["text", "json", "junit", "nagios"]), default="text",
    show_default=True, help="How --check tells its verdict.",
)  # fmt: skip
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only --check these.")
@click.option("--start", is_flag=True, help="Start the profile's daemons when the console opens.")
@click.option("--read-only", is_flag=True, help="Refuse every action that changes something.")
@click.option("--ascii", is_flag=True, help="Plain ASCII on screen, for terminals without glyphs.")
@click.version_option(__version__, "-V", "--version", prog_name="opsconsole")
@click.pass_context
def root(
    ctx: click.Context,
    profile: str | None,
    check: bool,
    format_: str,
    servers: tuple[str, ...],
    start: bool,
    read_only: bool,
    ascii: bool,
) -> int:
    """Run, watch and check reranker servers from one terminal.

    Without a command: the console. Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown or nothing
    checked, 64 usage, 130 interrupted.
    """
    ctx.obj = profile
    if ctx.invoked_subcommand is not None:
        for option in ctx.command.params:
            name = option.name or ""
            given = ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
            if name in _WITHOUT_COMMAND and given:
                raise click.UsageError(f"{option.opts[0]} goes with no command", ctx)
        from opsconsole.cli.options import refuse_changes

        refuse_changes(ctx, _READING)
        return ExitCode.OK
    if check:
        if start or read_only:
            raise click.UsageError("--start and --read-only are for the console", ctx)
        from opsconsole.cli.verdict import run

        return run(profile, servers, format_, ascii=ascii)
    if servers:
        raise click.UsageError("--server goes with --check", ctx)
    from opsconsole.cli.console import open_console

    return open_console(profile, start=start, read_only=read_only, ascii=ascii)
