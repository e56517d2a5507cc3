"""``load list``, ``show``, ``compare``, ``export``, ``baseline``: the runs that were stored."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from opsconsole.cli.options import json_option, unicode_output
from opsconsole.cli.output import check_output, say, write
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.load import Run, report, store
from opsconsole.load.compare import Comparison, compare_repeated, worse_than
from opsconsole.load.comparison_text import change_text, comparison_text
from opsconsole.load.exports import FORMATS
from opsconsole.load.exports import export as exported
from opsconsole.load.judge import is_latency
from opsconsole.load.summary import Summary, per_second, took
from opsconsole.load.summary import moment as when
from opsconsole.load.tables import Table, aligned
from opsconsole.profile import units
from opsconsole.text import clean_line

_NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+")
_VERDICTS = {
    "passed": ExitCode.OK,
    "measured": ExitCode.OK,
    "stopped": ExitCode.OK,
    "failed": ExitCode.CRITICAL,
    "invalid": ExitCode.UNKNOWN,
}


def exit_code(run: Run) -> ExitCode:
    """0 the thresholds hold, 2 one does not, nothing held or it was aborted, 3 the run is invalid,
    130 it was interrupted by the operator."""
    from opsconsole.load.summary import verdict

    if run.stopped == "interrupted":
        return ExitCode.INTERRUPTED
    code = _VERDICTS[verdict(run)]
    return ExitCode.CRITICAL if code is ExitCode.OK and run.stopped else code


class JudgingCommand(click.Command):
    """2 is its verdict on servers. An error that keeps it from one is none: it says nothing."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OpsError as error:
            if error.code is ExitCode.CRITICAL:
                error.code = ExitCode.UNKNOWN
            raise


@click.command("list")
@json_option
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="At most.")
def list_runs(as_json: bool, count: int) -> int:
    """The stored runs, newest last."""
    found = store.runs()[-count:]
    if as_json:
        _as_json(found)
        return ExitCode.OK
    if not found:
        say("no load test is stored; begin with: opsconsole load load 100 4")
        return ExitCode.OK
    baselines = store.baselines()
    listed = Table(
        head=("RUN", "PROFILE", "WHEN", "VERDICT", "", "REQUESTS", "ERRORS", "REQ/S", "P50", "P95",
              "P99"),
        rows=tuple(_row(summary, summary.id in baselines) for summary in found),
        words=(0, 1, 2, 3, 4),
        spare=("WHEN", "PROFILE", "P50", "P99", "ERRORS"),
    )  # fmt: skip
    # What is read by a program is told in full.
    width = shutil.get_terminal_size((1000, 24)).columns
    write("\n".join(aligned(listed, width)), None)
    return ExitCode.OK


def _row(summary: Summary, is_baseline: bool) -> tuple[str, ...]:
    return (
        clean_line(summary.id, 60),
        clean_line(summary.profile, 30),
        when(summary.at),
        summary.verdict,
        "baseline" if is_baseline else "by hand" if summary.by_hand else "",
        str(summary.requests),
        str(summary.errors),
        per_second(summary.rate),
        took(summary.p50),
        took(summary.p95),
        took(summary.p99),
    )


@click.command()
@click.argument("run", default="latest")
def show(run: str) -> int:
    """The report of a run: its id, the beginning of one, a plan's name, or latest."""
    found = store.find(run)
    width = shutil.get_terminal_size().columns
    write(report.text(found, unicode=unicode_output(), width=width), None)
    return ExitCode.OK


@click.command()
@click.argument("run", default="latest")
@click.option(
    "-f", "--format", "format_", type=click.Choice(list(FORMATS)),
    help="Which; else by the file's ending, else json.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Into a file."
)
def export(run: str, format_: str | None, output: Path | None) -> int:
    """A run as JSON, CSV (a line a tick), JUnit, Markdown, HTML, or an HdrHistogram log."""
    check_output(output)
    by_ending = {ending: name for name, ending in FORMATS.items()}
    format_ = format_ or by_ending.get(output.suffix.lower() if output else "", "json")
    write(exported(store.find(run), format_), output, document=True)
    return ExitCode.OK


def stored(run: Run) -> ExitCode:
    """Store it. A disk that is full costs that, not the report: it is said, and a WARNING."""
    try:
        store.save(run)
    except OpsError as error:
        say(f"opsconsole: {error}", err=True)
        return ExitCode.WARNING
    return ExitCode.OK


