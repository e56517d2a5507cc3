"""``load list``, ``show``, ``compare``, ``export``, ``baseline``: the runs that were stored."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
import msgspec

from opsconsole.cli.options import json_option, table, unicode_output
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.load import Run, report, store
from opsconsole.load.compare import Comparison, compare, worse_than
from opsconsole.load.exports import FORMATS
from opsconsole.load.exports import export as exported
from opsconsole.load.judge import show as show_value
from opsconsole.load.summary import Summary, per_second, took
from opsconsole.load.summary import moment as when
from opsconsole.paths import write_atomic
from opsconsole.profile import units
from opsconsole.text import clean_line

_VERDICTS = {
    "passed": ExitCode.OK,
    "measured": ExitCode.OK,
    "stopped": ExitCode.OK,
    "failed": ExitCode.CRITICAL,
    "invalid": ExitCode.UNKNOWN,
}


def exit_code(run: Run) -> ExitCode:
    """0 the thresholds hold, 2 one does not or it was aborted, 3 the run is invalid, 130 it was
    interrupted by the operator."""
    from opsconsole.load.summary import verdict

    if run.stopped == "interrupted":
        return ExitCode.INTERRUPTED
    code = _VERDICTS[verdict(run)]
    if code is ExitCode.OK and (run.stopped or _found_nothing(run)):
        return ExitCode.CRITICAL
    return code


def _found_nothing(run: Run) -> bool:
    """A search whose lowest rate broke, or a run without one good answer, is no success."""
    if run.conclusion is not None and run.plan.search is not None:
        return run.conclusion.value is None
    whole = run.measured()
    return whole is None or not whole.all().good


@click.command("list")
@json_option
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="At most.")
def list_runs(as_json: bool, count: int) -> int:
    """The stored runs, newest last."""
    found = store.runs()[-count:]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return ExitCode.OK
    if not found:
        click.echo("no load test is stored; begin with: opsconsole load load 100 4")
        return ExitCode.OK
    head = ["RUN", "WHEN", "PROFILE", "VERDICT", "REQUESTS", "ERRORS", "REQ/S", "P50", "P95", "P99"]
    click.echo(table([head, *map(_row, found)], right=frozenset(range(4, 10))))
    return ExitCode.OK


def _row(summary: Summary) -> list[str]:
    return [
        summary.id,
        when(summary.at),
        summary.profile,
        summary.verdict,
        str(summary.requests),
        str(summary.errors),
        per_second(summary.rate),
        took(summary.p50),
        took(summary.p95),
        took(summary.p99),
    ]


@click.command()
@click.argument("run", default="latest")
def show(run: str) -> int:
    """The report of a run: its id, the beginning of one, a plan's name, or latest."""
    found = store.find(run)
    click.echo(
        report.text(found, unicode=unicode_output(), width=shutil.get_terminal_size().columns)
    )
    return ExitCode.OK


@click.command()
@click.argument("run", default="latest")
@click.option(
    "-f", "--format", "format_", type=click.Choice(list(FORMATS)), default="json",
    show_default=True, help="Which.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Into a file."
)
def export(run: str, format_: str, output: Path | None) -> int:
    """A run as JSON, CSV (a line a tick), JUnit, Markdown, HTML, or an HdrHistogram log."""
    write(exported(store.find(run), format_), output)
    return ExitCode.OK


def write(text: str, output: Path | None) -> None:
    """To standard output, or whole into a file.

    Raises:
        OpsError: it cannot be written.
    """
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    try:
        write_atomic(output, text.encode(), mode=0o644)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OpsError(f"the report cannot be written: {reason}", where=str(output)) from None


@click.command()
@click.argument("run", default="latest")
def baseline(run: str) -> int:
    """Hold later runs of the same plan against this one."""
    summary = store.set_baseline(run)
    click.echo(f"{summary.id} is the baseline of {summary.plan} in {summary.profile}")
    return ExitCode.OK


@click.command("compare")
@click.argument("base")
@click.argument("new", default="latest")
@json_option
@click.option("--fail-if-worse", metavar="PERCENT", help="Exit 2 when worse by more than this.")
def compare_runs(base: str, new: str, as_json: bool, fail_if_worse: str | None) -> int:
    """Is NEW better or worse than BASE, or can no difference be told?

    By a bootstrap over the runs' seconds; runs of different plans and invalid runs are refused.
    """
    limit = share(fail_if_worse)
    comparison = compare(store.find(base), store.find(new))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode())
    else:
        click.echo(comparison_text(comparison))
    return gate(comparison, limit)


def share(text: str | None) -> float | None:
    """``5%`` as 0.05.

    Raises:
        UsageError: no share.
    """
    if text is None:
        return None
    try:
        return units.parse_ratio(text if "%" in text else float(text))
    except ValueError as error:
        raise UsageError(f"--fail-if-worse {text!r}: {error}") from None


def gate(comparison: Comparison, limit: float | None) -> ExitCode:
    """CRITICAL, with the reasons on standard error, when it is worse by more than ``limit``."""
    worse = worse_than(comparison, limit) if limit is not None else []
    for change in worse:
        click.echo(f"worse than allowed: {_change(change.change)} {change.metric}", err=True)
    return ExitCode.CRITICAL if worse else ExitCode.OK


def comparison_text(comparison: Comparison) -> str:
    """The comparison as a table."""
    rows = [["METRIC", "BASE", "NEW", "CHANGE", f"{comparison.level:.0%} INTERVAL", ""]]
    for change in comparison.changes:
        interval = (
            f"{_change(change.low)} … {_change(change.high)}" if change.low is not None else "—"
        )
        rows.append(
            [
                change.metric,
                show_value(change.metric, change.base),
                show_value(change.metric, change.new),
                _change(change.change),
                interval,
                change.note or change.verdict,
            ]
        )
    lines = [f"{comparison.base} → {comparison.new}", table(rows, right=frozenset((1, 2, 3, 4)))]
    lines += [clean_line(note) for note in comparison.notes]
    return "\n".join([*lines, f"({comparison.test})"])


def _change(value: float | None) -> str:
    return "—" if value is None else f"{value:+.1%}"
