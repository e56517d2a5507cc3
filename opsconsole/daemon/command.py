"""From a profile's server to what its keeper runs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opsconsole import paths
from opsconsole.daemon import ports
from opsconsole.daemon.folder import Folder
from opsconsole.daemon.record import Spec
from opsconsole.errors import OpsError, UsageError

if TYPE_CHECKING:
    from opsconsole.profile import DaemonSpec, Profile, Server

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_LOCAL_PATH = ("./", "../", "~")
_FILES = ("LOCAL_MODEL_PATH", "API_KEY_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE")
"""Variables that name files, which may be told from where the profile is used."""
_HEALTH = "/health"
_READY = "/ready"
_KEYS = ("API_KEYS", "API_KEY_FILE")
_KEY = re.compile(r"[!-+\--~]{1,512}")


def folder_of(profile: Profile, server: Server) -> Folder:
    """Where the daemon keeps its files; the folder need not exist.

    Raises:
        UsageError: a name that is not fit for a folder.
    """
    for name in (profile.name, server.name):
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot name a daemon",
                hint="letters, digits, dots, dashes and underscores, not a dot first",
            )
    return Folder(str(paths.state_dir() / "daemons" / profile.name / server.name))


def log_path(profile: Profile, server: Server) -> Path:
    """The file that the server's output goes to; it need not exist yet."""
    return Path(folder_of(profile, server).log)


def spec_of(profile: Profile, server: Server) -> Spec:
    """What to run for ``server``.

    Raises:
        OpsError: opsconsole does not run this server.
    """
    daemon = server.daemon
    if daemon is None:
        raise OpsError(
            "is watched, not run, by opsconsole",
            where=server.name,
            hint="give it a daemon section in the profile, or start it where it runs",
        )
    return Spec(
        profile=profile.name,
        name=server.name,
        argv=[sys.executable, "-m", "opsconsole.server"],
        env=_environ(server, daemon),
        host=ports.reachable(server.host),
        port=server.port,
        # The same without a key, which a keeper does not have.
        health=_READY if server.health == _HEALTH else server.health,
        tls=urlsplit(server.url).scheme == "https",
        start_timeout=daemon.start_timeout,
        stop_grace=daemon.stop_grace,
        restart=daemon.restart,
        backoff=daemon.backoff,
        backoff_max=daemon.backoff_max,
        start_limit=daemon.start_limit,
        start_window=daemon.start_window,
        restart_on_degraded=daemon.restart_on_degraded or 0.0,
        log_max_bytes=daemon.log_max_bytes,
        log_keep=daemon.log_keep,
    )


def _environ(server: Server, daemon: DaemonSpec) -> dict[str, str]:
    environ = {
        "MODEL_NAME": _path(daemon.model),
        # Exported in somebody's shell it would win over the model that the profile names.
        "LOCAL_MODEL_PATH": "",
        "DEVICE_PREFERENCE": daemon.device,
        "HOST": server.host,
        "PORT": str(server.port),
    }
    if daemon.backend != "auto":
        environ["USE_MLX"] = "true" if daemon.backend == "mlx" else "false"
    environ |= daemon.env
    for name in _FILES:
        if daemon.env.get(name):
            environ[name] = os.path.abspath(os.path.expanduser(daemon.env[name]))
    return environ


def secrets_of(server: Server) -> dict[str, str]:
    """Variables of the daemon that must not be written down, not even in ``spec.json``.

    The key that the console shows is the key that the daemon asks for, unless its environment
    says which keys there are.

    Raises:
        OpsError: the key cannot be had, or cannot be told to a server.
    """
    daemon = server.daemon
    told = daemon is not None and any(daemon.env.get(name) for name in _KEYS)
    if server.api_key is None or told:
        return {}
    key = server.api_key.reveal()
    if not _KEY.fullmatch(key):
        raise OpsError(
            f"the key from {server.api_key.source} cannot be that of a server",
            where=server.name,
            hint="printable ASCII without blanks and commas",
        )
    return {"API_KEYS": f"console:{key}"}


def _path(model: str) -> str:
    """A folder as an absolute path, because the server's working directory is ``/``."""
    if model.startswith(_LOCAL_PATH):
        return os.path.abspath(os.path.expanduser(model))
    return model
