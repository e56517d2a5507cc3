"""Listening sockets: had without surprises, and given up without losing a connection."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import struct
import sys

from opsconsole.errors import OpsError

BACKLOG = 2048
_SO_ATTACH_FILTER = 26
_DROP = struct.pack("=HBBI", 0x06, 0, 0, 0)
"""A socket filter (classic BPF) of one instruction: keep 0 bytes."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of ``host``.

    Raises:
        OpsError: the name has no address, or the port cannot be had.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OpsError(
            f"HOST is {host!r}, which has no address: {error.strerror}", where=place
        ) from None
    sockets: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                one = undo.enter_context(socket.socket(family, kind, protocol))
            except OSError:
                continue  # a family that this kernel lacks
            try:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind(address)
                one.listen(BACKLOG)
                one.setblocking(False)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL and (sockets or len(found) > 1):
                    continue  # localhost names ::1 where IPv6 is off
                raise _cannot_bind(error, place) from None
            sockets.append(one)
            if port == 0:
                break  # two families would get two ports
        if not sockets:
            raise OpsError("no address of this host can be listened on", where=place)
        undo.pop_all()
    return sockets


def _cannot_bind(error: OSError, place: str) -> OpsError:
    if error.errno == errno.EADDRINUSE:
        return OpsError(
            "the port is in use by another program",
            where=place,
            hint="stop that program or choose another PORT",
        )
    if error.errno == errno.EACCES:
        return OpsError(
            "the port is reserved for root", where=place, hint="choose a PORT from 1024"
        )
    return OpsError(f"cannot listen: {error.strerror}", where=place)


def allow_files(count: int) -> None:
    """Let this process open so many files, as far as it may: 1,024 is a usual first limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def stop_listening(listener: socket.socket) -> list[socket.socket]:
    """Close a listening socket; returns the connections that nobody had accepted yet.

    Closing alone would reset them, and their clients would lose requests that they have sent.
    """
    _drop_handshakes(listener)
    connections = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if error.errno in (errno.ECONNABORTED, errno.EINTR):
                continue
            break
        connection.setblocking(False)
        connections.append(connection)
    listener.close()
    return connections


def _drop_handshakes(listener: socket.socket) -> None:
    """Let nobody connect between the last accept and the close.

    A client that tries then repeats its SYN a second later, and is refused, or served by our
    successor. Only Linux has this; elsewhere the gap of microseconds stays.
    """
    if sys.platform != "linux":
        return
    import ctypes

    program = ctypes.create_string_buffer(_DROP)
    header = struct.pack("@HP", 1, ctypes.addressof(program))
    with contextlib.suppress(OSError):  # a kernel or sandbox without socket filters
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)