def told(text: str, output: Path | None, code: ExitCode, *, document: bool) -> ExitCode:
    """Write the report of a run that ended with ``code``, which stands whatever becomes of it."""
    try:
        write(text, output, document=document)
    except OpsError as error:
        say(f"opsconsole: {error}", err=True)
        return code or error.code
    return code


_GRAVITY = (ExitCode.OK, ExitCode.WARNING, ExitCode.UNKNOWN, ExitCode.CRITICAL)


def gravest(*codes: ExitCode) -> ExitCode:
    """The one that says most: a certain failure outweighs what could not be told."""
    return max(codes, key=lambda code: _GRAVITY.index(code) if code in _GRAVITY else len(_GRAVITY))


def _as_json(value: Sequence[Summary] | Comparison) -> None:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    write(text, None, document=True)


@click.command()
@click.argument("run", default="latest")
@click.option("--force", is_flag=True, help="Even one that failed or was stopped.")
def baseline(run: str, force: bool) -> int:
    """Hold later runs of the same plan against this one."""
    summary = store.set_baseline(run, force=force)
    click.echo(f"{summary.id} is the baseline of {summary.plan} in {summary.profile}")
    return ExitCode.OK


@click.command("compare", cls=JudgingCommand)
@click.argument("base")
@click.argument("new", default="latest")
@click.option(
    "--last", type=click.IntRange(1), default=1, metavar="N",
    help="Of each side the N runs of its plan that end with the one named.",
)  # fmt: skip
@json_option
@click.option("--fail-if-worse", metavar="PERCENT", help="Exit 2 when worse by more than this.")
def compare_runs(base: str, new: str, last: int, as_json: bool, fail_if_worse: str | None) -> int:
    """Is NEW better or worse than BASE, or can no difference be told?

    One run a side: by a bootstrap over their seconds. Several a side, which tell more: by an exact
    rank test over the runs. They are named with commas (A,B,C), chosen by --last, or repetitions
    of one another (load PLAN --times 5). Runs of different plans and invalid runs are refused.
    """
    limit = share(fail_if_worse)
    bases, news = store.side(base, last=last), store.side(new, last=last)
    if len(bases) == 1 < len(news) and "," not in new:
        news = [store.look_up(new)]
    if len(news) == 1 < len(bases) and "," not in base:
        bases = [store.look_up(base)]
    comparison = compare_repeated(
        [store.read(summary.id) for summary in bases], [store.read(summary.id) for summary in news]
    )
    if as_json:
        _as_json(comparison)
    else:
        write(compared(comparison), None)
    return gate(comparison, limit)


def held_against(
    bases: Sequence[Run], news: Sequence[Run], limit: float | None, *, err: bool = False
) -> ExitCode:
    """Tell how runs that were just made compare; the gate's exit code. What cannot be compared is
    said, and is UNKNOWN to a gate.

    Args:
        limit: Of the gate; None: there is none.
        err: On standard error.
    """
    try:
        comparison = compare_repeated(bases, news)
    except OpsError as error:
        say(f"not compared: {error}", err=True)
        return ExitCode.OK if limit is None else ExitCode.UNKNOWN
    say("\n" + compared(comparison), err=err)
    return gate(comparison, limit)


def share(text: str | None) -> float | None:
    """``5%`` as 0.05.

    Raises:
        UsageError: no share.
    """
    if text is None:
        return None
    try:
        return units.parse_ratio(float(text) if _NUMBER.fullmatch(text) else text)
    except ValueError as error:
        said = clean_line(text, 60)
        raise UsageError(f"{error}, got {said!r}", where="--fail-if-worse") from None


def gate(comparison: Comparison, limit: float | None) -> ExitCode:
    """CRITICAL, with the reasons on standard error, when it is worse by more than ``limit``;
    UNKNOWN when of no latency it can be told whether it is."""
    if limit is None:
        return ExitCode.OK
    worse = worse_than(comparison, limit)
    for change in worse:
        say(f"worse than allowed: {change_text(change.change)} {change.metric}", err=True)
    if worse:
        return ExitCode.CRITICAL
    latencies = [change for change in comparison.changes if is_latency(change.metric)]
    if all(change.note for change in latencies or comparison.changes):
        reasons = dict.fromkeys(change.note for change in comparison.changes if change.note)
        say(f"cannot be told to be no worse: {'; '.join(reasons)}", err=True)
        return ExitCode.UNKNOWN
    return ExitCode.OK


def compared(comparison: Comparison) -> str:
    """The comparison for this terminal."""
    width = shutil.get_terminal_size().columns
    return comparison_text(comparison, unicode=unicode_output(), width=width)
