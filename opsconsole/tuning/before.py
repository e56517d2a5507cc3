"""What was there before a tuning, and putting it back: also by another process, after a kill -9.

Before anything is touched, a journal beside the daemon's files says what ran, or that it was
stopped. It is deleted when that is there again; whoever finds one whose writer is gone puts it
back. A lock that dies with its holder keeps two tunings apart.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from opsconsole import paths
from opsconsole.daemon import DaemonState, DaemonStatus, status
from opsconsole.daemon.command import folder_of, secrets_of, spec_of
from opsconsole.daemon.folder import Folder, remove
from opsconsole.daemon.group import environ_of
from opsconsole.daemon.halt import halt
from opsconsole.daemon.holding import Held, hold_daemon, unwritable
from opsconsole.daemon.launch import launch
from opsconsole.daemon.leftovers import tuning_journal
from opsconsole.daemon.record import Spec
from opsconsole.errors import OpsError
from opsconsole.profile import Profile, Server
from opsconsole.tuning.space import SWEPT

_WERE_RUNNING = frozenset(
    {DaemonState.RUNNING, DaemonState.UNREADY, DaemonState.ORPHANED, DaemonState.STARTING}
)
_WERE_STOPPED = frozenset({DaemonState.STOPPED, DaemonState.EXITED, DaemonState.FATAL})
_SECRETS = frozenset({"API_KEYS", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
_PREFIX = "OPSCONSOLE_"
_NAMES = frozenset(
    {*SWEPT, "MODEL_NAME", "LOCAL_MODEL_PATH", "DEVICE_PREFERENCE", "USE_MLX", "HOST", "PORT",
     "MAX_QUEUE_TOKENS", "API_KEY_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE", "CORS_ORIGINS",
     "RATE_LIMIT"}
)  # fmt: skip


class Before(Struct, kw_only=True):
    """What was there; the journal is this as JSON.

    Attributes:
        spec: What ran, or for a stopped daemon what would.
        inherited: Variables that the server had from whoever started it, secrets left out; "" for
            those that it had not.
        files: The text of the daemon's files when it was stopped; None: not there.
        pid: Of the process that tunes.
    """

    profile: str
    server: str
    running: bool
    spec: dict[str, Any]
    inherited: dict[str, str] = {}
    files: dict[str, str | None] = {}
    pid: int = 0
    at: float = 0.0

    def plain_spec(self) -> Spec:
        """``spec`` as the daemon package has it. ValueError: it is none."""
        return Spec.parse(msgspec.json.encode(self.spec))


def hold(profile: Profile, server: Server) -> Held:
    """Be the only tuning of this daemon, and beside no failover test that takes it away.

    Raises:
        OpsError: another one is at work, opsconsole does not run this server, or the folder
            cannot be written.
    """
    spec_of(profile, server)  # says why, when it is no daemon of ours
    return hold_daemon(folder_of(profile, server), "tuning", server.name)


def look(profile: Profile, server: Server) -> tuple[Before, dict[str, str]]:
    """What is there now, and the variables its server is started with that are in no file.

    Raises:
        OpsError: it is in no state that could be put back: its port is a stranger's, it fails, or
            it cannot be told what runs.
    """
    found = status(profile, server)
    folder = folder_of(profile, server)
    if found.state in _WERE_STOPPED:
        files = {path: _text(path) for path in (folder.spec, folder.state)}
        spec = spec_of(profile, server)
        return _before(profile, server, False, spec, files=files), secrets_of(server)
    if found.state in _WERE_RUNNING:
        try:
            spec = folder.read_spec()
        except (OSError, ValueError) as error:
            raise OpsError(
                f"it cannot be told what it was started with: {error}", where=server.name,
                hint="restart it",
            ) from error  # fmt: skip
        environ = environ_for(profile, server, found)
        told = spec.env.keys()
        inherited = {
            name: environ[name]
            for name in environ
            if _is_setting(name) and name not in told and name not in _SECRETS
        }
        return _before(profile, server, True, spec, inherited=inherited), environ
    raise OpsError(
        f"it is {found.state}: {found.detail}" if found.detail else f"it is {found.state}",
        where=server.name,
        hint="a daemon is tuned when it runs well or is stopped",
    )


def _before(profile: Profile, server: Server, running: bool, spec: Spec, **more: Any) -> Before:
    return Before(
        profile=profile.name, server=server.name, running=running, spec=spec._asdict(),
        pid=os.getpid(), at=time.time(), **more,
    )  # fmt: skip


def environ_for(profile: Profile, server: Server, found: DaemonStatus) -> dict[str, str]:
    """The environment of the running server, so that another one gets the same; what only we have
    is emptied in it. Just its key where it may not be read."""
    environ = {
        os.fsdecode(name): os.fsdecode(value)
        for name, value in (environ_of(found.pid) if found.pid else {}).items()
    }
    if not environ:
        return secrets_of(server)
    return _emptied(environ)


def _emptied(environ: dict[str, str]) -> dict[str, str]:
    """With an empty value for each setting that only this process has: empty is unset."""
    ours = {name: "" for name in os.environ if _is_setting(name) and name not in environ}
    return environ | ours


def _is_setting(name: str) -> bool:
    return name in _NAMES or name in _SECRETS or name.startswith(_PREFIX)


def write_journal(folder: Folder, before: Before) -> None:
    """Write down what was there, before anything is touched.

    Raises:
        OpsError: it cannot be written; then nothing must be touched.
    """
    path = tuning_journal(folder)
    try:
        paths.write_atomic(Path(path), msgspec.json.format(msgspec.json.encode(before), indent=1))
    except OSError as error:
        raise unwritable(path, error) from error


def read_journal(folder: Folder) -> Before | None:
    """What a tuning that was killed left behind; None when none did.

    Raises:
        OpsError: it cannot be read.
    """
    path = tuning_journal(folder)
    try:
        before = msgspec.json.decode(Path(path).read_bytes(), type=Before)
        before.plain_spec()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OpsError(
            f"cannot be read: {error}", where=path,
            hint="restart the daemon with what the profile says, and delete it",
        ) from error  # fmt: skip
    return before


def put_back(
    profile: Profile, server: Server, before: Before, environ: Mapping[str, str] | None = None
) -> str:
    """Restore what was there, and delete the journal. What was done, in words. Blocks.

    Args:
        environ: As :func:`look` told it; None, after a kill, takes it from what is running.

    Raises:
        OpsError: it could not be restored; the journal stays.
    """
    folder = folder_of(profile, server)
    spec = before.plain_spec()
    if environ is None:
        # A trial's server has what the first one had, but for the settings on trial.
        found = environ_for(profile, server, status(profile, server))
        kept = {n: v for n, v in found.items() if not _is_setting(n) or n in _SECRETS}
        environ = _emptied(kept | before.inherited)
    stopped = halt(folder, spec)
    if stopped.survivors:
        pids = ", ".join(map(str, stopped.survivors))
        raise OpsError(f"processes do not end: {pids}", where=server.name,
                       hint=_AGAIN.format(server.name))  # fmt: skip
    if before.running:
        try:
            now = launch(folder, spec, secrets=environ)
        except OpsError as error:
            raise OpsError(
                f"could not be started again: {error}", where=server.name,
                hint=_AGAIN.format(server.name),
            ) from error  # fmt: skip
        words = f"running again as before, pid {now.pid}"
    else:
        _put_files_back(before)
        words = "stopped again, as before"
    remove(tuning_journal(folder))
    return words


_AGAIN = "then: opsconsole tune --restore {}"


def _put_files_back(before: Before) -> None:
    """A daemon that had failed says again why."""
    for path, text in before.files.items():
        if text is None:
            remove(path)
            continue
        with contextlib.suppress(OSError):  # the disk is full: it is stopped all the same
            paths.write_atomic(Path(path), text.encode())


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except (OSError, ValueError):
        return None
