"""``opsconsole`` without a command: the screen."""

from __future__ import annotations

import sys

from opsconsole.errors import ExitCode, UsageError


def open_console(profile_name: str | None, *, start: bool, read_only: bool, ascii: bool) -> int:
    """Run the console until the operator leaves it.

    Raises:
        UsageError: there is no terminal to draw on.
    """
    from opsconsole.profile import load

    profile = load(profile_name)  # its mistakes are told before the screen is taken
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the console needs a terminal",
            hint="use `opsconsole --check`, `status` or `watch` where there is none",
        )
    from opsconsole.tui import run

    code = run(profile, start=start, read_only=read_only, ascii=ascii)
    return code if code is not None else ExitCode.OK
