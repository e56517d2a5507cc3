"""Servers of a profile as one pool behind a balancer, with the rules that hold for all of them."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from opsconsole.balancer.words import (
    base_path,
    host_word,
    identifier,
    listen_word,
    quoted,
    socket_word,
)
from opsconsole.errors import UsageError
from opsconsole.profile import Profile, Server
from opsconsole.profile.problems import nearest
from opsconsole.server.settings import MIB, ServerSettings

Style = Literal["own", "checklist"]
"""``checklist``: the directives of the deployment checklist, to show what they do to a POST."""

LISTEN = "127.0.0.1:8080"
READ_TIMEOUT = 120.0
TRIES = 2
MAX_FAILS = 3
FAIL_TIMEOUT = 10.0
SHORTEST = 0.001
"""Seconds, of any time that nginx is told."""
BALANCER_HEALTH = "/balancer-health"
_ANY = ("", "*", "0.0.0.0", "[::]")
_STORES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
           "/etc/ssl/cert.pem")  # fmt: skip


class Peer(Struct, frozen=True):
    """One server of the pool. ``address``: as nginx writes it, also in ``$upstream_addr``."""

    name: str
    address: str


class Pool(Struct, frozen=True, kw_only=True):
    """What a balancer is told. Times in seconds, sizes in bytes; every word is checked.

    Attributes:
        name: Of the ``upstream``.
        title: Of the profile, for a comment.
        base: Path before every route of the servers.
        tls_name: Name in the servers' certificates. ``ca``: file of those trusted to sign them.
        cert, key: Files with which the balancer itself speaks TLS.
        body_limit: Largest request.
        tries: Servers that one request may be sent to.
        max_fails, fail_timeout: So many failures within this time, and a server gets nothing for
            as long.
        streams: Answers are passed on as they come.
    """

    name: str
    profile: str
    title: str
    peers: tuple[Peer, ...]
    listen: str = LISTEN
    tls: bool = False
    tls_name: str = ""
    ca: str = ""
    base: str = ""
    health: str = "/health"
    cert: str = ""
    key: str = ""
    body_limit: int = 32 * MIB
    connect_timeout: float = 2.0
    read_timeout: float = READ_TIMEOUT
    tries: int = TRIES
    max_fails: int = MAX_FAILS
    fail_timeout: float = FAIL_TIMEOUT
    streams: bool = False
    style: Style = "own"

    def name_of(self, address: str) -> str:
        """The server behind an address of ``$upstream_addr``; the address where it is none."""
        return next((peer.name for peer in self.peers if peer.address == address), address)


def chosen(profile: Profile, names: Sequence[str]) -> list[Server]:
    """The servers called ``names``, all without any.

    Raises:
        UsageError: there is none of that name.
    """
    known = [server.name for server in profile.servers]
    for name in names:
        if name not in known:
            raise UsageError(f"there is no server {name!r}", where=profile.name,
                             hint=nearest(name, known))  # fmt: skip
    return [server for server in profile.servers if not names or server.name in names]


def pool_of(
    profile: Profile,
    servers: Sequence[Server],
    *,
    listen: str = LISTEN,
    tls_name: str = "",
    ca: str = "",
    read_timeout: float | None = None,
    fail_timeout: float = FAIL_TIMEOUT,
    cert: str = "",
    key: str = "",
    **options: Any,
) -> Pool:
    """The pool of ``servers``.

    Args:
        listen: Where the balancer listens; see :func:`~opsconsole.balancer.words.listen_word`.
        tls_name: Name in the servers' certificates; by default the host of their URLs.
        ca: File of the authorities that are trusted; by default the servers', else the system's.
        read_timeout: Longest silence of a server, seconds; by default the longest time that the
            daemons give a request where their ``env`` says it, else 120.
        options: Other attributes of :class:`Pool`.

    Raises:
        UsageError: they cannot stand behind one balancer, or a word cannot be told to nginx.
    """
    if not servers:
        raise UsageError("there is no server to balance", where=profile.name)
    if fail_timeout != int(fail_timeout) or fail_timeout < 1:
        raise UsageError("nginx takes whole seconds", where="--fail-timeout", hint="1s or more")
    place = listen_word(listen)
    peers = []
    for server in servers:
        address = _address(server)
        if address == place or _taken(place, address):
            raise UsageError(f"{server.name} itself listens on {address}", where="--listen",
                             hint="another port")  # fmt: skip
        peers.append(Peer(server.name, address))
    _distinct(peers)
    parts = {server.name: urlsplit(server.url) for server in servers}
    scheme = _same({name: _scheme(part) for name, part in parts.items()}, "scheme")
    base = _same({name: _base(part, name) for name, part in parts.items()}, "path")
    health = _same({server.name: server.health for server in servers}, "health route")
    tls = scheme == "https"
    if health == BALANCER_HEALTH:
        raise UsageError(f"{BALANCER_HEALTH} is the route of nginx itself",
                         where=f"{servers[0].name}: health")  # fmt: skip
    if read_timeout is not None and read_timeout < SHORTEST:
        raise UsageError("nginx takes no less than 1ms", where="--read-timeout")
    if bool(cert) != bool(key):
        raise UsageError("--cert and --key go together")
    return Pool(
        name=identifier(profile.name),
        profile=profile.name,
        title=profile.title,
        peers=tuple(peers),
        listen=place,
        tls=tls,
        tls_name=_tls_name(servers, tls_name) if tls else "",
        ca=quoted(_file(ca or _ca(servers)), "--ca") if tls else "",
        base=base,
        health=quoted(base_path(health, "health") or "/", "health"),
        cert=quoted(str(Path(cert).absolute()), "--cert") if cert else "",
        key=quoted(str(Path(key).absolute()), "--key") if key else "",
        body_limit=_setting(servers, lambda told: told.max_body_bytes, min, 32 * MIB),
        connect_timeout=max(SHORTEST, *(server.timeout for server in servers)),
        read_timeout=read_timeout or _read_timeout(servers),
        fail_timeout=fail_timeout,
        **options,
    )


def _taken(place: str, address: str) -> bool:
    """Whether who listens at ``place`` on all addresses of this machine would be at ``address``:
    nginx would ask itself."""
    host, _, port = place.rpartition(":")
    theirs, _, theirs_port = address.rpartition(":")
    if port != theirs_port or host not in _ANY:
        return False
    family = socket.AF_INET6 if theirs.startswith("[") else socket.AF_INET
    if (host == "[::]") is not (family == socket.AF_INET6):
        return False  # nginx's [::] takes no IPv4
    with contextlib.suppress(OSError, UnicodeError), socket.socket(family) as probe:
        probe.bind((theirs.strip("[]"), 0))  # only an address of this machine can be
        return True
    return False


def _address(server: Server) -> str:
    if server.unix:
        return socket_word(server.unix, server.name)
    return f"{host_word(server.host, server.name)}:{server.port}"


def _scheme(parts: SplitResult) -> str:
    """HTTP is spoken at a Unix socket."""
    return "http" if parts.scheme == "unix" else parts.scheme


def _base(parts: SplitResult, name: str) -> str:
    return "" if parts.scheme == "unix" else base_path(parts.path, name)


def _distinct(peers: Sequence[Peer]) -> None:
    seen: dict[str, str] = {}
    for peer in peers:
        if peer.address in seen:
            raise UsageError(f"{seen[peer.address]} and {peer.name} are both {peer.address}",
                             hint="leave one out with --servers")  # fmt: skip
        seen[peer.address] = peer.name


def _same(values: dict[str, str], what: str) -> str:
    """The one value that all have; nginx tells every server of an upstream the same."""
    names = {value: name for name, value in reversed(values.items())}
    if len(names) > 1:
        (first, one), (second, other) = list(names.items())[:2]
        raise UsageError(
            f"the servers differ in their {what}: {one} has {first or '/'}, {other} has "
            f"{second or '/'}", hint="an nginx upstream has one; choose with --servers",
        )  # fmt: skip
    return next(iter(names))


def _tls_name(servers: Sequence[Server], told: str) -> str:
    if told:
        return host_word(told, "--tls-name")
    hosts = {server.host.lower() for server in servers}
    if hosts <= {"localhost", "127.0.0.1", "::1"}:
        return "localhost"
    if len(hosts) > 1:
        raise UsageError("the servers' certificates have different names",
                         hint="--tls-name NAME that all of them have")  # fmt: skip
    host = hosts.pop()
    word = host_word(host, servers[0].name)
    if word.startswith("[") or word.replace(".", "").isdigit():
        raise UsageError(f"nginx does not verify a certificate by an address ({host})",
                         hint="--tls-name NAME that the certificate has")  # fmt: skip
    return word


def _ca(servers: Sequence[Server]) -> str:
    """Whom the profile trusts to sign their certificates; empty: as the system does."""
    for server in servers:
        if server.is_unchecked:
            raise UsageError(f"the profile does not check {server.name}'s certificate, nginx does",
                             hint="--ca FILE: who signed it, or itself")  # fmt: skip
    return _same({s.name: (s.tls.ca if s.tls else None) or "" for s in servers}, "tls ca")


def _file(told: str) -> str:
    if told:
        return str(Path(told).expanduser().absolute())
    found = [ssl.get_default_verify_paths().cafile, *_STORES]
    for path in found:
        if path and Path(path).is_file():
            return path
    return _STORES[0]


def _read_timeout(servers: Sequence[Server]) -> float:
    if not any("OPSCONSOLE_MAX_REQUEST_SECONDS" in _env(server) for server in servers):
        return READ_TIMEOUT
    return float(_setting(servers, lambda told: told.max_deadline, max, READ_TIMEOUT))


def _env(server: Server) -> dict[str, str]:
    return server.daemon.env if server.daemon is not None else {}


def _setting(servers: Sequence[Server], of: Callable[[ServerSettings], Any],
             choose: Callable[..., Any], otherwise: Any) -> Any:  # fmt: skip
    """A setting of those that are daemons here; others do not tell theirs."""
    told = [of(ServerSettings.from_env(_env(server))) for server in servers if server.daemon]
    return choose(told) if told else otherwise
