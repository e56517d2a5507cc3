"""``opsconsole tune``: find the settings that serve best, by measuring them on a local daemon."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click
from msgspec import structs

from opsconsole.actions.perform import note
from opsconsole.cli.interrupts import Interrupts
from opsconsole.cli.options import (
    choose_daemons,
    json_option,
    load_profile,
    profile_option,
    unicode_output,
)
from opsconsole.cli.output import check_output, say, write
from opsconsole.cli.suspending import not_suspended
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.load import plan_for
from opsconsole.load.plan import Work
from opsconsole.load.plans import find
from opsconsole.profile import Profile, Server
from opsconsole.profile.problems import nearest
from opsconsole.profile.units import parse_duration
from opsconsole.tuning import PRESETS, REPEAT, Doing, Event, Report, Request, Tuning, as_json, keep
from opsconsole.tuning import restore as put_back
from opsconsole.tuning.ladder import FEWEST_REPETITIONS
from opsconsole.tuning.report import line, plain, text, words
from opsconsole.tuning.space import SWEPT, read_values

_NOT_SUSPENDED = (
    "not suspended: the daemon is on trial; Ctrl-C ends it and puts back what was there"
)


@click.command()
@profile_option
@click.option(
    "--daemon",
    "name",
    metavar="NAME",
    help="The daemon; else the only one, after a question on a terminal.",
)
@click.option("--restore", metavar="NAME", help="Put back what a killed tuning left behind.")
@click.option(
    "--goal",
    type=click.Choice(["throughput", "latency"]),
    default="throughput",
    show_default=True,
    help="The most good requests a second, or the lowest p95.",
)
@click.option("--p95", metavar="TIME", help="Its limit. Default: the server's service level.")
@click.option(
    "--budget",
    metavar="TIME",
    default="10m",
    show_default=True,
    help="Ends by itself by then; the restoring comes after it.",
)
@click.option("--only", metavar="NAME,NAME", help=f"Vary only these of {', '.join(SWEPT)}.")
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="NAME=A,B",
    help="Values to try for a setting. Repeatable.",
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="A tuning step of the checklist, judged, instead of the sweep.",
)
@click.option(
    "-c",
    "--clients",
    type=click.IntRange(1, 10_000),
    help="Clients that load it. Default: 8, or the step's.",
)
@click.option("--load", "load_name", metavar="PLAN", help="Send what this load test sends.")
@click.option("--documents", metavar="LENGTHS", help="Documents in a request. Default: 10.")
@click.option("--document-tokens", metavar="LENGTHS", help="Words in a document.")
@click.option(
    "--repeat",
    metavar="SHARE",
    help=f"Pairs that were sent before: what a cache is good for. Default: {REPEAT:.0%}.",
)
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The report into a file.",
)
@click.option("--yes", is_flag=True, help="Do not ask, even for production.")
@click.option("-q", "--quiet", is_flag=True, help="No lines of progress.")
def tune(
    profile_name: str | None,
    name: str | None,
    restore: str | None,
    as_json: bool,
    output: Path | None,
    yes: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Find the settings with which a local daemon serves best, by measuring them.

    \b
      opsconsole tune --daemon local                 sweep for 10 minutes, recommend
      opsconsole tune --daemon local --budget 4m --only BATCH_SIZE,DTYPE
      opsconsole tune --daemon local --set BATCH_SIZE=8,16,64 --p95 300ms
      opsconsole tune --daemon local --preset batch  a step of the checklist: passed or not
      opsconsole tune --restore local                after a kill -9 of the tuning

    The daemon is restarted with other settings again and again: it serves nobody else
    meanwhile. All candidates get a short load, the better half of them a longer one, and so on;
    the best is then loaded in turns with what was there, and recommended only if the difference
    is proved. Nothing is changed in the profile.

    What was there is put back at the end, after an error, and after SIGINT, SIGTERM or SIGHUP:
    running with its old settings, or stopped. After a kill -9, the next tune or
    `opsconsole tune --restore NAME` does it.

    What was measured is kept as JSON in the state folder (tunings/) before it is told.

    Exit codes: 0 recommended (to keep what is there, too) or step passed, 1 so it is, but the
    report cannot be kept or written, 2 step not passed or failed, 3 unknown, 64 usage or too short
    a time, 130 interrupted.
    """
    check_output(output)
    profile = load_profile(profile_name)
    if restore is not None:
        return _restore(profile, restore)
    server = _server(profile, name)
    tuning = Tuning(profile, server, _request(profile, options))
    if name is None and not yes and sys.stdin.isatty():
        click.confirm(f"Restart {server.name} again and again, to tune it?", abort=True)
    _ask(profile, server, yes)

    begin = time.monotonic()
    with Interrupts() as interrupts:
        report = _measured(tuning, profile, server, begin, interrupts, show=not quiet)
        # First: whatever is wrong with the report must not cost what was measured.
        kept = _kept(report, show=not quiet)
        note("server.tune", profile, server.name, "cli", begin, _outcome(report), _detail(report))
        told = _told(report, as_json)
    return _write(told, output, _exit_code(report) or kept, document=as_json)


