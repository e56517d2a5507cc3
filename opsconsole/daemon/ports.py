"""Who holds a TCP port: asked before a server is started, so that the answer names the culprit."""

from __future__ import annotations

import errno
import os
import pwd
import socket
from typing import NamedTuple

from opsconsole.daemon.group import environ_of
from opsconsole.daemon.identity import LINUX, read_argv
from opsconsole.errors import OpsError
from opsconsole.text import clean_line

_LISTEN = "0A"
_NAME_LIMIT = 40
_COMMAND_LIMIT = 80


class Owner(NamedTuple):
    """The program that listens on a port, as far as this user may see it."""

    pid: int | None
    name: str
    user: str
    command: str = ""
    daemon: str = ""
    """The daemon's name, when it is one of opsconsole's."""
    log: str = ""
    """That daemon's log file."""

    def __str__(self) -> str:
        who = f"daemon {self.daemon!r}, " if self.daemon else ""
        pid = "pid not visible" if self.pid is None else f"pid {self.pid}"
        return f"{self.name} ({who}{pid}, user {self.user})"


def reachable(host: str) -> str:
    """Where a server that listens on ``host`` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def accepts(host: str, port: int, timeout: float = 0.1) -> bool:
    """Whether anything accepts a connection there; cheap when nothing does."""
    try:
        with socket.create_connection((reachable(host), port), timeout):
            return True
    except OSError:
        return False


def bindable(host: str, port: int) -> OSError | None:
    """``None`` when a server could listen there now, else why not.

    Tried, not read from a table: it gives the kernel's own answer for wildcard addresses, IPv6
    and sockets that are bound without listening. ``SO_REUSEADDR`` as the server sets it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind(address)
    except OSError as error:
        return error
    return None


def require_free(name: str, host: str, port: int, own_log: str) -> None:
    """Refuse a start that could only fail.

    Raises:
        OpsError: the port is taken (by whom), the address is not this machine's, or a port below
            1024 needs a right that this user lacks.
    """
    error = bindable(host, port)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        raise taken(name, port, owner(port), own_log)
    if error.errno == errno.EACCES:
        raise OpsError(
            f"port {port} needs a right that this user lacks",
            where=name,
            hint="take a port above 1023",
        )
    raise OpsError(
        f"cannot listen on {host}, port {port}: {error.strerror}",
        where=name,
        hint="a daemon's url must name an address of this machine, such as 127.0.0.1",
    )


def _keeper_of(pid: int | None) -> int | None:
    """The keeper that started ``pid``, if that is its parent still: ended alone, the server would
    be started again."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            parent = int(stream.read().rpartition(b")")[2].split()[1])
        with open(f"/proc/{parent}/cmdline", "rb") as stream:
            return parent if b"opsconsole.daemon.keeper" in stream.read() else None
    except (OSError, ValueError, IndexError):
        return None


def taken(name: str, port: int, holder: Owner | None, own_log: str) -> OpsError:
    """The error that a taken port is."""
    if holder is None:
        return OpsError(
            f"port {port} is taken by a process that is not visible here",
            where=name,
            hint="it may run in another container, or as another user: look as root",
        )
    if holder.log == own_log:
        hint = "it is this daemon, whose state was lost: end it with"
        hint += f" kill {_keeper_of(holder.pid) or holder.pid}"
    elif holder.daemon:
        hint = "two daemons cannot share a port: stop that one, or change the url of one"
    else:
        hint = "stop it, or give the daemon another port"
        if holder.command:
            hint += f"; it runs: {holder.command}"
    return OpsError(f"port {port} is taken by {holder}", where=name, hint=hint)


def owner(port: int) -> Owner | None:
    """Who listens on TCP ``port``; ``None`` when nobody does, as far as can be seen."""
    if not LINUX:
        return _owner_elsewhere(port)
    sockets = _listening(port)
    if not sockets:
        return None
    wanted = {f"socket:[{inode}]" for inode in sockets}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _holds(entry, wanted):
            return describe(int(entry), _user(next(iter(sockets.values()))))
    return Owner(None, "a process", _user(next(iter(sockets.values()))))


def describe(pid: int, user: str) -> Owner:
    """The owner that process ``pid`` is."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as stream:
            name = stream.read().decode("utf-8", "replace").strip()
    except OSError:
        name = ""
    words = [os.fsdecode(word) for word in (read_argv(pid) or b"").split(b"\0") if word]
    environ = environ_of(pid)
    return Owner(
        pid,
        clean_line(name or os.path.basename(words[0] if words else "?"), _NAME_LIMIT),
        user,
        clean_line(" ".join(words), _COMMAND_LIMIT),
        clean_line(os.fsdecode(environ.get(b"OPSCONSOLE_SERVER_NAME", b"")), _NAME_LIMIT),
        os.fsdecode(environ.get(b"OPSCONSOLE_LOG_FILE", b"")),
    )


def _listening(port: int) -> dict[str, int]:
    """Socket inode → user id, of every listener on ``port``."""
    found = {}
    suffix = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as stream:
                next(stream, None)
                for line in stream:
                    fields = line.split(None, 10)
                    if fields[3] == _LISTEN and fields[1].endswith(suffix):
                        found[fields[9]] = int(fields[7])
        except OSError:
            continue
    return found


def _holds(pid: str, sockets: set[str]) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(f"{folder}/{descriptor}") in sockets:
                return True
        except OSError:
            continue
    return False


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _owner_elsewhere(port: int) -> Owner | None:
    import psutil

    for process in psutil.process_iter():
        try:
            for held in process.net_connections("tcp"):
                if held.status == psutil.CONN_LISTEN and held.laddr.port == port:
                    found = describe(process.pid, process.username())
                    return found._replace(name=clean_line(process.name(), _NAME_LIMIT))
        except psutil.Error:
            continue  # of another user
    return None
