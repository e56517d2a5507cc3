"""Start a daemon, or give a running one that lost its keeper a new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from opsconsole import paths
from opsconsole.daemon import group, ports
from opsconsole.daemon.folder import Folder
from opsconsole.daemon.identity import Handle, Presence
from opsconsole.daemon.observe import DaemonStatus, Sighting, inspect, judge, look
from opsconsole.daemon.record import Spec
from opsconsole.daemon.states import ALIVE, DaemonState
from opsconsole.errors import OpsError

_LOCK_MARGIN = 20.0
_KEEPER_SECONDS = 20.0
_POLL_SECONDS = 0.03
_FAILED = frozenset({DaemonState.FATAL, DaemonState.EXITED})
_NO_SECRETS: Mapping[str, str] = {}


def launch(
    folder: Folder,
    spec: Spec,
    *,
    wait: bool = True,
    timeout: float | None = None,
    secrets: Mapping[str, str] = _NO_SECRETS,
    environ: Mapping[str, str] | None = None,
) -> DaemonStatus:
    """Make sure that the daemon runs: start it, adopt it, or find it running.

    Args:
        folder: Where it keeps its files; made when it is not there.
        spec: What to run. A daemon that runs already goes on with the spec it has.
        wait: Return when it is ready, not when it has been started.
        timeout: Seconds to wait; by default as long as it has for its start.
        secrets: Variables that it gets beside those of the spec; they are not written down.
        environ: All other variables that it gets; by default those of this process.

    Raises:
        OpsError: its port is taken, it failed, it was not ready in time, or its files cannot be
            written.
    """
    try:
        paths.private_dir(Path(folder.path))
        with folder.operation("start", spec.stop_grace + _LOCK_MARGIN):
            _ensure(folder, spec, {**(os.environ if environ is None else environ), **secrets})
    except OSError as error:
        raise OpsError(
            f"the daemon's files cannot be written: {error.strerror}",
            where=folder.path,
            hint="check the disk's free space and the folder's owner",
        ) from error
    if wait:
        return await_ready(folder, spec, spec.start_timeout if timeout is None else timeout)
    return inspect(folder, spec.profile, spec.name, spec.host, spec.port)


def _ensure(folder: Folder, spec: Spec, environ: Mapping[str, str]) -> None:
    seen = _settled(folder, spec)
    if seen.kept:
        state, detail = judge(seen)
        if state is DaemonState.UNKNOWN and seen.keeper_presence is not Presence.SAME:
            raise OpsError(detail, where=spec.name, hint="act on it from there")
        if state is DaemonState.STOPPING:
            raise OpsError(f"still stopping: {detail}", where=spec.name, hint="stop it first")
        if state is DaemonState.BACKOFF:
            _hurry(seen)
        return
    if seen.server is Presence.UNKNOWN:
        raise OpsError(judge(seen)[1], where=spec.name, hint="end it yourself if it is the server")
    if seen.server is Presence.SAME:
        _adopt(folder, spec, environ)
        return
    _sweep(folder, spec, seen)
    ports.require_free(spec.name, spec.env.get("HOST", spec.host), spec.port, folder.log)
    folder.write_spec(spec)
    _spawn_keeper(folder, spec, adopt=False, environ=environ)


def adopt_orphan(folder: Folder, spec: Spec, secrets: Mapping[str, str] = _NO_SECRETS) -> bool:
    """Give a running server whose keeper died a new keeper; ``False`` when there is none such."""
    if not os.path.isdir(folder.path):
        return False
    with folder.operation("adopt", spec.stop_grace + _LOCK_MARGIN):
        seen = look(folder)
        if seen.kept or seen.server is not Presence.SAME:
            return False
        _adopt(folder, spec, {**os.environ, **secrets})
        return True


def _settled(folder: Folder, spec: Spec) -> Sighting:
    """Look, and let a keeper that is about to leave do so."""
    deadline = time.monotonic() + spec.stop_grace + group.KILL_PATIENCE + 2.0
    while True:
        seen = look(folder)
        if not seen.kept or seen.record is None:
            return seen
        stays = seen.record.state in ALIVE or seen.record.state is DaemonState.BACKOFF
        if (stays and seen.record.desired == "running") or time.monotonic() >= deadline:
            return seen
        time.sleep(_POLL_SECONDS)


def _hurry(seen: Sighting) -> None:
    """Whoever asks for a start now does not want to wait for the backoff."""
    if seen.keeper is not None and (handle := Handle.claim(seen.keeper)) is not None:
        with handle:
            handle.send(signal.SIGUSR1)


def _adopt(folder: Folder, spec: Spec, environ: Mapping[str, str]) -> None:
    try:
        folder.read_spec()
    except (OSError, ValueError):
        folder.write_spec(spec)  # lost; what the profile says now is the best there is
    _spawn_keeper(folder, spec, adopt=True, environ=environ)


def _sweep(folder: Folder, spec: Spec, seen: Sighting) -> None:
    """End what is left of a group whose leader and keeper died: it may hold port and memory."""
    if not seen.left or seen.record is None or seen.record.server is None:
        return
    left = group.end(seen.record.server, spec.stop_grace)
    if left:
        raise OpsError(
            f"processes of its last life do not end: {', '.join(map(str, left))}", where=spec.name
        )


def _spawn_keeper(folder: Folder, spec: Spec, *, adopt: bool, environ: Mapping[str, str]) -> None:
    """Start the keeper; it answers when it keeps, so nothing is guessed.

    Secrets go by its environment, which only its user may read, and from there to each server
    that it starts; one that it adopts and finds alive starts again with what it had.
    """
    command = [sys.executable, "-m", "opsconsole.daemon.keeper", folder.path]
    if adopt:
        command.append("--adopt")
    # A session of its own from the first moment: the end of the login does not reach it.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env=environ,
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=_KEEPER_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise OpsError("the keeper does not start", where=spec.name) from None
    if process.returncode != 0:
        words = said.decode("utf-8", "replace").strip().splitlines()
        raise OpsError(
            f"the keeper could not start: {words[-1] if words else 'no reason given'}",
            where=spec.name,
            hint=f"see {folder.keeper_log}",
        )


def await_ready(folder: Folder, spec: Spec, timeout: float) -> DaemonStatus:
    """Wait until the daemon is ready.

    Raises:
        OpsError: it failed for good, was stopped meanwhile, or ``timeout`` seconds passed (it
            goes on starting then).
    """
    deadline = time.monotonic() + timeout
    while True:
        found = inspect(folder, spec.profile, spec.name, spec.host, spec.port)
        if found.state is DaemonState.RUNNING:
            return found
        where, hint = spec.name, f"its log: {folder.log}"
        if found.state in _FAILED:
            raise OpsError(found.detail or f"it is {found.state}", where=where, hint=hint)
        if found.state in (DaemonState.STOPPED, DaemonState.FOREIGN):
            raise OpsError(f"it was stopped while it started {found.detail}".strip(), where=where)
        if found.state is DaemonState.ORPHANED:
            raise OpsError("its keeper died while it started", where=where, hint="start it again")
        if time.monotonic() >= deadline:
            raise OpsError(
                f"not ready after {timeout:g} s: {found.state}, {found.detail}",
                where=where,
                hint=hint,
            )
        time.sleep(_POLL_SECONDS)
