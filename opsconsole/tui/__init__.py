"""The screen face."""

from __future__ import annotations

import sys

from opsconsole.profile import Profile


def run(
    profile: Profile, *, start: bool = False, read_only: bool = False, ascii: bool = False
) -> int | None:
    """Open the console on ``profile`` and run it until the operator leaves.

    Returns:
        The exit code: None for an ordinary end, 128 + signal after a signal.
    """
    from opsconsole.tui.app import ConsoleApp
    from opsconsole.tui.terminal import guarded_stderr

    app = ConsoleApp(profile, start=start, read_only=read_only, ascii=ascii)
    with guarded_stderr():
        app.run()
    if app.crash:
        print(app.crash, file=sys.stderr)
    return app.return_code or None
