"""What one server is told: its model, its limits, where it listens, how it logs and ends."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Literal, cast

import msgspec

from opsconsole.engine.settings import EngineSettings
from opsconsole.environment import Environment, wrong
from opsconsole.errors import OpsError
from opsconsole.server.limits import Rate

LogLevel = Literal["debug", "info", "warning", "error"]
MIB = 1 << 20
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@,]+")


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a server can be told; durations in seconds."""

    engine: EngineSettings = msgspec.field(default_factory=EngineSettings)
    host: str = "127.0.0.1"
    """``HOST``: a name or an address."""
    port: int = 8000
    """``PORT``; 0 lets the system choose, and the log says which."""
    name: str = "local"
    """``OPSCONSOLE_SERVER_NAME``: what the console calls this server."""
    max_parallel: int = 4
    """``MAX_PARALLEL_REQUESTS``: requests inside the engine at a time."""
    max_queue: int = 64
    """``MAX_QUEUE_SIZE``: requests that wait for it; one more is refused at once."""
    max_body_bytes: int = 32 * MIB
    """``OPSCONSOLE_MAX_BODY_BYTES``."""
    max_documents: int = 10_000
    """``OPSCONSOLE_MAX_DOCUMENTS``: of one request."""
    body_timeout: float = 30.0
    """``OPSCONSOLE_BODY_TIMEOUT``: longest silence within a body."""
    drain_seconds: float = 0.2
    """``OPSCONSOLE_DRAIN_SECONDS``: new connections are still taken so long after SIGTERM."""
    drain_timeout: float = 30.0
    """``OPSCONSOLE_DRAIN_TIMEOUT``: accepted requests are given up so long after SIGTERM."""
    max_queue_tokens: int = 4_000_000
    """``MAX_QUEUE_TOKENS``: tokens, by estimate, of all requests that run or wait."""
    max_characters: int = 2_000_000
    """``OPSCONSOLE_MAX_CHARACTERS``: of one text."""
    max_upload_bytes: int = 512 * MIB
    """``OPSCONSOLE_MAX_UPLOAD_BYTES``: of all bodies being received at a time."""
    header_timeout: float = 10.0
    """``OPSCONSOLE_HEADER_TIMEOUT``: most time from the first byte of a head to its last."""
    max_connections: int = 1000
    """``OPSCONSOLE_MAX_CONNECTIONS``."""
    api_keys: str | None = None
    """``API_KEYS``: ``name:key`` or ``key``, separated by commas."""
    api_key_file: str | None = None
    """``API_KEY_FILE``: one a line, ``name:key`` or ``name:sha256:HEX``; SIGHUP reads it again."""
    insecure: bool = False
    """``OPSCONSOLE_INSECURE``, ``--insecure``: listen beyond loopback without keys."""
    tls_cert_file: str | None = None
    """``TLS_CERT_FILE``; SIGHUP reads it again."""
    tls_key_file: str | None = None
    """``TLS_KEY_FILE``."""
    cors_origins: tuple[str, ...] = ()
    """``CORS_ORIGINS``: separated by commas; ``*`` for any."""
    rate_limit: str | None = None
    """``RATE_LIMIT``: requests of one key, such as ``20/s`` or ``600/m``, with a burst as
    ``20/s:40``."""
    max_deadline: float = 600.0
    """``OPSCONSOLE_MAX_REQUEST_SECONDS``: no request may run longer."""
    log_file: str | None = None
    """``OPSCONSOLE_LOG_FILE``: SIGUSR1 opens it anew as standard output and error."""
    log_level: LogLevel = "info"
    """``OPSCONSOLE_LOG_LEVEL``."""

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect; a name is judged by all of its addresses.

        Raises:
            OpsError: the name has no address.
        """
        flags = socket.AI_PASSIVE  # as when it is listened on
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM, flags=flags)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise OpsError(f"HOST is {self.host!r}, which has no address: {why}") from None
        return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)

    def __repr__(self) -> str:
        """Every value but the keys, so that no log line and no traceback can show them."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.api_keys is not None:
            values["api_keys"] = "***"
        said = ", ".join(f"{name}={value!r}" for name, value in values.items())
        return f"{type(self).__name__}({said})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> ServerSettings:
        """Settings from environment variables; an empty variable counts as unset.

        The files that they name are read when the server starts.

        Raises:
            UsageError: a variable holds nonsense; it names the variable, the value, and what was
                expected.
        """
        env = Environment(environ)
        return cls(
            engine=EngineSettings.from_env(environ),
            host=env.text("HOST", "127.0.0.1"),
            port=env.integer("PORT", 8000, 0, 65_535),
            name=env.text("OPSCONSOLE_SERVER_NAME", "local"),
            max_parallel=env.integer("MAX_PARALLEL_REQUESTS", 4, 1, 4096),
            max_queue=env.integer("MAX_QUEUE_SIZE", 64, 0, 1_000_000),
            max_queue_tokens=env.integer("MAX_QUEUE_TOKENS", 4_000_000, 1, 1 << 40),
            max_body_bytes=env.integer("OPSCONSOLE_MAX_BODY_BYTES", 32 * MIB, 1024, 1 << 30),
            max_upload_bytes=env.integer("OPSCONSOLE_MAX_UPLOAD_BYTES", 512 * MIB, 1024, 1 << 40),
            max_documents=env.integer("OPSCONSOLE_MAX_DOCUMENTS", 10_000, 1, 1_000_000),
            max_characters=env.integer("OPSCONSOLE_MAX_CHARACTERS", 2_000_000, 1, 1 << 30),
            max_connections=env.integer("OPSCONSOLE_MAX_CONNECTIONS", 1000, 1, 1_000_000),
            header_timeout=env.seconds("OPSCONSOLE_HEADER_TIMEOUT", 10.0, positive=True),
            body_timeout=env.seconds("OPSCONSOLE_BODY_TIMEOUT", 30.0, positive=True),
            max_deadline=env.seconds("OPSCONSOLE_MAX_REQUEST_SECONDS", 600.0, positive=True),
            drain_seconds=env.seconds("OPSCONSOLE_DRAIN_SECONDS", 0.2),
            drain_timeout=env.seconds("OPSCONSOLE_DRAIN_TIMEOUT", 30.0),
            api_keys=env.get("API_KEYS"),
            api_key_file=env.get("API_KEY_FILE"),
            insecure=env.flag("OPSCONSOLE_INSECURE", False),
            tls_cert_file=env.get("TLS_CERT_FILE"),
            tls_key_file=env.get("TLS_KEY_FILE"),
            cors_origins=_origins(env.words("CORS_ORIGINS")),
            rate_limit=_rate(env.get("RATE_LIMIT")),
            log_file=env.get("OPSCONSOLE_LOG_FILE"),
            log_level=cast(LogLevel, env.choice("OPSCONSOLE_LOG_LEVEL", "info", LogLevel)),
        )


def _rate(text: str | None) -> str | None:
    if text is not None:
        Rate.parse(text)
    return text


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no browser ever sends: a path, a slash at the end, a name alone."""
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin.lower()):
            raise wrong("CORS_ORIGINS", origin, "origins such as https://app.example.com, or *")
    return origins
