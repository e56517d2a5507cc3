"""The command-line face. Nothing here imports textual or torch; each verb is loaded when used."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

from opsconsole.errors import ExitCode, OpsError


def main() -> NoReturn:
    """The entry point of the ``opsconsole`` command: every way to end has its exit code."""
    import click

    from opsconsole.cli.root import root
    from opsconsole.text import clean

    def complain(text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone
            print(f"opsconsole: {clean(text)}", file=sys.stderr)

    try:
        code = root.main(standalone_mode=False, prog_name="opsconsole")
        if sys.stdout is not None:  # closed by >&-
            sys.stdout.flush()
    except OpsError as error:
        complain(str(error))
        code = error.code
    except click.UsageError as error:
        complain(error.format_message())
        if error.ctx is not None:
            print(f"Try: {error.ctx.command_path} --help", file=sys.stderr)
        code = ExitCode.USAGE
    except click.ClickException as error:
        complain(error.format_message())
        code = ExitCode.CRITICAL
    except (KeyboardInterrupt, click.Abort):
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # `opsconsole logs | head`: the reader has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = ExitCode.OK
    sys.exit(int(code) if isinstance(code, int) else 0)
