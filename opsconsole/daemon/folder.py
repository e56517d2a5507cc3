"""The folder of one daemon: its files, and its two locks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time

from opsconsole.daemon.identity import Identity
from opsconsole.daemon.record import Record, Spec, parse_identity
from opsconsole.errors import OpsError

_RETRY_SECONDS = 0.02


class Folder:
    """Where one daemon keeps what is known of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.spec = f"{path}/spec.json"
        self.state = f"{path}/state.json"
        self.pid = f"{path}/server.pid"
        self.log = f"{path}/server.log"
        self.keeper_log = f"{path}/keeper.log"
        self.keeper_lock = f"{path}/keeper.lock"
        self.lock = f"{path}/lock"

    def read_spec(self) -> Spec:
        """What to run. Raises OSError or ValueError when that cannot be read."""
        return Spec.parse(_read(self.spec))

    def read_record(self) -> Record:
        """How the daemon is. Raises OSError or ValueError when that cannot be read."""
        return Record.parse(_read(self.state))

    def write_spec(self, spec: Spec) -> None:
        """Replace ``spec.json``; raises OSError."""
        write(self.spec, spec.dump())

    def write_record(self, record: Record) -> None:
        """Replace ``state.json``; raises OSError."""
        write(self.state, record.dump())

    def keeper(self) -> tuple[bool, Identity | None]:
        """Whether a keeper lives, and which process it is (``None`` when it is not yet told).

        The proof is a lock that dies with its holder, so that no file can lie about it.
        """
        try:
            fd = os.open(self.keeper_lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False, None
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                try:
                    return True, parse_identity(json.loads(os.read(fd, 4096)))
                except ValueError:
                    return True, None
            return False, None
        finally:
            os.close(fd)

    def become_keeper(self, timeout: float = 2.0) -> int | None:
        """Take the keeper's lock for the life of this process; ``None`` when another has it."""
        fd = os.open(self.keeper_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A passing reader holds it for an instant, hence the patience.
        if not lock(fd, timeout):
            os.close(fd)
            return None
        os.ftruncate(fd, 0)
        return fd

    def operation(self, verb: str, timeout: float) -> Operation:
        """Take this daemon's lock for a start, stop or restart; a context manager.

        Raises:
            OpsError: another operation holds it for longer than ``timeout`` seconds.
            OSError: the folder cannot be written.
        """
        fd = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not lock(fd, timeout):
            holder = os.pread(fd, 200, 0).decode("utf-8", "replace")
            os.close(fd)
            name = os.path.basename(self.path)
            raise OpsError(
                f"another operation is running: {holder or 'unknown'}",
                where=name,
                hint="try again when it has ended",
            )
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{verb} by process {os.getpid()}".encode(), 0)
        except OSError:
            pass  # a full disk: the note is a courtesy, the lock holds without it
        return Operation(fd)


class Operation:
    """A held lock; closing it lets go."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> Operation:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def lock(fd: int, timeout: float) -> bool:
    """Take the lock of an open file within ``timeout`` seconds; whether it was to be had."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_RETRY_SECONDS)
        else:
            return True


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def write(path: str, data: bytes) -> None:
    """Replace ``path`` atomically, mode 0600.

    As :func:`opsconsole.paths.write_atomic`, which would cost a keeper 5 MB in imports.
    """
    temporary = f"{path}.{os.getpid()}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(temporary, flags, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except OSError:
        remove(temporary)
        raise


def remove(path: str) -> None:
    """Delete a file that may not be there, or may not be deleted."""
    with contextlib.suppress(OSError):
        os.unlink(path)