def _measured(
    tuning: Tuning, profile: Profile, server: Server, begin: float, interrupts: Interrupts, *,
    show: bool,
) -> Report:  # fmt: skip
    try:
        return asyncio.run(_run(tuning, interrupts, show=show))
    except OpsError as error:
        note("server.tune", profile, server.name, "cli", begin, "failed", str(error))
        raise
    except BaseException as error:  # the daemon is as it was: that is to be on record, too
        note("server.tune", profile, server.name, "cli", begin, "failed", type(error).__name__)
        raise


def _kept(report: Report, *, show: bool) -> ExitCode:
    try:
        path = keep(report)
    except OpsError as error:
        say(f"opsconsole: {error}", err=True)
        return error.code
    if show:
        say(f"kept in {path}", err=True)
    return ExitCode.OK


def _write(told: str, output: Path | None, code: ExitCode, *, document: bool) -> ExitCode:
    """Into the file, and where that fails on standard output."""
    try:
        write(told, output, document=document)
    except OpsError as error:
        say(f"opsconsole: {error}", err=True)
        if output is not None:
            _write(told, None, code, document=document)
        return code or error.code
    return code


def _server(profile: Profile, name: str | None) -> Server:
    daemons = choose_daemons(profile, [name] if name else [])
    if len(daemons) > 1:
        names = ", ".join(server.name for server in daemons)
        raise UsageError("which daemon?", where=profile.name, hint=f"--daemon, one of {names}")
    return daemons[0]


def _restore(profile: Profile, name: str) -> int:
    server = _server(profile, name)
    begin = time.monotonic()
    try:
        done = put_back(profile, server)
    except OpsError as error:
        note("server.tune", profile, server.name, "cli", begin, "failed", str(error))
        raise
    if done is None:
        click.echo(f"{server.name}: no tuning left anything behind")
        return ExitCode.OK
    note("server.tune", profile, server.name, "cli", begin, "restored", done)
    click.echo(f"{server.name}: {done}")
    return ExitCode.OK


def _request(profile: Profile, options: dict[str, Any]) -> Request:
    only = tuple(
        word.strip().upper() for word in (options["only"] or "").split(",") if word.strip()
    )
    for word in only:
        if word not in SWEPT:
            raise UsageError(f"{word!r} is not tuned", where="--only", hint=nearest(word, SWEPT))
    preset = options["preset"] or ""
    values = read_values(options["values"])
    if preset and (only or values.keys() - {PRESETS[preset].setting}):
        raise UsageError(f"the step {preset} changes {PRESETS[preset].setting} alone",
                         where="--preset")  # fmt: skip
    return Request(
        goal=options["goal"],
        limit=_seconds(options["p95"], "--p95"),
        budget=_seconds(options["budget"], "--budget") or 0.0,
        clients=options["clients"],
        work=_work(profile, options, repeated=not preset),
        values=values,
        only=only,
        preset=preset,
    )


def _seconds(value: str | None, option: str) -> float | None:
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise UsageError(str(error), where=option) from None


