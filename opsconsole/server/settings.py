"""What one server is told: its model, its limits, where it listens, how it logs and ends."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from opsconsole.engine.settings import EngineSettings
from opsconsole.errors import UsageError

LogLevel = Literal["debug", "info", "warning", "error"]
MIB = 1 << 20


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
    log_file: str | None = None
    """``OPSCONSOLE_LOG_FILE``: SIGUSR1 opens it anew as standard output and error."""
    log_level: LogLevel = "info"
    """``OPSCONSOLE_LOG_LEVEL``."""

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> ServerSettings:
        """Settings from environment variables; an empty variable counts as unset.

        Raises:
            UsageError: a variable holds nonsense; it names the variable, the value, and what was
                expected.
        """
        env = _Environment(environ)
        return cls(
            engine=EngineSettings.from_env(environ),
            host=env.text("HOST", "127.0.0.1"),
            port=env.integer("PORT", 8000, 0, 65_535),
            name=env.text("OPSCONSOLE_SERVER_NAME", "local"),
            max_parallel=env.integer("MAX_PARALLEL_REQUESTS", 4, 1, 4096),
            max_queue=env.integer("MAX_QUEUE_SIZE", 64, 0, 1_000_000),
            max_body_bytes=env.integer("OPSCONSOLE_MAX_BODY_BYTES", 32 * MIB, 1024, 1 << 30),
            max_documents=env.integer("OPSCONSOLE_MAX_DOCUMENTS", 10_000, 1, 1_000_000),
            body_timeout=env.seconds("OPSCONSOLE_BODY_TIMEOUT", 30.0),
            drain_seconds=env.seconds("OPSCONSOLE_DRAIN_SECONDS", 0.2),
            drain_timeout=env.seconds("OPSCONSOLE_DRAIN_TIMEOUT", 30.0),
            log_file=env.get("OPSCONSOLE_LOG_FILE"),
            log_level=env.level("OPSCONSOLE_LOG_LEVEL", "info"),
        )


class _Environment:
    """Strict readings of environment variables."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def get(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def text(self, name: str, default: str) -> str:
        value = self.get(name) or default
        if not value.isprintable() or len(value) > 255:
            raise _wrong(name, value, "printable text of at most 255 characters")
        return value

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self.get(name)
        if value is None:
            return default
        # int() would also take "1_0", "+5" and digits of other scripts.
        plain = value.isascii() and value.isdigit() and len(value) < 11
        if not plain or not least <= int(value) <= most:
            raise _wrong(name, value, f"a whole number from {least} to {most}")
        return int(value)

    def seconds(self, name: str, default: float) -> float:
        value = self.get(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 86_400:
            raise _wrong(name, value, "seconds from 0 to 86400, such as 0.5")
        return number

    def level(self, name: str, default: LogLevel) -> LogLevel:
        value = self.get(name)
        for level in get_args(LogLevel):
            if level == (value or default).lower():
                return level  # type: ignore[no-any-return]
        raise _wrong(name, value, "one of " + ", ".join(get_args(LogLevel)))


def _wrong(name: str, value: object, expected: str) -> UsageError:
    return UsageError(f"{name} is {value!r}, expected {expected}", where="environment")
