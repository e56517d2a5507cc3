"""What a running server was started with, and what it chose by itself then.

Whoever takes a daemon away for a while brings it back with just that: not with what the profile
says by now, nor with the environment of the shell that does it, nor with what its warm-up would
choose anew on a machine that is busier than it was.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from opsconsole.daemon.command import folder_of, secrets_of
from opsconsole.daemon.group import environ_of
from opsconsole.daemon.launch import launch
from opsconsole.daemon.observe import DaemonStatus, status
from opsconsole.daemon.record import Spec
from opsconsole.engine.settings import Dtype, EngineSettings
from opsconsole.errors import OpsError, UsageError

if TYPE_CHECKING:
    from opsconsole.daemon.folder import Folder
    from opsconsole.profile import Profile, Server

DTYPE = "DTYPE"
_KEYS = "API_KEYS"
_KEEPERS = ("OPSCONSOLE_LOG_FILE", "OPSCONSOLE_SERVER_NAME")
"""What a keeper tells each server that it starts: by these its processes are known."""
_CREDENTIALS = re.compile(r"://[^/@\s]*@")
_PLACES = re.compile(r"_(?:FILE|PATH|DIR|SOCK|ADDRESS)$|^XDG_")
"""Names of what says where a secret is, or is none, whatever else they are called."""
_READ = re.compile(
    r"API_KEY\w*|TLS_\w+|OPSCONSOLE_\w+|HF_\w+|HUGGING_?FACE\w*|\w+_PROXY"
    r"|HOME|PATH|TMPDIR|XDG_CACHE_HOME|LD_\w+|PYTHON\w+",
    re.IGNORECASE,
)
"""Of what may be left out, names that matter to a server. No other one is missed: whoever has
started it had his own session's, or his shell's keys to somewhere else."""


class Started(NamedTuple):
    """What runs, and how it came to be so.

    Attributes:
        spec: What its keeper was told to run.
        environ: All variables that its server has, secrets too.
        chosen: Settings that it was not told and has measured, as variables.
        unknown: That cannot be told: its server did not say.
    """

    spec: Spec
    environ: Mapping[str, str]
    chosen: Mapping[str, str] = {}
    unknown: bool = False

    def again(self, folder: Folder) -> DaemonStatus:
        """Start it as it was, held to what it had chosen. Blocks until it is ready.

        Raises:
            OpsError: as of :func:`~opsconsole.daemon.launch.launch`.
        """
        spec = self.spec._replace(env={**self.spec.env, **self.chosen})
        return launch(folder, spec, environ=self.environ)


def look(profile: Profile, server: Server, health: Mapping[str, Any]) -> Started:
    """What runs now.

    Args:
        health: What the server's ``/health`` says; empty where it says nothing.

    Raises:
        OpsError: it cannot be told what it was started with, or its key cannot be had.
    """
    try:
        spec = folder_of(profile, server).read_spec()
    except (OSError, ValueError) as error:
        raise unclear(server, error, "restart it") from error
    environ = running_environ(profile, server)
    if not environ:  # another user's cannot be read
        environ = ours(server)
    for name in _KEEPERS:
        environ.pop(name, None)
    told = {**environ, **spec.env}
    # One that loads has chosen nothing yet, and says so by leaving it out.
    return Started(
        spec, environ, choices(told, health), unknown=not precision(health) and measures(told)
    )


def ours(server: Server) -> dict[str, str]:
    """The environment of what this process starts.

    Raises:
        OpsError: the server's key cannot be had.
    """
    return {**os.environ, **secrets_of(server)}


def unclear(server: Server, error: Exception, hint: str) -> OpsError:
    """What it was started with cannot be read."""
    return OpsError(
        f"it cannot be told what it was started with: {error}", where=server.name, hint=hint
    )


def running_environ(profile: Profile, server: Server) -> dict[str, str]:
    """All variables that its server has now, secrets too; empty where none runs, or it is another
    user's."""
    pid = status(profile, server).pid
    found = environ_of(pid) if pid else {}
    return {os.fsdecode(name): os.fsdecode(value) for name, value in found.items()}


def writable(
    environ: Mapping[str, str], is_secret: Callable[[str], bool]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Those variables that may be written down, and the names of the others: of secrets, and of
    what is no text. Where a secret lies is none."""
    kept, left_out = {}, []
    for name, value in environ.items():
        secret = is_secret(name) and not _PLACES.search(name)
        if secret or _CREDENTIALS.search(value) or not _is_text(name + value):
            left_out.append(name)
        else:
            kept[name] = value
    return kept, tuple(left_out)


def remembered(
    server: Server,
    spec: Spec,
    environ: Mapping[str, str],
    left_out: tuple[str, ...],
    *sources: Mapping[str, str],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The environment that was written down, with its secrets from the first of ``sources`` that
    has them, else as the profile says and from this process; and the names of those that are
    nowhere any more and that it would read.

    Args:
        spec: What was written down beside it, whose variables need no other source.

    Raises:
        OpsError: the server had a key, which nothing but the profile would tell, and it cannot.
    """
    needed = [name for name in left_out if name not in spec.env]
    secrets: dict[str, str] = {}
    for source in sources:
        secrets = {name: source[name] for name in needed if name in source} | secrets
    if _KEYS in needed and _KEYS not in secrets:
        secrets |= secrets_of(server)
    secrets = {name: os.environ[name] for name in needed if name in os.environ} | secrets
    lost = tuple(name for name in needed if name not in secrets and _READ.fullmatch(name))
    return {**environ, **secrets}, lost


# -- what a warm-up chooses -----------------------------------------------------------------------


def measures(told: Mapping[str, str]) -> bool:
    """Whether a server with these variables measures at its start what it is not told."""
    settings = _read(told)
    return (
        settings is not None
        and settings.warmup
        and (settings.dtype == "auto" or None in (settings.batch_tokens, settings.threads))
    )


def choices(told: Mapping[str, str], health: Mapping[str, Any]) -> dict[str, str]:
    """What a server chose at its start, as the variables that would have told it so.

    Args:
        told: The variables that it was started with.
        health: Its ``/health``.
    """
    settings, controller = _read(told), health.get("controller")
    if settings is None or not settings.warmup or not isinstance(controller, Mapping):
        return {}
    found: dict[str, str] = {}
    if settings.dtype == "auto" and (chosen := precision(health)):
        found[DTYPE] = chosen
    for name, asked, key in (
        ("OPSCONSOLE_BATCH_TOKENS", settings.batch_tokens, "batch_tokens"),
        ("OPSCONSOLE_THREADS", settings.threads, "threads"),  # 0 where it is not the CPU's
    ):
        value = controller.get(key)
        if asked is None and type(value) is int and value > 0:
            found[name] = str(value)
    return found


def precision(health: Mapping[str, Any]) -> str:
    """In which the server computes; empty where it does not say."""
    controller = health.get("controller")
    found = controller.get("dtype") if isinstance(controller, Mapping) else None
    return str(found) if found in get_args(Dtype) and found != "auto" else ""


def _read(told: Mapping[str, str]) -> EngineSettings | None:
    try:
        return EngineSettings.from_env(told)
    except UsageError:
        return None  # such a server does not start


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
