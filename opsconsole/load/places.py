"""Whether two servers are one, however their addresses are written."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

from opsconsole.profile import Server

PATIENCE = 2.0
"""Seconds for looking names up; one that takes longer is none that is known."""
_SHARED = frozenset((80, 443))
"""Ports at which one address serves many names, each of them another server."""


class Place(NamedTuple):
    """Where a server listens, whatever its scheme and path. ``host``: ``localhost`` for all
    addresses of this machine that lead back to it; for a Unix socket its path, with port 0."""

    host: str
    port: int
    is_name: bool


def place_of(server: Server) -> Place:
    """As it is written: no name is looked up."""
    if server.unix:
        return Place(server.unix, 0, is_name=False)
    host = server.host.rstrip(".").lower()
    with suppress(OSError):
        host = socket.inet_ntoa(socket.inet_aton(host))  # 127.1 is 127.0.0.1
    address = _address(host)
    return Place(address or host, server.port, is_name=address is None and host != "localhost")


def sharing(some: Iterable[Server], groups: Sequence[Iterable[Server]]) -> int | None:
    """The first of the groups that has one of these servers; None without any.

    Names are looked up, all at once, where one of two may be an address of the other; two names at
    a port of the web are two servers.
    """
    mine = {place_of(server) for server in some}
    theirs = [{place_of(server) for server in group} for group in groups]
    for number, group in enumerate(theirs):
        if mine & group:
            return number
    pairs = [
        (number, one, other)
        for number, group in enumerate(theirs)
        for one in mine
        for other in group
        if one.port == other.port != 0
        and (one.is_name or other.is_name)
        and not (one.is_name and other.is_name and one.port in _SHARED)
    ]
    known = _looked_up({each.host for _, *pair in pairs for each in pair if each.is_name})
    for number, one, other in pairs:
        if known.get(one.host, {one.host}) & known.get(other.host, {other.host}):
            return number
    return None


def _address(host: str) -> str | None:
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    # What this machine can bind is its own, and so is what leads there from here.
    is_own = address.is_loopback or address.is_unspecified or _is_own(str(address))
    return "localhost" if is_own else str(address)


def _is_own(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return True
    return False


def _looked_up(names: Iterable[str]) -> dict[str, set[str]]:
    """The addresses of the names that are known within :data:`PATIENCE`."""
    found: dict[str, set[str]] = {}

    def look(name: str) -> None:
        with suppress(OSError, UnicodeError):
            infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            found[name] = {address for info in infos if (address := _address(str(info[4][0])))}

    # Daemons: one that hangs must not hold up the end of this process.
    threads = [threading.Thread(target=look, args=(name,), daemon=True) for name in sorted(names)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(found)
