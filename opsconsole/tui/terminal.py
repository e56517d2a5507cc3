"""Keeping the terminal whole: native writes to fd 2, and crashes that tell no secrets."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from opsconsole import paths


@contextlib.contextmanager
def guarded_stderr() -> Iterator[None]:
    """Send what native code writes on fd 2 to a file while the screen is up.

    Textual draws through ``sys.__stderr__``, so a line that a C library prints there would land in
    the middle of the picture. The driver keeps the real terminal under another descriptor.
    """
    original = sys.__stderr__
    if original is None:
        yield
        return
    saved = os.dup(2)
    target = open_log("stderr.log")
    # `opsconsole 2>errors` must not draw its screen into that file.
    terminal = saved if os.isatty(saved) else 1
    screen = io.TextIOWrapper(
        os.fdopen(os.dup(terminal), "wb"),  # buffered: a raw write to a terminal may be a short one
        encoding=original.encoding or "utf-8",
        errors="replace",
        write_through=True,
    )
    sys.__stderr__ = screen  # type: ignore[misc]
    original.flush()
    os.dup2(target, 2)
    os.close(target)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the terminal is gone, and what it was to show
            screen.flush()
        os.dup2(saved, 2)
        os.close(saved)
        sys.__stderr__ = original  # type: ignore[misc]
        with contextlib.suppress(OSError):
            screen.close()


def hung_up() -> bool:
    """Whether the terminal of standard input is gone.

    SIGHUP says so too, but not to whoever was started with ``nohup`` or ``setsid``; and Textual
    reads the end of a lost terminal again and again, with all of a core.
    """
    if sys.__stdin__ is None:
        return False
    poll = select.poll()
    try:
        poll.register(sys.__stdin__.fileno(), select.POLLIN)
        return any(what & (select.POLLHUP | select.POLLERR) for _, what in poll.poll(0))
    except (OSError, ValueError):
        return True


def open_log(name: str) -> int:
    """A descriptor of a private file that is appended to; ``/dev/null`` when it cannot be."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        folder = paths.private_dir(paths.state_dir())
        return os.open(folder / name, flags, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def write_crash(error: BaseException) -> Path | None:
    """Write the trace, without the values of variables, to a private file; its path, or None."""
    text = "".join(traceback.format_exception(error))
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = paths.state_dir() / f"crash-{stamp}-{os.getpid()}.log"
    try:
        paths.private_dir(path.parent)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as stream:
            stream.write(text)
    except OSError:
        return None
    return path
