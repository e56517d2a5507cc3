"""Ctrl-Z where it would leave a server away or on trial, for as long as nobody remembers it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from opsconsole.cli.output import say


@contextmanager
def not_suspended(why: str) -> Iterator[None]:
    """While it lasts, Ctrl-Z suspends nothing, and ``why`` is said. For a running event loop.

    The load would go on without us: its generator, nginx and the daemons are no jobs of this shell.
    """
    loop = asyncio.get_running_loop()
    if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:  # a shell without job control
        yield
        return
    loop.add_signal_handler(signal.SIGTSTP, lambda: say(f"\nopsconsole: {why}", err=True))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTSTP)
