"""Where a verb's result goes: to standard output or into a file, however broken either is.

A pipe without a reader, a full disk, a terminal that was closed or one that can only show ASCII
must cost no more than the words that were to go there.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from pathlib import Path

from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.paths import write_atomic

_LINKS = 40
"""As many links as the system follows one after the other."""


def check_output(output: Path | None) -> None:
    """Whether a report can be written there, before what it is to tell of is begun.

    Raises:
        UsageError: the folder is not there or cannot be written, or the file is a folder.
    """
    if output is None or _is_device(output):
        return
    try:
        if output.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        tempfile.TemporaryFile(dir=output.parent).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"nothing can be written there: {reason}", where=str(output)) from None


def write(text: str, output: Path | None, *, document: bool = False) -> None:
    """To standard output, or whole into a file, where it is UTF-8.

    Args:
        document: It is for programs: UTF-8 on standard output too, whatever the terminal shows.

    Raises:
        OpsError: it cannot be written; its exit code is that of a warning. A reader that is gone
            had what it wanted: nothing is said.
    """
    try:
        if output is None:
            _to_stdout(text if text.endswith("\n") else text + "\n", document=document)
        elif _is_device(output):
            output.write_bytes(text.encode(errors="backslashreplace"))
        else:
            # Through a link, not in its place.
            write_atomic(output.resolve(), text.encode(errors="backslashreplace"), mode=0o644)
    except BrokenPipeError:
        return
    except OSError as error:
        where = str(output) if output is not None else "standard output"
        reason = error.strerror or str(error)
        raise OpsError(
            f"the report cannot be written: {reason}", where=where, code=ExitCode.WARNING
        ) from None


def say(text: str, *, err: bool = False) -> None:
    """One or several lines beside the result, on standard output or on standard error; where
    nobody can read them, they are lost."""
    with contextlib.suppress(OSError, OpsError):
        if err:
            # Its own way with what the terminal cannot show is to escape it.
            print(text, file=sys.stderr, flush=True)
        else:
            write(text, None)


def _to_stdout(text: str, *, document: bool) -> None:
    stream = sys.stdout
    if stream is None:
        raise OSError(0, "it is closed")
    encoding = "utf-8" if document else stream.encoding or "utf-8"
    try:
        stream.flush()
        stream.buffer.write(text.encode(encoding, "backslashreplace"))
        stream.buffer.flush()
    except OSError:
        # What is left in the buffers would fail once more when the process ends.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
        raise


def _is_device(path: Path) -> bool:
    """A terminal, a pipe or /dev/null: written to, where a file is replaced.

    /dev/stdout may lead to a file, and is a link that belongs to the whole machine.
    """
    seen = path.absolute()
    for _ in range(_LINKS):
        if seen.parts[1:2] in (("dev",), ("proc",)):
            return True
        if not seen.is_symlink():
            break
        seen = seen.parent / seen.readlink()
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
