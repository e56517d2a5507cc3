"""What a daemon was started with, so that one that was taken away comes back with just that.

Not with what the profile says by now, nor with the environment of the shell that tests it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from opsconsole.balancer.away import Started
from opsconsole.daemon import status
from opsconsole.daemon.command import folder_of, secrets_of
from opsconsole.daemon.group import environ_of
from opsconsole.daemon.record import Spec
from opsconsole.errors import OpsError
from opsconsole.load.secrecy import is_secret
from opsconsole.profile import Profile, Server

_SETTINGS = frozenset(
    {"API_KEYS", "API_KEY_FILE", "BATCH_SIZE", "CORS_ORIGINS", "DEVICE_PREFERENCE", "DTYPE",
     "ENABLE_PREDICTION_CACHE", "HOST", "LOCAL_MODEL_PATH", "MAX_PARALLEL_REQUESTS",
     "MAX_QUEUE_SIZE", "MAX_QUEUE_TOKENS", "MODEL_NAME", "PORT", "RATE_LIMIT", "TLS_CERT_FILE",
     "TLS_KEY_FILE", "USE_MLX"}
)  # fmt: skip
_PREFIX = "OPSCONSOLE_"
_CREDENTIALS = re.compile(r"://[^/@\s]*@")


class Before(NamedTuple):
    """``spec``: what ran. ``environ``: the variables that its server had, secrets too."""

    spec: Spec
    environ: Mapping[str, str]

    def told(self) -> Started:
        """As it may be written down: without secrets, and without what is no text."""
        kept, left_out = {}, []
        for name, value in self.environ.items():
            if is_secret(name) or _CREDENTIALS.search(value) or not _is_text(name + value):
                left_out.append(name)
            else:
                kept[name] = value
        return Started(spec=self.spec._asdict(), environ=kept, left_out=tuple(left_out))

    def secrets(self) -> dict[str, str]:
        """For ``launch``: its variables, and an empty value, which is none, for each setting that
        only this process has."""
        ours = {name: "" for name in os.environ if _is_setting(name) and name not in self.environ}
        return {**ours, **self.environ}


def look(profile: Profile, server: Server) -> Before:
    """What runs now.

    Raises:
        OpsError: it cannot be told what it was started with, or its key cannot be had.
    """
    try:
        spec = folder_of(profile, server).read_spec()
    except (OSError, ValueError) as error:
        raise OpsError(
            f"it cannot be told what it was started with: {error}", where=server.name,
            hint="restart it",
        ) from error  # fmt: skip
    pid = status(profile, server).pid
    found = environ_of(pid) if pid else {}
    environ = {os.fsdecode(name): os.fsdecode(value) for name, value in found.items()}
    return Before(spec, environ or os.environ | secrets_of(server))


def recall(server: Server, started: Started) -> Before:
    """From the journal; its key is what the profile says, other secrets are this process's.

    Raises:
        OpsError: the journal is damaged, or the key cannot be had.
    """
    try:
        spec = Spec.parse(msgspec.json.encode(started.spec))
    except ValueError as error:
        raise OpsError(
            f"it cannot be told what it was started with: {error}", where=server.name,
            hint=f"opsconsole start {server.name}",
        ) from error  # fmt: skip
    ours = {name: os.environ[name] for name in started.left_out if name in os.environ}
    return Before(spec, ours | started.environ | secrets_of(server))


def _is_setting(name: str) -> bool:
    return name in _SETTINGS or name.startswith(_PREFIX)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
