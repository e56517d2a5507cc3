"""``load delete``: which stored runs go, and whether the operator means it."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterable

import click

from opsconsole.cli.options import table
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.load import store
from opsconsole.load.summary import Summary, moment
from opsconsole.profile.units import parse_duration
from opsconsole.text import clean_line

_SHOWN = 10


@click.command()
@click.argument("run", nargs=-1)
@click.option("--older", metavar="TIME", help="All that are older, such as 30d.")
@click.option(
    "--keep", type=click.IntRange(0), metavar="N", help="All but the newest N of each plan."
)
@click.option("--force", is_flag=True, help="Even a baseline that is named.")
@click.option("--yes", is_flag=True, help="Do not ask.")  # fmt: skip
def delete(
    run: tuple[str, ...], older: str | None, keep: int | None, force: bool, yes: bool
) -> int:
    """Delete stored runs: those that are named, or those that --older and --keep both give up.

    A run is named by its id or its beginning: which one is the latest, or the newest of a plan,
    may have changed since it was looked at.

    A baseline stays, unless it is named and --force is said.
    """
    if not run and older is None and keep is None:
        raise UsageError("which runs?", hint="name them, or say --older 30d or --keep 20")
    if run and (older is not None or keep is not None):
        raise UsageError("runs are named, or chosen by --older and --keep, not both")
    chosen = _named(run, force) if run else _outdated(store.runs(), older, keep)
    if not chosen:
        click.echo("no run is to be deleted")
        return ExitCode.OK
    if not yes:
        _ask(chosen)
    failures: list[OpsError] = []
    for summary in chosen:
        try:
            store.delete(summary.id, force=force)
        except OpsError as error:
            failures.append(error)
            click.echo(f"opsconsole: {error}", err=True)
    gone = len(chosen) - len(failures)
    click.echo(f"{gone:,} run{'s' * (gone != 1)} deleted")
    return failures[0].code if failures else ExitCode.OK


def _named(words: Iterable[str], force: bool) -> list[Summary]:
    chosen = {summary.id: summary for summary in map(_by_id, words)}
    kept = store.baselines() & chosen.keys()
    if kept and not force:
        raise UsageError(
            f"{sorted(kept)[0]} is a baseline", hint="make another one the baseline, or say --force"
        )
    return list(chosen.values())


def _by_id(word: str) -> Summary:
    summary = store.look_up(word)
    if not summary.id.startswith(word):
        what = "the newest run" if word == "latest" else f"a plan, whose newest run is {summary.id}"
        raise UsageError(
            f"a run is deleted by its id, and {clean_line(word, 80)!r} means {what}",
            hint=f"opsconsole load delete {summary.id}, or --keep N for all but the newest",
        )
    return summary


def _outdated(runs: Iterable[Summary], older: str | None, keep: int | None) -> list[Summary]:
    """Those that every given option gives up, oldest first; never a baseline."""
    try:
        before = time.time() - parse_duration(older) if older is not None else None
    except ValueError as error:
        raise UsageError(str(error), where="--older") from None
    by_plan: dict[tuple[str, str], list[Summary]] = defaultdict(list)
    for summary in runs:
        by_plan[summary.profile, summary.plan].append(summary)
    found = []
    for of_plan in by_plan.values():
        found += of_plan if keep is None else of_plan[: max(0, len(of_plan) - keep)]
    kept = store.baselines()
    return sorted(
        (
            summary
            for summary in found
            if summary.id not in kept and (before is None or summary.at < before)
        ),
        key=lambda summary: summary.id,
    )


def _ask(chosen: list[Summary]) -> None:
    what = f"{len(chosen):,} run{'s' * (len(chosen) != 1)}"
    if not sys.stdin.isatty():
        raise UsageError(f"{what} would be deleted", hint="say --yes to delete without a question")
    rows = [[s.id, moment(s.at), s.profile, s.verdict] for s in chosen[:_SHOWN]]
    click.echo(table(rows))
    if len(chosen) > _SHOWN:
        click.echo(f"… and {len(chosen) - _SHOWN:,} more")
    if not click.confirm(f"Delete {what}?"):
        raise OpsError("not confirmed: nothing was deleted")
