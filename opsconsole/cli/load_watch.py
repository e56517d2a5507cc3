"""A load test driven from the command line: a line of progress, Ctrl-C, the audit trail."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Sequence

from opsconsole.actions.perform import note
from opsconsole.cli import load_runs
from opsconsole.cli.interrupts import Interrupts
from opsconsole.cli.options import unicode_output
from opsconsole.errors import ExitCode, OpsError
from opsconsole.load import LoadRun, Tick, report
from opsconsole.load.plan import Phase
from opsconsole.profile import Profile

_OUTCOMES = {ExitCode.OK: "done", ExitCode.UNKNOWN: "invalid"}


def drive(load_run: LoadRun, profile: Profile, interrupts: Interrupts, *, quiet: bool) -> ExitCode:
    """Run it to its end and note it. What it ended with.

    Raises:
        OpsError: it cannot be run; the audit trail says so too.
        KeyboardInterrupt: it was interrupted twice before anything was sent.
    """
    begin = time.monotonic()
    servers = ",".join(load_run.servers)
    try:
        asyncio.run(_watch(load_run, interrupts, show=not quiet and sys.stderr.isatty()))
    except OpsError as error:
        note("load.run", profile, servers, "cli", begin, "failed", str(error))
        raise
    code = load_runs.exit_code(load_run.run)
    outcome = _OUTCOMES.get(code, "failed")
    note("load.run", profile, servers, "cli", begin, outcome, load_run.plan.name)
    return code


async def _watch(load_run: LoadRun, interrupts: Interrupts, *, show: bool) -> None:
    """Run it to its end. The first Ctrl-C lets what is in flight end, the second does not."""
    loop = asyncio.get_running_loop()
    me = asyncio.current_task()
    assert me is not None

    def interrupt(number: int) -> None:
        # The kernel and the shell may both tell of a terminal that is gone.
        if load_run.run.stopped and number != signal.SIGHUP:
            if load_run.phases:
                load_run.hurry()
            else:
                me.cancel()
        load_run.stop("interrupted")

    def suspend() -> None:
        # The generators are no jobs of this shell: without this they would go on at full rate.
        load_run.pause()
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)  # until SIGCONT
        loop.add_signal_handler(signal.SIGTSTP, suspend)
        load_run.pause(False)

    loop.add_signal_handler(signal.SIGTSTP, suspend)
    recent: list[Tick] = []
    try:
        with interrupts.answered(interrupt):
            async for tick in load_run.ticks():
                recent.append(tick)
                del recent[:-60]
                if show:
                    show_line(recent, load_run.phases)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        if show:
            clear_line()
        with contextlib.suppress(ValueError):
            loop.remove_signal_handler(signal.SIGTSTP)


def show_line(recent: Sequence[Tick], phases: Sequence[Phase]) -> None:
    """The line of progress on the terminal of standard error; none where that is gone."""
    width = shutil.get_terminal_size().columns - 1
    line = report.live(recent, phases, width=width, unicode=unicode_output())
    with contextlib.suppress(OSError):
        print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)


def clear_line() -> None:
    """Take the line of progress away."""
    with contextlib.suppress(OSError):
        print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
