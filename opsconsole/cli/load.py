"""``opsconsole load``: run a load test, watch it in the terminal, and give its verdict."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from opsconsole.actions.states import at_work
from opsconsole.cli import load_delete, load_failover, load_repeat, load_runs
from opsconsole.cli.interrupts import Interrupts
from opsconsole.cli.load_options import LOAD_OPTIONS, keys_of, tls_of, tls_options
from opsconsole.cli.load_watch import drive
from opsconsole.cli.options import (
    load_profile,
    profile_option,
    refuse_changes,
    unicode_output,
)
from opsconsole.cli.output import check_output, say
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.load import MODES, LoadRun, Plan, Run, plan_for, report, store
from opsconsole.load.beside import others
from opsconsole.load.comparable import differences
from opsconsole.load.exports import FORMATS, export
from opsconsole.load.length import LONG, longest
from opsconsole.load.plans import find, names
from opsconsole.load.summary import law, span
from opsconsole.load.targets import as_planned, production_of, profile_of
from opsconsole.profile import Profile, Tls
from opsconsole.profile.problems import nearest
from opsconsole.text import clean_line


class _LoadGroup(click.Group):
    """What is no verb of its own is a mode or a plan to be run."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return clean_line(args[0], 40) if args else "", _run, args

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Modes, or a load test of the profile (options: load MODE --help)"):
            formatter.write_text(", ".join(MODES))
        super().format_commands(ctx, formatter)


@click.group(cls=_LoadGroup, subcommand_metavar="MODE|PLAN [NUMBER]... [OPTIONS]")
@click.pass_context
def load(ctx: click.Context) -> None:
    """Load-test servers, and keep what was measured.

    \b
      opsconsole load load 100 4             100 requests by 4 clients
      opsconsole load throughput 200 8       as fast as 8 clients can
      opsconsole load stress 500 16          steps up to 16 clients: where does it break?
      opsconsole load latency                one at a time
      opsconsole load rate 50 --poisson      50 requests a second, whatever the server does
      opsconsole load search                 the highest rate that keeps the service level
      opsconsole load PLAN                   a load test of the profile
      opsconsole load PLAN --times 5         five runs, to be compared with five others

    Exit codes: 0 every threshold holds, 1 so it does, but the run could not be stored or its
    report not be written, 2 one does not, 3 INVALID (the client was the bottleneck: nothing is
    said about the server), or nothing could be sent, or a --fail-if-worse cannot be told, 64
    usage, 130 interrupted. A run that is interrupted, twice or by a closed terminal too, is
    stored.
    """
    refuse_changes(ctx, ("list", "show", "compare", "export"))


for _command in (load_runs.list_runs, load_runs.show, load_runs.compare_runs, load_runs.export,
                 load_runs.baseline, load_delete.delete, load_failover.failover):  # fmt: skip
    load.add_command(_command)


def _options(command: Callable[..., int]) -> Callable[..., int]:
    for option in reversed(LOAD_OPTIONS):
        command = option(command)
    return command


class _RunCommand(load_runs.JudgingCommand):
    """Called by the name of what it runs."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        pieces = super().collect_usage_pieces(ctx)
        return [piece for piece in pieces if piece != _WHAT]


_WHAT = "MODE|PLAN"


@click.command(cls=_RunCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", metavar=_WHAT)
@click.argument("numbers", nargs=-1, metavar="[NUMBER]...")
@profile_option
@_options
@click.option(
    "--url", metavar="URL", help="This server instead of a profile's; unix:/PATH for a socket."
)
@tls_options
@click.option(
    "-f", "--format", "format_", type=click.Choice(["text", *FORMATS]),
    default="text", show_default=True, help="How the result is told.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Into a file."
)
@click.option("--against", metavar="RUN", help="Compare with this run; else with the baseline.")
@click.option(
    "--times", type=click.IntRange(1, 1000), default=1, metavar="N",
    help="Run it so often: differences between runs are only told by several.",
)  # fmt: skip
@click.option("--fail-if-worse", metavar="PERCENT", help="Exit 2 when worse by more than this.")
@click.option("--yes", is_flag=True, help="Do not ask, even for production.")
@click.option("-q", "--quiet", is_flag=True, help="No line of progress.")
def _run(
    what: str,
    numbers: tuple[str, ...],
    profile_name: str | None,
    url: str | None,
    ca: str,
    insecure: bool,
    format_: str,
    output: Path | None,
    against: str | None,
    times: int,
    fail_if_worse: str | None,
    yes: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Run a load test: a MODE with its numbers, or a PLAN of the profile."""
    limit = load_runs.share(fail_if_worse)
    check_output(output)
    tls = tls_of(url, ca, insecure=insecure)
    profile = _by_url(url, tls, profile_name) if url else load_profile(profile_name)
    plan = _plan(profile, what, numbers, keys_of(options))
    if url:
        profile = as_planned(profile, plan)
    bases = _bases(plan, profile, against, times, gated=limit is not None)
    if limit is not None and not bases:
        raise UsageError(
            "there is no run to compare with", where="--fail-if-worse",
            hint="--against RUN, or opsconsole load baseline RUN",
        )  # fmt: skip
    if times > 1 and (format_ != "text" or output is not None):
        raise UsageError(
            "several runs make no one report", where="--times", hint="opsconsole load export RUN"
        )
    if limit is not None and times > 1:
        load_repeat.refuse_too_few(len(bases), times)
    load_run = LoadRun(plan, profile)
    if not against and limit is None and plan.name in MODES:
        # A plan of the profile is meant to stay what it is; one of options is another each time.
        bases = [run for run in bases if not any(differences(run.plan, load_run.run.plan))]
    _say_length(plan, times)
    _say_others(profile, load_run.servers)
    _ask((production_of(profile) if url else None) or profile, load_run, yes)
    if times > 1:
        return load_repeat.repeat(plan, profile, times, bases=bases, limit=limit, quiet=quiet)
    run = load_run.run
    with Interrupts() as interrupts:
        code = drive(load_run, profile, interrupts, quiet=quiet)
        # First: whatever is wrong with the report must not cost what was measured.
        kept = load_runs.stored(run)
        text = _report(run, format_)
    code = load_runs.told(text, output, code or kept, document=format_ != "text")
    if not bases:
        return code
    held = load_runs.held_against(bases, [run], limit, err=format_ != "text")
    return load_runs.gravest(code, held)


