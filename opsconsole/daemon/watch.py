"""The server that a keeper watches: its child, or one that a keeper before it left behind."""

from __future__ import annotations

import os
import signal

from opsconsole.daemon.exits import Exit
from opsconsole.daemon.identity import Handle, Identity, signal_exactly


class Child:
    """A server that this keeper started.

    Its end is seen without reaping it: until :meth:`release`, its pid, and so its group's
    number, cannot be given to anybody else. (macOS cannot look without reaping.)
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._reaped: Exit | None = None

    def fileno(self) -> int:
        """-1: the end of a child comes as SIGCHLD."""
        return -1

    def ended(self) -> Exit | None:
        """How it ended; ``None`` while it runs."""
        if not hasattr(os, "waitid"):
            return self._reap()
        found = os.waitid(os.P_PID, self.identity.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        if found.si_code == os.CLD_EXITED:
            return Exit(code=found.si_status)
        return Exit(signum=found.si_status)

    def _reap(self) -> Exit | None:
        if self._reaped is None:
            pid, status = os.waitpid(self.identity.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._reaped = Exit(code=code) if code >= 0 else Exit(signum=-code)
        return self._reaped

    def send(self, signum: int) -> bool:
        """Signal it; ``False`` when it has ended."""
        return signal_exactly(self.identity.pid, self.identity.start, signum)

    def release(self) -> None:
        """Reap it after its end."""
        self._reap()


class Adopted:
    """A server that runs already. How it ends cannot be learnt, only that it did."""

    def __init__(self, handle: Handle) -> None:
        self.identity = handle.identity
        self._handle = handle

    def fileno(self) -> int:
        """A descriptor that is readable when it ends, or -1."""
        return self._handle.fileno()

    def ended(self) -> Exit | None:
        """An unknown exit when it has ended; ``None`` while it runs."""
        return None if self._handle.alive() else Exit()

    def send(self, signum: int) -> bool:
        """Signal it; ``False`` when it has ended."""
        return self._handle.send(signal.Signals(signum))

    def release(self) -> None:
        """Let go of it."""
        self._handle.close()
