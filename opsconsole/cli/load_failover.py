"""``opsconsole load failover``: drain one server, kill another, and see what clients see of it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click
import msgspec

from opsconsole.actions.perform import note
from opsconsole.balancer import away, nginx
from opsconsole.balancer.failover import LONGEST, FailoverRun
from opsconsole.balancer.failover_records import Failover, Settings
from opsconsole.balancer.failover_report import text as report_text
from opsconsole.balancer.outages import Tell, put_back
from opsconsole.balancer.pool import MAX_FAILS, TRIES, chosen
from opsconsole.balancer.preconditions import healthy, require_rate, require_two
from opsconsole.cli import load_runs
from opsconsole.cli.interrupts import Interrupts
from opsconsole.cli.load_watch import clear_line, show_line
from opsconsole.cli.options import (
    json_option,
    load_profile,
    names_of,
    profile_option,
    unicode_output,
)
from opsconsole.cli.output import check_output, say
from opsconsole.cli.suspending import not_suspended
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.load import DIALECTS, Plan, Tick, plan_for
from opsconsole.profile import Profile, Server
from opsconsole.profile.units import parse_duration, parse_rate
from opsconsole.text import clean_line

_THRESHOLDS = ("success_rate > 99%",)
_NOT_SUSPENDED = "not suspended: a server may be away; Ctrl-C ends the test and brings it back"
_EXITS = {
    "passed": ExitCode.OK,
    "measured": ExitCode.OK,
    "failed": ExitCode.CRITICAL,
    "stopped": ExitCode.CRITICAL,
    "invalid": ExitCode.UNKNOWN,
}


@click.command("failover", context_settings={"help_option_names": ["-h", "--help"]})
@profile_option
@click.option("-s", "--server", "--servers", "names", multiple=True, metavar="NAME",
              help="Only these; repeat, or separate by commas. Default: all.")  # fmt: skip
@click.option("--restore", is_flag=True, help="Only start what a killed test left away.")
@click.option("--rate", default="10", show_default=True, metavar="N", help="Requests a second.")
@click.option("--drain", metavar="NAME", help="This one is drained. Default: the first.")
@click.option("--kill", metavar="NAME", help="This one is killed. Default: the second.")
@click.option("--only-load", is_flag=True, help="Drain and kill none: only who gets how much.")
@click.option("--settle", default="5s", show_default=True, metavar="TIME",
              help="Least time that all are watched first, and half of it after each.")  # fmt: skip
@click.option("--nginx", "nginx_path", default="", metavar="PATH", help="This nginx.")
@click.option("--fail-timeout", default="3s", show_default=True, metavar="TIME",
              help="Of nginx: for how long a failed server is left alone.")  # fmt: skip
@click.option("--max-fails", type=click.IntRange(1, 1000), default=MAX_FAILS, show_default=True,
              help="Of nginx: failures until then.")  # fmt: skip
@click.option("--tries", type=click.IntRange(1, 100), default=TRIES, show_default=True,
              help="Of nginx: servers that a request may be sent to.")  # fmt: skip
@click.option("--as-in-checklist", is_flag=True,
              help="With the checklist's own directives, to see what they do.")  # fmt: skip
@click.option("--tls-name", default="", metavar="NAME", help="Name in the servers' certificates.")
@click.option(
    "--ca",
    default="",
    metavar="FILE",
    help="Who is trusted to sign them. Default: tls of the profile.",
)
@click.option("--documents", default="2", show_default=True, metavar="LENGTHS",
              help="Documents in a request: 10, or 5..20.")  # fmt: skip
@click.option("--document-tokens", metavar="LENGTHS", help="Words in a document.")
@click.option("--dialect", type=click.Choice(DIALECTS), help="The API that is spoken.")
@click.option("--model", help="The model's name in requests.")
@click.option("--path", metavar="PATH", help="Instead of the dialect's route.")
@click.option("--timeout", metavar="TIME", help="Longest time of one request.")
@click.option("-t", "--threshold", "thresholds", multiple=True, metavar="TEXT",
              help="What must hold. Default: 'success_rate > 99%'.")  # fmt: skip
@json_option
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Into a file."
)
@click.option("--yes", is_flag=True, help="Do not ask, even for production.")
@click.option("-q", "--quiet", is_flag=True, help="No line of progress.")
def failover(
    profile_name: str | None,
    names: tuple[str, ...],
    restore: bool,
    rate: str,
    drain: str | None,
    kill: str | None,
    only_load: bool,
    settle: str,
    nginx_path: str,
    fail_timeout: str,
    max_fails: int,
    tries: int,
    as_in_checklist: bool,
    tls_name: str,
    ca: str,
    thresholds: tuple[str, ...],
    as_json: bool,
    output: Path | None,
    yes: bool,
    quiet: bool,
    **work: Any,
) -> int:
    """Does a load balancer carry the fleet over a stopped and a killed server?

    An nginx of its own (temporary, on loopback, with what `opsconsole generate nginx` writes)
    stands in front of the profile's servers. While requests go through it, one server is drained
    and started again, then another is killed, and its keeper starts it. Whatever happens, Ctrl-C
    too, all servers run again at the end, and nothing of nginx stays. After a kill -9, `status`
    says which server is away, and the next failover test, or --restore alone, starts it.

    Exit codes: 0 clients saw nothing and all came back, 2 otherwise, 3 INVALID or fewer than two
    healthy servers, 64 usage, 130 interrupted.
    """
    check_output(output)
    profile = load_profile(profile_name)
    servers = chosen(profile, names_of(names))
    journal = click.get_current_context().with_resource(away.begin(profile))
    tell = _audited(profile)
    _put_back(profile, journal, tell, alone=restore)
    if restore:
        return ExitCode.OK
    binary = nginx.required(nginx_path)
    up, down = asyncio.run(healthy(servers))
    require_two(profile, up, down)
    if only_load and (drain or kill):
        raise UsageError("--only-load drains and kills nobody")
    settings = Settings(
        rate=_number(parse_rate, rate if "/" in rate else f"{rate}/s", "--rate"),
        settle=_number(parse_duration, settle, "--settle"),
        fail_timeout=_number(parse_duration, fail_timeout, "--fail-timeout"),
        max_fails=max_fails,
        tries=tries,
        as_in_checklist=as_in_checklist,
        drain="" if only_load else drain or _another(up, kill),
        kill="" if only_load else kill or _another(up, drain or _another(up, kill)),
    )
    require_rate(settings, len(up))
    plan = _plan(settings, thresholds or _THRESHOLDS, work)
    run = FailoverRun(profile, up, plan, settings, binary, journal, tell, tls_name=tls_name, ca=ca,
                      left_out=down)  # fmt: skip
    _ask(profile, settings, yes)

    begin = time.monotonic()
    targets = ",".join(filter(None, dict.fromkeys((settings.drain, settings.kill)))) or "-"
    outcome, detail = "failed", ""
    with Interrupts() as interrupts:
        try:
            try:
                show = not quiet and sys.stderr.isatty()
                asyncio.run(_watch(run, interrupts, show=show))
            finally:
                for line in run.not_restored:
                    say(f"opsconsole: NOT BROUGHT BACK: {line}", err=True)
            found = run.result()
            outcome, detail = found.verdict, _detail(found)
        except OpsError as error:
            detail = str(error)
            raise
        except KeyboardInterrupt:
            outcome, detail = "stopped", "interrupted"
            raise
        finally:
            note("load.failover", profile, targets, "cli", begin, outcome, detail)
        stored = load_runs.stored(run.run)
        text = _text(found, as_json, output)
    code = _EXITS[found.verdict]
    if found.stopped == "interrupted" and not found.not_restored:
        code = ExitCode.INTERRUPTED
    return load_runs.told(text, output, code or stored, document=as_json)


def _detail(found: Failover) -> str:
    """For the audit trail: what is still away, else why it was stopped, else what did not hold."""
    broken = [f"{check.what}: {check.observed}" for check in found.checks if not check.passed]
    return "; ".join(found.not_restored) or found.stopped or "; ".join(broken)


def _audited(profile: Profile) -> Tell:
    def tell(action: str, name: str, begin: float, outcome: str, detail: str) -> None:
        detail = f"failover test: {detail}" if detail else "failover test"
        note(action, profile, name, "cli", begin, outcome, detail)

    return tell


def _put_back(profile: Profile, journal: away.Journal, tell: Tell, *, alone: bool) -> None:
    """Begin with what a test that was killed has left behind."""
    if not journal.names:
        if alone:
            say(f"{profile.name}: no failover test left anything behind")
        return
    names = clean_line(", ".join(journal.names), 200)
    say(f"opsconsole: an earlier failover test was killed: starting {names} again", err=True)
    for each in put_back(profile, journal, tell):
        line = clean_line(each, 200)
        say(line if alone else f"opsconsole: {line}", err=not alone)


def _another(servers: list[Server], but: str | None) -> str:
    return next(server.name for server in servers if server.name != but)


def _number(parse: Any, text: str, where: str) -> float:
    try:
        value = float(parse(text))
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}", where=where) from None
    if value <= 0:
        raise UsageError("must be more than 0", where=where)
    return value


def _plan(settings: Settings, thresholds: tuple[str, ...], work: dict[str, Any]) -> Plan:
    plan = plan_for("rate", numbers=(settings.rate,), duration=f"{LONGEST:g}s",
                    thresholds=thresholds, **work)  # fmt: skip
    return msgspec.structs.replace(plan, name="failover")


def _ask(profile: Profile, settings: Settings, yes: bool) -> None:
    """Taking servers of production away is a decision, which a script says with --yes."""
    if profile.environment != "production" or yes:
        return
    does = f"drain {settings.drain} and kill {settings.kill}" if settings.drain else "load it"
    if not sys.stdin.isatty():
        raise UsageError(f"{profile.name} is production", hint=f"say --yes to {does}")
    typed = click.prompt(f"{profile.name} is PRODUCTION. Type its name to {does}")
    if typed.strip() != profile.name:
        raise OpsError("not confirmed: nothing was sent, and no server was touched")


async def _watch(run: FailoverRun, interrupts: Interrupts, *, show: bool) -> None:
    """Run it to its end. The first Ctrl-C lets what is in flight end, the second does not; both
    wait for the servers to be back."""
    me = asyncio.current_task()
    assert me is not None

    def interrupt(number: int) -> None:
        if run.run.stopped == "interrupted" and number != signal.SIGHUP:
            if run.load.phases:
                run.load.hurry()
            else:
                me.cancel()
        run.stop("interrupted")
        if run.touched:
            say("\nopsconsole: bringing the servers back first, please wait", err=True)

    recent: list[Tick] = []
    try:
        with interrupts.answered(interrupt), not_suspended(_NOT_SUSPENDED):
            async with aclosing(run.ticks()) as ticks:
                async for tick in ticks:
                    recent.append(tick)
                    del recent[:-60]
                    if show:
                        # The load is one phase, as long as it takes; the stages are the director's.
                        phases = [
                            msgspec.structs.replace(phase, name=run.stage, duration=None)
                            for phase in run.load.phases
                        ]
                        show_line(recent, phases)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        if show:
            clear_line()


def _text(found: Failover, as_json: bool, output: Path | None) -> str:
    if as_json:
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    width = shutil.get_terminal_size().columns if output is None else 80
    return report_text(found, unicode=unicode_output(), width=width)