def _plan(profile: Profile, what: str, numbers: tuple[str, ...], keys: dict[str, Any]) -> Plan:
    if (plan := find(profile, what, numbers=numbers, **keys)) is not None:
        return plan
    if what not in MODES:
        known = [*names(profile), *MODES, *load.commands]
        raise UsageError(
            f"there is no load test {what!r}", where=profile.name, hint=nearest(what, known)
        )
    return plan_for(what, numbers=numbers, **keys)


def _by_url(url: str, tls: Tls | None, profile_name: str | None) -> Profile:
    if profile_name or click.get_current_context().obj:
        raise UsageError(
            "a profile has its own servers", where="--url", hint="give either it or --profile"
        )
    return profile_of(url, tls)


def _bases(
    plan: Plan, profile: Profile, against: str | None, times: int, *, gated: bool
) -> list[Run]:
    """What the run is held against; of several runs, all repetitions of that. A baseline that
    cannot be read costs the comparison, and stops only what hangs on it."""
    try:
        base = store.find(against) if against else store.baseline(plan.name, profile.name)
        if base is None or times == 1:
            return [] if base is None else [base]
        return [store.read(summary.id) for summary in store.side(base.id)]
    except OpsError as error:
        if against:
            raise
        said = f"not compared with the baseline: {error}"
        if gated:
            raise OpsError(said, code=ExitCode.UNKNOWN) from None
        click.echo(f"opsconsole: {said}", err=True)
        return []


def _say_length(plan: Plan, times: int) -> None:
    """Who starts eight hours should know before they have begun."""
    seconds = longest(plan)
    if seconds is None or seconds * times < LONG:
        return
    what = f"{times} runs take" if times > 1 else "this takes"
    recorded = any(phase.recorded and phase.duration is None for phase in plan.phases)
    how = "--duration ends it" if recorded else "Ctrl-C ends it"
    say(f"opsconsole: {what} {span(seconds * times)}; {how} earlier, and what was measured is kept",
        err=True)  # fmt: skip


def _say_others(profile: Profile, names: Sequence[str]) -> None:
    """Who else loads or tunes these servers now: the figures would be of both."""
    for server in profile.servers:
        if server.name not in names:
            continue
        told = ""
        with contextlib.suppress(OpsError):  # of a daemon that could not be run at all
            told = at_work(profile, server)
        for pid, plan, _ in () if told else others((server.url,)):
            told = f"process {pid} runs the load test {plan} on it now"
        if told:
            words = clean_line(f"{server.name}: {told}", 200)
            say(f"opsconsole: {words}; the figures will be of both", err=True)


def _ask(profile: Profile, load_run: LoadRun, yes: bool) -> None:
    """Load on production is a decision, which a script says with --yes."""
    if profile.environment != "production" or yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{profile.name} is production", hint="say --yes to load it")
    plan = load_run.plan
    laws = [law(phase) for phase in plan.phases if phase.measured]
    how = ", then ".join(laws[:3]) + ", and more" * (len(laws) > 3) or plan.mode
    servers = ",".join(load_run.servers)
    typed = click.prompt(f"{profile.name} is PRODUCTION. Type its name to load {servers} ({how})")
    if typed.strip() != profile.name:
        raise OpsError("not confirmed: nothing was sent")


def _report(run: Run, format_: str) -> str:
    if format_ != "text":
        return export(run, format_)
    return report.text(run, unicode=unicode_output(), width=shutil.get_terminal_size().columns)
