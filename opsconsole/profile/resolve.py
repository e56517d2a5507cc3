"""Document → model: defaults applied, and the rules that need more than one key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from opsconsole.errors import OpsError
from opsconsole.load_words import LATEST, MODES, VERBS
from opsconsole.profile.document import (
    DaemonDoc,
    DefaultsDoc,
    ProfileDoc,
    ServerDoc,
    ServiceLevelDoc,
    TlsDoc,
)
from opsconsole.profile.load_rules import faults
from opsconsole.profile.loads import LoadDoc, written
from opsconsole.profile.model import DaemonSpec, Profile, Server, ServiceLevel, Tls
from opsconsole.profile.problems import Problem, ProfileError, nearest
from opsconsole.profile.read import Places, dotted
from opsconsole.profile.threshold import Threshold, parse_threshold

LONGEST_SOCKET = 107
"""Bytes of a Unix socket's path that the system takes (sun_path, without the zero at its end)."""
_LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::")


def resolve(document: ProfileDoc, places: Places, file: str, path: Path | None) -> Profile:
    """The profile.

    Raises:
        ProfileError: two servers of one name, two daemons on one port, a URL that cannot be used,
            a load test that contradicts itself.
    """
    problems: list[Problem] = []

    def problem(key: tuple[str | int, ...], message: str, hint: str = "") -> None:
        known = key
        while known not in places:
            known = known[:-1]
        problems.append(Problem(message, *places[known], dotted(key), hint))

    defaults = document.defaults if isinstance(document.defaults, DefaultsDoc) else DefaultsDoc()
    servers = []
    names: dict[str, int] = {}
    ports: dict[int, str] = {}
    for key, message, hint in _tls_faults(defaults.tls):
        problem(("defaults", "tls", key), message, hint)
    if not document.servers:
        problem(("servers",), "there is no server", "add at least one, with name and url")
    for i, entry in enumerate(document.servers):
        here: tuple[str | int, ...] = ("servers", i)
        if entry.name in names:
            problem(
                (*here, "name"),
                f"{entry.name!r} is already the name of servers[{names[entry.name]}]",
            )
        names.setdefault(entry.name, i)
        wrong = check_url(entry.url)
        if wrong:
            problem((*here, "url"), *wrong)
            continue
        server = _server(entry, defaults)
        if entry.tls is not UNSET and urlsplit(server.url).scheme != "https":
            problem((*here, "tls"), "only a server with an https url has a certificate",
                    "remove tls, or write https://")  # fmt: skip
        for key, message, hint in _tls_faults(entry.tls):
            problem((*here, "tls", key), message, hint)
        for key, seconds in (("interval", server.interval), ("timeout", server.timeout)):
            if seconds < 0.05:
                problem((*here, key), "must be at least 50ms")
        if not server.health.startswith("/"):
            problem((*here, "health"), "expected a path such as /health")
        if server.daemon is not None:
            daemon: tuple[str | int, ...] = (*here, "daemon")
            if server.kind != "own":
                problem((*here, "kind"), "a daemon is always of kind own", "remove kind or daemon")
            if server.host not in _LOCAL:
                problem((*here, "url"), "a daemon runs on this machine",
                        "use http://127.0.0.1:PORT")  # fmt: skip
            secure = urlsplit(server.url).scheme == "https"
            if secure != bool(server.daemon.env.get("TLS_CERT_FILE")):
                problem((*here, "url"), "https and TLS_CERT_FILE go together",
                        "a daemon with an https url needs TLS_CERT_FILE and TLS_KEY_FILE in its "
                        "env")  # fmt: skip
            if server.port in ports:
                problem(
                    (*here, "url"),
                    f"port {server.port} is already that of the daemon {ports[server.port]!r}",
                )
            ports.setdefault(server.port, server.name)
            for name in ("HOST", "PORT"):
                if name in server.daemon.env:
                    problem((*daemon, "env", name), "comes from url", "change the url instead")
            for key in ("start_timeout", "stop_grace", "backoff", "restart_on_degraded"):
                value = getattr(server.daemon, key)
                if value is not None and value <= 0:
                    problem((*daemon, key), "must be more than 0s")
            if server.daemon.restart_on_degraded and server.daemon.restart == "never":
                problem((*daemon, "restart_on_degraded"), "contradicts restart: never",
                        "remove one of them")  # fmt: skip
        servers.append(server)
    loads = tuple(_loads(document.loads or (), names, path, problem))
    if problems:
        raise ProfileError(file, problems)
    return Profile(
        name=document.name,
        title=document.title or "",
        environment=document.environment or "development",
        servers=tuple(servers),
        loads=loads,
        path=path,
    )


