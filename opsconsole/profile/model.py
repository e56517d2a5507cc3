"""A profile as the program uses it: defaults applied, every value of its final type."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, field

from opsconsole.profile.document import Backend, Device, Restart, ServerKind, Stage
from opsconsole.profile.loads import LoadDoc
from opsconsole.profile.secret import Secret

Seconds = float


class ServiceLevel(Struct, frozen=True):
    """What a server promises. ``None``: nothing promised."""

    p95: Seconds | None = None
    success_rate: float | None = None


class Tls(Struct, frozen=True, kw_only=True):
    """How a server's certificate is checked."""

    ca: str | None = None
    """PEM file of who signed it. ``None``: the machine's store."""
    verify: bool = True
    """False: whoever answers is taken for the server."""


class DaemonSpec(Struct, frozen=True, kw_only=True):
    """How a local daemon is run."""

    model: str = "embedded"
    backend: Backend = "auto"
    device: Device = "auto"
    env: dict[str, str] = field(default_factory=dict)
    start_timeout: Seconds = 120.0
    stop_grace: Seconds = 30.0
    restart: Restart = "on-failure"
    backoff: Seconds = 1.0
    backoff_max: Seconds = 60.0
    start_limit: int = 5
    start_window: Seconds = 600.0
    restart_on_degraded: Seconds | None = None
    """``None``: never."""
    log_max_bytes: int = 10_000_000
    log_keep: int = 5


class Server(Struct, frozen=True, kw_only=True):
    """One server of a fleet."""

    name: str
    url: str
    kind: ServerKind = "own"
    health: str = "/health"
    daemon: DaemonSpec | None = None
    interval: Seconds = 1.0
    timeout: Seconds = 2.0
    service_level: ServiceLevel = ServiceLevel()
    api_key: Secret | None = None
    tls: Tls | None = None
    """``None``: as the machine's store says, if it speaks TLS at all."""

    @property
    def is_unchecked(self) -> bool:
        """Nobody looks at its certificate: whoever answers there is taken for it."""
        return self.tls is not None and not self.tls.verify

    @property
    def unix(self) -> str:
        """Path of the Unix socket that it listens at; empty for TCP."""
        parts = urlsplit(self.url)
        return parts.path if parts.scheme == "unix" else ""

    @property
    def host(self) -> str:
        """Host name or address, IPv6 without brackets; empty with a Unix socket."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port; the scheme's when the URL names none."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)


class Profile(Struct, frozen=True, kw_only=True):
    """A fleet of servers, loaded from one YAML file."""

    name: str
    servers: tuple[Server, ...]
    title: str = ""
    environment: Stage = "development"
    loads: tuple[LoadDoc, ...] = ()
    path: Path | None = None

    @property
    def daemons(self) -> tuple[Server, ...]:
        """The servers that opsconsole runs on this machine."""
        return tuple(server for server in self.servers if server.daemon is not None)

    def server(self, name: str) -> Server | None:
        """The server called ``name``, if there is one."""
        return next((server for server in self.servers if server.name == name), None)

    def load(self, name: str) -> LoadDoc | None:
        """The load test called ``name``, if there is one."""
        return next((load for load in self.loads if load.name == name), None)
