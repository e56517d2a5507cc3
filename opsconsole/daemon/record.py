"""The two files that tell about a daemon: what to run (``spec.json``), how it is (``state.json``).

Plain tuples and the standard library: the keeper reads and writes both, and must stay small.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from opsconsole.daemon.identity import Identity
from opsconsole.daemon.states import DaemonState


class Spec(NamedTuple):
    """What a keeper runs, and how. Times in seconds, sizes in bytes."""

    profile: str
    name: str
    argv: list[str]
    env: dict[str, str]
    """Added to the environment of whoever starts the daemon."""
    host: str
    """Where its health is asked for."""
    port: int
    health: str = "/health"
    tls: bool = False
    """Its health is asked for over TLS; whose certificate that is does not matter on loopback."""
    start_timeout: float = 120.0
    stop_grace: float = 30.0
    restart: str = "on-failure"
    backoff: float = 1.0
    backoff_max: float = 60.0
    start_limit: int = 5
    start_window: float = 600.0
    restart_on_degraded: float = 0.0
    """Degraded for so long, it is restarted; 0: never."""
    stable: float = 60.0
    """Ready for so long, a server has recovered: its next failure waits the first backoff."""
    log_max_bytes: int = 10_000_000
    log_keep: int = 5
    probe_starting: float = 0.25
    probe_interval: float = 2.0
    probe_timeout: float = 2.0

    def dump(self) -> bytes:
        """As the bytes of ``spec.json``."""
        return json.dumps(self._asdict(), indent=1).encode()

    @classmethod
    def parse(cls, data: bytes) -> Spec:
        """From the bytes of ``spec.json``.

        Raises:
            ValueError: not such a file.
        """
        values = _table(data, cls._fields)
        argv, env = values.get("argv"), values.get("env")
        if not argv or not isinstance(argv, list) or not all(isinstance(w, str) for w in argv):
            raise ValueError("argv is not a list of words")
        if not isinstance(env, dict) or not all(isinstance(v, str) for v in env.values()):
            raise ValueError("env is not a table of words")
        for key, default in cls._field_defaults.items():
            _check(values, key, type(default))
        for key, kind in (("profile", str), ("name", str), ("host", str), ("port", int)):
            if key not in values:
                raise ValueError(f"{key} is missing")
            _check(values, key, kind)
        return cls(**values)


class Record(NamedTuple):
    """What a keeper last knew of its daemon. Wall-clock times are Unix seconds."""

    state: DaemonState
    since: float
    boot: str
    desired: str = "running"
    """What the operator wants; on disk before anything is signalled."""
    server: Identity | None = None
    port: int | None = None
    started_at: float | None = None
    restarts: int = 0
    ready: bool = False
    was_ready: bool = False
    """Ready once in this life, so that it is known to handle the signal to reopen its log."""
    backoff_until: float | None = None
    last_exit: str | None = None
    detail: str = ""
    survivors: list[int] = []  # noqa: RUF012 - never changed in place
    starts: list[float] = []  # noqa: RUF012
    """When it was started, monotonic seconds, for the start limit."""
    failures: int = 0
    """Failures in a row, for the backoff."""

    def dump(self) -> bytes:
        """As the bytes of ``state.json``."""
        data = self._asdict()
        data["server"] = self.server and self.server._asdict()
        return json.dumps(data, indent=1).encode()

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """From the bytes of ``state.json``, which a full disk or a crash may have damaged.

        Raises:
            ValueError: not such a file.
        """
        values = _table(data, cls._fields)
        for key, kind in _RECORD_KINDS.items():
            if key not in cls._field_defaults and key not in values:
                raise ValueError(f"{key} is missing")
            optional = key in cls._field_defaults and cls._field_defaults[key] is None
            if not (optional and values.get(key) is None):
                _check(values, key, kind)
        for key in ("survivors", "starts"):
            if not all(isinstance(item, int | float) for item in values.get(key, ())):
                raise ValueError(f"{key} is not a list of numbers")
        values["state"] = DaemonState(values["state"])
        values["server"] = parse_identity(values.get("server"))
        return cls(**values)


_RECORD_KINDS: dict[str, type] = {
    "state": str,
    "since": float,
    "boot": str,
    "desired": str,
    "server": dict,
    "port": int,
    "started_at": float,
    "restarts": int,
    "ready": bool,
    "was_ready": bool,
    "backoff_until": float,
    "last_exit": str,
    "detail": str,
    "survivors": list,
    "starts": list,
    "failures": int,
}


def parse_identity(value: object) -> Identity | None:
    """An identity as JSON holds it; ``None`` stays.

    Raises:
        ValueError: another shape.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != set(Identity._fields):
        raise ValueError("an identity is incomplete")
    for key, kind in (("pid", int), ("start", float), ("boot", str), ("argv", str)):
        _check(value, key, kind)
    if value["pid"] < 2:
        raise ValueError(f"pid {value['pid']} is nobody's server")
    return Identity(**value)


def _table(data: bytes, known: tuple[str, ...]) -> dict[str, Any]:
    if not data.strip():
        raise ValueError("the file is empty")
    values = json.loads(data)
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return {key: value for key, value in values.items() if key in known}


def _check(values: dict[str, Any], key: str, kind: type) -> None:
    if key not in values:
        return
    value = values[key]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{key} is not a {kind.__name__}")