def _loads(
    loads: tuple[LoadDoc, ...],
    servers: dict[str, int],
    path: Path | None,
    problem: Callable[..., None],
) -> Iterator[LoadDoc]:
    """The load tests, with the files they replay found from the profile's folder."""
    names: dict[str, int] = {}
    for i, load in enumerate(loads):
        here: tuple[str | int, ...] = ("loads", i)
        if load.name in names:
            problem(
                (*here, "name"),
                f"{load.name!r} is already the name of loads[{names[load.name]}]",
            )
        names.setdefault(load.name, i)
        if load.name in (*MODES, *VERBS, LATEST):
            means = "the newest run" if load.name == LATEST else f"opsconsole load {load.name}"
            what = "is the name of a mode" if load.name in MODES else f"means {means}"
            problem((*here, "name"), f"{load.name!r} {what}", f"such as my-{load.name}")
        chosen: tuple[str, ...] = written(load).get("servers", ())
        if load.servers == ():
            problem((*here, "servers"), "there is no server", "remove the key for the first one")
        for j, name in enumerate(chosen):
            if name not in servers:
                problem((*here, "servers", j), f"there is no server {name!r}",
                        nearest(name, servers))  # fmt: skip
            elif name in chosen[:j]:
                problem((*here, "servers", j), f"{name!r} is already in the list")
        loaded = chosen or tuple(servers)[:1]
        for key, threshold in _limited(load):
            if threshold.server and threshold.server not in loaded:
                problem((*here, *key), f"{threshold.server!r} is not loaded",
                        nearest(threshold.server, loaded))  # fmt: skip
        for key, message, hint in faults(load):
            problem((*here, *key), message, hint)
        if path is not None and load.replay is not UNSET:
            replay = path.resolve().parent / Path(load.replay).expanduser()
            load = msgspec.structs.replace(load, replay=str(replay))
        yield load


def _limited(load: LoadDoc) -> Iterator[tuple[tuple[str | int, ...], Threshold]]:
    """The thresholds of a load test and where they stand."""
    keys = written(load)
    for i, text in enumerate(keys.get("thresholds", ())):
        yield ("thresholds", i), parse_threshold(text)
    for i, abort in enumerate(keys.get("abort_on", ())):
        yield ("abort_on", i, "threshold"), parse_threshold(abort.threshold)


def check_url(url: str) -> tuple[str, str] | None:
    """What is wrong with a URL and the hint, or None."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"not a URL: {error}", "expected http://host:port"
    if parts.scheme == "unix":
        return _check_unix(url, parts)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"{url!r} is not a URL", "expected http://host:port or https://host:port"
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        return f"{parts.hostname!r} is not a host name", ""
    if parts.username or parts.password:
        return "a secret in clear is refused", "use api_key: ${NAME}"
    if parts.query or parts.fragment:
        return "a base URL has no query and no fragment", ""
    if port == 0:
        return "port 0 is no server's port", ""
    return None


def _check_unix(url: str, parts: SplitResult) -> tuple[str, str] | None:
    path = parts.path.encode("utf-8", "surrogateescape")
    if parts.netloc or not path.startswith(b"/") or parts.query or parts.fragment:
        return f"{url!r} is no Unix socket", "expected unix:/path/of/the.sock, without ? and #"
    if len(path) > LONGEST_SOCKET or b"\0" in path:
        return f"a Unix socket's path has at most {LONGEST_SOCKET} bytes", "use a shorter one"
    return None


def _server(entry: ServerDoc, defaults: DefaultsDoc) -> Server:
    values: dict[str, Any] = {"name": entry.name, "url": entry.url.rstrip("/")}
    for key in ("kind", "health", "interval", "timeout", "api_key"):
        for source in (entry, defaults):
            if (value := getattr(source, key)) is not UNSET:
                values[key] = value
                break
    values["service_level"] = ServiceLevel(
        **_merged(ServiceLevelDoc, defaults.service_level, entry.service_level)
    )
    # A server's own stands instead of the default: of both together nobody could tell what holds.
    tls = entry.tls if entry.tls is not UNSET else defaults.tls
    if tls is not UNSET and urlsplit(entry.url).scheme == "https":
        values["tls"] = Tls(**_merged(TlsDoc, tls))
    if isinstance(entry.daemon, DaemonDoc):
        merged = _merged(DaemonDoc, defaults.daemon, entry.daemon)
        merged["env"] = {**_env(defaults.daemon), **_env(entry.daemon)}
        values["daemon"] = DaemonSpec(**merged)
    return Server(**values)


def _tls_faults(tls: TlsDoc | UnsetType) -> Iterator[tuple[str, str, str]]:
    """Mistakes: the key, what is wrong, a hint."""
    if tls is UNSET or tls.ca is UNSET:
        return
    if tls.verify is False:
        yield "verify", "contradicts ca: a certificate that is not checked needs none", "remove one"
    from opsconsole import trust  # ssl, which few profiles need

    try:
        trust.context(tls.ca)
    except OpsError as error:
        yield "ca", str(error), "expected a PEM file, from the profile's folder"


def _merged(struct: Any, *layers: Any) -> dict[str, Any]:
    """The values that are set in ``layers``, the later layer winning."""
    out: dict[str, Any] = {}
    for layer in layers:
        if isinstance(layer, struct):
            for name in struct.__struct_fields__:
                if (value := getattr(layer, name)) is not UNSET:
                    out[name] = value
    return out


def _env(daemon: Any) -> dict[str, str]:
    return daemon.env if isinstance(daemon, DaemonDoc) and daemon.env is not UNSET else {}
