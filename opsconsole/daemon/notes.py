"""What a keeper says, in ``keeper.log``: its standard error, bounded, never in its way."""

from __future__ import annotations

import contextlib
import os
import time

MAX_BYTES = 1_000_000


def open_notes(path: str) -> None:
    """Point standard error at ``path``; a file that has grown is kept once as ``path.1``."""
    try:
        if os.path.exists(path) and os.stat(path).st_size > MAX_BYTES:
            os.replace(path, f"{path}.1")
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        log = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(log, 2, inheritable=False)
    os.close(log)


def say(text: str) -> None:
    """Add a line; a full disk swallows it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with contextlib.suppress(OSError):
        os.write(2, f"{stamp} {text}\n".encode("utf-8", "replace"))
