"""``opsconsole load``: run a load test, watch it in the terminal, and give its verdict."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from opsconsole.actions.perform import note
from opsconsole.cli import load_runs
from opsconsole.cli.load_options import LOAD_OPTIONS, keys_of
from opsconsole.cli.options import load_profile, profile_option, unicode_output
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.load import MODES, LoadRun, Plan, Run, Tick, plan_for, report, store
from opsconsole.load.compare import compare
from opsconsole.load.exports import FORMATS, export
from opsconsole.load.plans import find, names
from opsconsole.load.targets import profile_of
from opsconsole.profile import Profile
from opsconsole.profile.problems import nearest


class _LoadGroup(click.Group):
    """What is no verb of its own is a mode or a plan to be run."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "", _run, args

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Modes, or a load test of the profile (options: load MODE --help)"):
            formatter.write_text(", ".join(MODES))
        super().format_commands(ctx, formatter)


@click.group(cls=_LoadGroup, subcommand_metavar="MODE|PLAN [NUMBER]... [OPTIONS]")
def load() -> None:
    """Load-test servers, and keep what was measured.

    \b
      opsconsole load load 100 4             100 requests by 4 clients
      opsconsole load throughput 200 8       as fast as 8 clients can
      opsconsole load stress 500 16          steps up to 16 clients: where does it break?
      opsconsole load latency                one at a time
      opsconsole load rate 50 --poisson      50 requests a second, whatever the server does
      opsconsole load search                 the highest rate that keeps the service level
      opsconsole load PLAN                   a load test of the profile

    Exit codes: 0 every threshold holds, 2 one does not, 3 INVALID (the client was the
    bottleneck: nothing is said about the server), 64 usage, 130 interrupted.
    """


for _command in (load_runs.list_runs, load_runs.show, load_runs.compare_runs, load_runs.export,
                 load_runs.baseline):  # fmt: skip
    load.add_command(_command)


def _options(command: Callable[..., int]) -> Callable[..., int]:
    for option in reversed(LOAD_OPTIONS):
        command = option(command)
    return command


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", metavar="MODE|PLAN")
@click.argument("numbers", nargs=-1, type=float, metavar="[NUMBER]...")
@profile_option
@_options
@click.option("--url", metavar="URL", help="This server instead of a profile's.")
@click.option(
    "-f", "--format", "format_", type=click.Choice(["text", *FORMATS]),
    default="text", show_default=True, help="How the result is told.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Into a file."
)
@click.option("--against", metavar="RUN", help="Compare with this run; else with the baseline.")
@click.option("--fail-if-worse", metavar="PERCENT", help="Exit 2 when worse by more than this.")
@click.option("--yes", is_flag=True, help="Do not ask, even for production.")
@click.option("-q", "--quiet", is_flag=True, help="No line of progress.")
def _run(
    what: str,
    numbers: tuple[float, ...],
    profile_name: str | None,
    url: str | None,
    format_: str,
    output: Path | None,
    against: str | None,
    fail_if_worse: str | None,
    yes: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Run a load test: a MODE with its numbers, or a PLAN of the profile."""
    limit = load_runs.share(fail_if_worse)
    profile = profile_of(url) if url else load_profile(profile_name)
    plan = _plan(profile, what, numbers, keys_of(options))
    base = store.find(against) if against else store.baseline(plan.name, profile.name)
    if limit is not None and base is None:
        raise UsageError(
            "there is no run to compare with", where="--fail-if-worse",
            hint="--against RUN, or opsconsole load baseline RUN",
        )  # fmt: skip
    load_run = LoadRun(plan, profile)
    _ask(profile, load_run, yes)

    begin = time.monotonic()
    try:
        asyncio.run(_watch(load_run, show=not quiet and sys.stderr.isatty()))
    except OpsError as error:
        note("load.run", profile, _names(load_run), "cli", begin, "failed", str(error))
        raise
    run = load_run.run
    code = load_runs.exit_code(run)
    note("load.run", profile, _names(load_run), "cli", begin, _outcome(code), plan.name)
    return _tell(run, code, format_, output, base, limit)


def _plan(profile: Profile, what: str, numbers: tuple[float, ...], keys: dict[str, Any]) -> Plan:
    if (plan := find(profile, what, numbers=numbers, **keys)) is not None:
        return plan
    if what not in MODES:
        known = [*names(profile), *MODES, *load.commands]
        raise UsageError(
            f"there is no load test {what!r}", where=profile.name, hint=nearest(what, known)
        )
    return plan_for(what, numbers=numbers, **keys)


def _ask(profile: Profile, load_run: LoadRun, yes: bool) -> None:
    """Load on production is a decision, which a script says with --yes."""
    if profile.environment != "production" or yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{profile.name} is production", hint="say --yes to load it")
    typed = click.prompt(f"{profile.name} is PRODUCTION. Type its name to load {_names(load_run)}")
    if typed.strip() != profile.name:
        raise OpsError("not confirmed: nothing was sent")


def _names(load_run: LoadRun) -> str:
    return ",".join(load_run.servers)


def _outcome(code: ExitCode) -> str:
    return {ExitCode.OK: "done", ExitCode.UNKNOWN: "invalid"}.get(code, "failed")


async def _watch(load_run: LoadRun, *, show: bool) -> None:
    """Run it to its end. The first Ctrl-C lets what is in flight end, the second does not."""
    loop = asyncio.get_running_loop()
    me = asyncio.current_task()
    assert me is not None

    def interrupt() -> None:
        if load_run.run.stopped:
            me.cancel()
        load_run.stop("interrupted")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    recent: list[Tick] = []
    try:
        async for tick in load_run.ticks():
            recent.append(tick)
            del recent[:-60]
            if show:
                width = shutil.get_terminal_size().columns - 1
                line = report.live(recent, load_run.phases, width=width, unicode=unicode_output())
                print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        if show:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
        with contextlib.suppress(ValueError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def _tell(
    run: Run,
    code: ExitCode,
    format_: str,
    output: Path | None,
    base: Run | None,
    limit: float | None,
) -> int:
    """Report, then store: a full disk must not cost the operator what was measured."""
    if format_ == "text":
        width = shutil.get_terminal_size().columns
        load_runs.write(report.text(run, unicode=unicode_output(), width=width), output)
    else:
        load_runs.write(export(run, format_), output)
    try:
        store.save(run)
    except OpsError as error:
        click.echo(f"opsconsole: {error}", err=True)
        code = code or ExitCode.WARNING
    if base is None:
        return code
    try:
        comparison = compare(base, run)
    except OpsError as error:
        click.echo(f"not compared: {error}", err=True)
        return max(code, ExitCode.UNKNOWN) if limit is not None else code
    click.echo("\n" + load_runs.comparison_text(comparison), err=format_ != "text")
    return max(code, load_runs.gate(comparison, limit))