def _work(profile: Profile, options: dict[str, Any], *, repeated: bool) -> Work:
    """What is sent: made of the options, or as a load test of the profile has it."""
    keys = {key: options[key] for key in ("documents", "document_tokens", "repeat")}
    given = {key: value for key, value in keys.items() if value is not None}
    if (name := options["load_name"]) is not None:
        plan = find(profile, name, **given)
        if plan is None:
            hint = nearest(name, [load.name for load in profile.loads])
            raise UsageError(f"there is no load test {name!r}", where="--load", hint=hint)
        if plan.work.dialect == "http":
            raise UsageError("sends no pairs to be ranked", where=f"--load {name}")
        return plan.work
    work = plan_for("load", **given).work
    return work if "repeat" in given or not repeated else structs.replace(work, repeat=REPEAT)


def _ask(profile: Profile, server: Server, yes: bool) -> None:
    """Restarting a server of production again and again is a decision."""
    if profile.environment != "production" or yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{profile.name} is production", hint="say --yes to tune it")
    typed = click.prompt(
        f"{profile.name} is PRODUCTION, and {server.name} will be restarted again and again. "
        "Type the profile's name to tune it"
    )
    if typed.strip() != profile.name:
        raise OpsError("not confirmed: nothing was touched")


async def _run(tuning: Tuning, interrupts: Interrupts, *, show: bool) -> Report:
    """Run it to its end. A signal ends it early, a second one cuts off what is in flight; none
    keeps it from restoring."""

    def interrupt(number: int) -> None:
        tuning.stop("interrupted")
        if show:
            with contextlib.suppress(OSError):
                print("putting back what was there …", file=sys.stderr, flush=True)

    with interrupts.answered(interrupt), not_suspended(_NOT_SUSPENDED):
        return await tuning.run(_teller(sys.stderr.isatty()) if show else lambda event: None)


def _teller(terminal: bool) -> Any:
    """Lines on standard error: each trial, and on a terminal what is being done now."""

    def tell(event: Event) -> None:
        width = shutil.get_terminal_size().columns - 1
        # A terminal that is gone (SIGHUP) ends no tuning by itself.
        with contextlib.suppress(OSError):
            if terminal:
                print("\r\x1b[2K", end="", file=sys.stderr)
            if not isinstance(event, Doing):
                shown = line(event, width)
            elif not terminal:
                return
            elif event.settings is None:
                shown = event.what
            else:
                left = max(0.0, event.until - time.monotonic())
                shown = f"{event.what}: {words(event.settings)} · {left:.0f} s left"[:width]
            shown = shown if unicode_output() else plain(shown)
            print(shown, end="" if isinstance(event, Doing) else "\n", file=sys.stderr, flush=True)
            if isinstance(event, Doing) and event.settings is None:
                print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

    return tell


def _told(report: Report, as_json_: bool) -> str:
    if as_json_:
        return as_json(report).decode()
    return text(report, width=shutil.get_terminal_size().columns, unicode=unicode_output())


def _exit_code(report: Report) -> ExitCode:
    if report.stopped:
        return ExitCode.INTERRUPTED
    if report.step is not None:
        codes = {True: ExitCode.OK, False: ExitCode.CRITICAL, None: ExitCode.UNKNOWN}
        return codes[report.step.passed]
    found = report.recommendation
    evidence = found.evidence if found is not None else None
    enough = evidence is not None and evidence.repetitions >= FEWEST_REPETITIONS
    return ExitCode.OK if enough else ExitCode.UNKNOWN


def _outcome(report: Report) -> str:
    if report.stopped:
        return "stopped"
    if report.step is not None:
        return {True: "passed", False: "not passed", None: "unknown"}[report.step.passed]
    return "done"


def _detail(report: Report) -> str:
    found = report.recommendation
    what = "nothing is recommended"
    if report.stopped:
        what = report.stopped
    elif report.step is not None:
        what = report.step.name
    elif found is not None:
        what = report.lines or "keep what is there"
    return f"{what}; {len(report.trials)} runs; {report.restored}"
