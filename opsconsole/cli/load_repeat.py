"""``opsconsole load … --times N``: the same load test again and again, told in a line each."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from msgspec import structs

from opsconsole.cli import load_runs
from opsconsole.cli.interrupts import Interrupts
from opsconsole.cli.load_watch import drive
from opsconsole.cli.options import unicode_output
from opsconsole.cli.output import say
from opsconsole.errors import ExitCode, UsageError
from opsconsole.load import LoadRun, Plan, Run, report
from opsconsole.load.repetitions import least_p
from opsconsole.load.run_tables import spread
from opsconsole.load.summary import per_second, sentence, share, success, took, verdict
from opsconsole.load.tables import aligned
from opsconsole.profile import Profile
from opsconsole.text import clean_line


def refuse_too_few(bases: int, news: int) -> None:
    """A gate that cannot close is none.

    Raises:
        UsageError: so few runs can never differ beyond chance.
    """
    if least_p(bases, news) > 0.05:
        raise UsageError(
            f"{news} run{'s' * (news != 1)} against {bases} cannot tell a difference from chance",
            where="--fail-if-worse",
            hint="at least 4 a side: make the baseline one of several, by --times 5",
        )


def repeat(
    plan: Plan,
    profile: Profile,
    times: int,
    *,
    bases: Sequence[Run] = (),
    limit: float | None = None,
    quiet: bool = False,
) -> int:
    """Run ``plan`` so often and store every run; then how much they vary, and how they differ
    from ``bases``. The exit code is the worst of them all.

    Raises:
        OpsError: a run cannot be run.
    """
    runs: list[Run] = []
    worst = ExitCode.OK
    for number in range(1, times + 1):
        load_run = LoadRun(plan, profile)
        run = load_run.run
        run.series = runs[0].id if runs else run.id
        with Interrupts() as interrupts:
            code = drive(load_run, profile, interrupts, quiet=quiet)
            kept = load_runs.stored(run)
        _echo([_line(f"{number}/{times}", run)])
        worst = load_runs.gravest(worst, code or kept)
        # What is compared are whole runs; their seconds would only fill the memory.
        runs.append(structs.replace(run, ticks=[]))
        if interrupts.kept and number < times:  # it came while the run was stored
            worst = ExitCode.INTERRUPTED
        if worst is ExitCode.INTERRUPTED:
            break
    good = [run for run in runs if not run.invalid and not run.stopped]
    if len(good) > 1:
        _echo(["", *aligned(spread(good), shutil.get_terminal_size().columns)])
    if not bases:
        return worst
    return load_runs.gravest(worst, load_runs.held_against(bases, good, limit))


def _line(number: str, run: Run) -> str:
    result = run.measured()
    parts = [f"{number}  {report.GLYPHS[verdict(run)]} {sentence(run).partition(':')[0]}"]
    if result is not None:
        totals = result.all()
        p50, p95, p99 = totals.response.percentiles((50, 95, 99))
        parts = [
            *parts,
            f"{per_second(totals.rates(result.rated).good)}/s",
            f"p50 {took(p50)}  p95 {took(p95)}  p99 {took(p99)}",
            f"{share(success(totals))} good",
        ]
    return clean_line(" · ".join(parts), shutil.get_terminal_size((1000, 24)).columns)


def _echo(lines: Sequence[str]) -> None:
    text = "\n".join(lines)
    say(text if unicode_output() else report.plain(text))
