"""Which process is meant: pid, kernel start time, boot and command line, never a pid alone.

Pids are reused, also after a reboot, and a PID file may name a stranger. A signal goes only to a
process that was proved, while held by a pidfd, to be the one that was recorded.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from enum import Enum
from typing import Any, NamedTuple

from opsconsole.errors import OpsError

LINUX = sys.platform == "linux"
_NO_PIDFD = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL})
_POLL_SECONDS = 0.02
_boot = ""


class Stat(NamedTuple):
    """What the kernel says about a process."""

    dead: bool
    """A zombie: it has ended and waits to be reaped."""
    group: int
    session: int
    start: float
    """Clock ticks since boot on Linux (no clock step moves it), elsewhere seconds."""


class Identity(NamedTuple):
    """One process of one boot of one machine."""

    pid: int
    start: float
    boot: str
    argv: str
    """SHA-256 of the command line."""


class Presence(Enum):
    """Whether the process of an identity is there."""

    SAME = "same"
    GONE = "gone"
    STRANGER = "stranger"
    """Its pid belongs to another process now."""
    UNKNOWN = "unknown"
    """It cannot be told. Such a process is never signalled."""


def boot_id() -> str:
    """A name of this boot of this machine."""
    global _boot
    if not _boot:
        if LINUX:
            with open("/proc/sys/kernel/random/boot_id") as stream:
                _boot = stream.read().strip()
        else:
            import subprocess

            _boot = subprocess.check_output(
                ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], text=True
            ).strip()
    return _boot


def _sha256(data: bytes) -> str:
    try:  # hashlib maps OpenSSL: 4 MB that a keeper need not have
        module: Any = __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256")
    except ImportError:
        import hashlib as module
    return str(module.sha256(data).hexdigest())


def argv_hash(argv: list[str]) -> str:
    """The hash of a command line before there is a process."""
    return _sha256(b"".join(os.fsencode(word) + b"\0" for word in argv))


def read_stat(pid: int) -> Stat | None:
    """The kernel's view of ``pid``, or ``None`` when there is no such process to be seen."""
    if not LINUX:
        return _stat_elsewhere(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            data = stream.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The second field is the program's name in brackets, which may itself contain ") ".
    fields = data[data.rindex(b")") + 2 :].split()
    # A process whose main thread has ended looks like a zombie while its other threads run.
    dead = fields[0] in (b"X", b"x") or (fields[0] == b"Z" and int(fields[17]) <= 1)
    return Stat(dead, int(fields[2]), int(fields[3]), float(fields[19]))


def _stat_elsewhere(pid: int) -> Stat | None:
    import psutil

    try:
        process = psutil.Process(pid)
        dead = process.status() == psutil.STATUS_ZOMBIE
        start = round(process.create_time(), 2)
        group, session = os.getpgid(pid), os.getsid(pid)
    except (psutil.Error, OSError):
        return None
    return Stat(dead, group, session, start)


def read_argv(pid: int) -> bytes | None:
    """The command line of ``pid``, NUL-terminated words; ``None`` when it cannot be read."""
    if LINUX:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                return stream.read()
        except OSError:
            return None
    import psutil

    try:
        return b"".join(os.fsencode(word) + b"\0" for word in psutil.Process(pid).cmdline())
    except (psutil.Error, OSError):
        return None


def identify(pid: int) -> Identity | None:
    """The identity of the living process ``pid``, or ``None``."""
    before = read_stat(pid)
    argv = read_argv(pid)
    after = read_stat(pid)
    # Without a command line it is ending, or only just beginning: nothing to know it by.
    if before is None or after is None or after.dead or not argv:
        return None
    return Identity(pid, after.start, boot_id(), _sha256(argv)) if before == after else None


def presence(identity: Identity) -> Presence:
    """Whether the process that ``identity`` names is alive."""
    if identity.boot != boot_id():
        return Presence.GONE
    stat = read_stat(identity.pid)
    if stat is None:
        try:
            os.kill(identity.pid, 0)
        except ProcessLookupError:
            return Presence.GONE
        except PermissionError:
            return Presence.UNKNOWN  # /proc hides the processes of others (hidepid)
        stat = read_stat(identity.pid)
        if stat is None:
            return Presence.UNKNOWN
    if stat.start != identity.start:
        return Presence.STRANGER
    if stat.dead:
        return Presence.GONE
    argv = read_argv(identity.pid)
    # A process that is ending has no command line any more, and may take long (GPU memory).
    if argv == b"" or (argv is not None and _sha256(argv) == identity.argv):
        return Presence.SAME
    return Presence.UNKNOWN


class Handle:
    """A living process that was proved to be the one meant.

    Its signals cannot reach another process, even if it ends and its pid is given away meanwhile
    (Linux; elsewhere the proof is repeated right before each signal).
    """

    def __init__(self, identity: Identity, fd: int | None) -> None:
        self.identity = identity
        self._fd = fd

    @classmethod
    def claim(cls, identity: Identity) -> Handle | None:
        """Hold the process, or ``None`` when it is gone (its pid may be a stranger's).

        Raises:
            OpsError: it cannot be told whether it is the process meant.
        """
        fd = _pidfd(identity.pid)  # first held, then compared, and only then signalled
        found = presence(identity)
        if found is Presence.SAME:
            return cls(identity, fd)
        if fd is not None:
            os.close(fd)
        if found is Presence.UNKNOWN:
            raise OpsError(
                f"process {identity.pid} cannot be proved to be the one that was started, "
                "so it is left alone",
                hint=f"look at it with: ps -fp {identity.pid}",
            )
        return None

    def fileno(self) -> int:
        """A descriptor that polls as readable when the process ends; -1 where there is none."""
        return -1 if self._fd is None else self._fd

    def alive(self) -> bool:
        """Whether it still runs."""
        return not self.wait(0)

    def send(self, signum: int) -> bool:
        """Signal it; ``False`` when it has ended."""
        try:
            if self._fd is not None:
                signal.pidfd_send_signal(self._fd, signum)
            elif presence(self.identity) is Presence.SAME:
                os.kill(self.identity.pid, signum)
            else:
                return False
        except ProcessLookupError:
            return False
        return True

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for its end; ``True`` when it has ended."""
        if self._fd is not None:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return bool(poll.poll(max(0, int(timeout * 1000))))
        deadline = time.monotonic() + timeout
        while presence(self.identity) in (Presence.SAME, Presence.UNKNOWN):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Let go of it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pidfd(pid: int) -> int | None:
    if not LINUX:
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    except OSError as error:
        if error.errno not in _NO_PIDFD:
            raise
        return None  # an old kernel, or a sandbox that forbids it


def signal_exactly(pid: int, start: float, signum: int) -> bool:
    """Signal ``pid`` if it still is the process that began at ``start``."""
    fd = _pidfd(pid)
    try:
        stat = read_stat(pid)
        if stat is None or stat.start != start or stat.dead:
            return False
        if fd is not None:
            signal.pidfd_send_signal(fd, signum)
        else:
            os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        if fd is not None:
            os.close(fd)
    return True
