"""Who did what, when: one JSON line an action, kept beside the daemons' state."""

from __future__ import annotations

import getpass
import os
import time
from pathlib import Path

import msgspec

from opsconsole import paths
from opsconsole.errors import OpsError


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One performed action. ``at`` is Unix seconds, ``via`` the face: ``tui`` or ``cli``."""

    at: float
    operator: str
    via: str
    action: str
    profile: str
    target: str
    outcome: str
    detail: str = ""
    seconds: float = 0.0


def audit_path() -> Path:
    """Where the trail is."""
    return paths.state_dir() / "audit.jsonl"


def operator() -> str:
    """Who acts: the login name, and the one behind sudo."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER")
    return f"{behind} as {name}" if behind and behind != name else name


def write(record: Record) -> None:
    """Append ``record``. One write of one line, so that two consoles never mix theirs.

    Raises:
        OpsError: the trail cannot be written.
    """
    line = msgspec.json.encode(record) + b"\n"
    path = audit_path()
    try:
        paths.private_dir(path.parent)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)
    except OSError as error:
        raise OpsError(
            f"the audit trail cannot be written: {error.strerror}", where=str(path)
        ) from None


def read(limit: int = 200) -> list[Record]:
    """The newest ``limit`` records, oldest first; lines that are no records are skipped."""
    try:
        lines = audit_path().read_bytes().splitlines()[-limit:]
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            records.append(msgspec.json.decode(line, type=Record))
        except msgspec.DecodeError:
            continue
    return records


def now() -> float:
    """Unix seconds; here so that tests can freeze it."""
    return time.time()
