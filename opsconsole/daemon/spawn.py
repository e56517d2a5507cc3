"""From a spec to a running process that leads its own session."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HANDLED = ("TERM", "INT", "HUP", "QUIT", "CHLD", "USR1", "USR2", "PIPE", "XFSZ")
_SIGNALS = [getattr(signal, f"SIG{name}") for name in _HANDLED]


def spawn(
    argv: list[str], environ: Mapping[str, str], log: int, record: Callable[[int], None]
) -> int:
    """Start ``argv`` with its output appended to the descriptor ``log``; returns its pid.

    Between the fork and the program, ``record(pid)`` is called: a keeper that is killed at any
    moment leaves either no server or one that its state file names. When this returns, the
    program has begun, in a session of its own, so that no signal to its group can reach ours.

    Raises:
        OSError: it cannot be started.
    """
    go_read, go_write = os.pipe()
    failed_read, failed_write = os.pipe()
    # A signal in the child before it has let go of our handlers would be ours.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _become(argv, environ, log, (go_read, go_write), failed_write, before)
    except OSError:
        for fd in (go_read, go_write, failed_read, failed_write):
            os.close(fd)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(go_read)
    os.close(failed_write)
    try:
        record(pid)
        os.write(go_write, b"+")
    except BrokenPipeError:
        pass  # it was killed meanwhile; whoever waits for it will see
    finally:
        os.close(go_write)
        failure = os.read(failed_read, 16)
        os.close(failed_read)
    if failure:
        os.waitpid(pid, 0)
        code = int(failure)
        raise OSError(code, os.strerror(code), argv[0])
    return pid


def _become(
    argv: list[str],
    environ: Mapping[str, str],
    log: int,
    go: tuple[int, int],
    failed: int,
    mask: set[signal.Signals | int],
) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        os.close(go[1])
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if not os.read(go[0], 1):
            os._exit(127)  # our keeper died before it could write down who we are
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(argv[0], argv, environ)  # noqa: S606 - no shell, on purpose
    except OSError as error:
        os.write(failed, str(error.errno or errno.EIO).encode())
    except BaseException:
        os.write(failed, str(errno.EIO).encode())
    finally:
        sys.stderr.flush()
        os._exit(127)
