"""The nginx of this machine: where it is, and what it says of a configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from msgspec import Struct

from opsconsole.balancer.config import TEMP_PATHS
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.text import clean_line

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")
_SECONDS = 20.0
_LEVEL = re.compile(r"(?:nginx: |\S+ \S+ )\[(\w+)\] (?:\d+#\d+: )?(.*)")
_PLACE = re.compile(r" in (\S.*):(\d+)$")
_SURROUNDINGS = (
    "(13: Permission denied)",
    "(1: Operation not permitted)",
    "(97: Address family not supported",
    "(99: Cannot assign requested address)",
    "host not found in upstream",
)
"""Trouble of whoever asks and where, not of the configuration."""

State = Literal["good", "bad", "unknown", "not installed"]


class Binary(Struct, frozen=True):
    """An nginx that can be run. ``temp_paths``: the modules' folders that it knows."""

    path: str
    version: str
    temp_paths: tuple[str, ...]
    early_log: bool
    """It takes ``-e``: where errors go before the configuration is read (1.19.5)."""

    def command(self, folder: Path, config: Path, *more: str) -> list[str]:
        """A command line of it that writes nothing outside ``folder``."""
        early = ["-e", "stderr"] if self.early_log else []
        return [self.path, *early, "-p", f"{folder}/", "-c", str(config), *more]


class Proof(Struct, frozen=True):
    """What ``nginx -t`` found.

    Attributes:
        said: Its messages, with the place in our file; clean.
        line: The first line that it complains of.
    """

    state: State
    version: str = ""
    said: tuple[str, ...] = ()
    line: int | None = None


def find(path: str = "") -> Binary | None:
    """The nginx at ``path``, else the one of this machine; None where there is none.

    Raises:
        UsageError: ``path`` is no nginx.
    """
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    found = shutil.which(path or "nginx", path=None if path and os.sep in path else places)
    if found is None:
        if path:
            raise UsageError(f"there is no nginx at {path}", where="--nginx")
        return None
    done = _run([found, "-V"])
    match = re.search(r"nginx version: \S*?/(\d+)\.(\d+)\.(\d+)", done.stderr)
    if match is None:
        raise UsageError(f"{found} does not say that it is nginx", where="--nginx",
                         hint=clean_line(done.stderr.strip(), 200))  # fmt: skip
    version = tuple(int(part) for part in match.groups())
    return Binary(
        path=found,
        version=".".join(match.groups()),
        temp_paths=tuple(
            name for name in TEMP_PATHS if f"--without-http_{name}_module" not in done.stderr
        ),
        early_log=version >= (1, 19, 5),
    )


def required(path: str = "") -> Binary:
    """As :func:`find`.

    Raises:
        OpsError: there is none.
    """
    found = find(path)
    if found is None:
        raise OpsError("nginx is not installed", hint="such as: apt install nginx-light, or name "
                       "it with --nginx PATH", code=ExitCode.UNKNOWN)  # fmt: skip
    return found


def prove(text: str, *, label: str, whole: bool = False, path: str = "") -> Proof:
    """Let nginx read ``text``; places in what it says are those of the file ``label``.

    Args:
        whole: It is a whole configuration, not what stands in an ``http`` block.

    Raises:
        UsageError: ``path`` is no nginx.
    """
    nginx = find(path)
    if nginx is None:
        return Proof("not installed")
    with tempfile.TemporaryDirectory(prefix="opsconsole-nginx-") as name:
        folder = Path(name)
        ours = folder / "ours.conf"
        ours.write_text(text)
        config = ours
        if not whole:
            config = folder / "nginx.conf"
            config.write_text(_around(nginx, folder, ours))
        return _read(nginx, _run(nginx.command(folder, config, "-t")), ours, label)


def _around(nginx: Binary, folder: Path, ours: Path) -> str:
    paths = "".join(f"{name}_temp_path {folder}/temp_{name};\n" for name in nginx.temp_paths)
    return (
        f"pid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}include {ours};\n}}\n"
    )


def _read(nginx: Binary, done: subprocess.CompletedProcess[str], ours: Path, label: str) -> Proof:
    said: list[str] = []
    line: int | None = None
    hindered = False
    for text in done.stderr.splitlines():
        match = _LEVEL.match(text)
        if match is None:
            continue
        level, message = match.groups()
        if level == "alert" and "could not open error log file" in message:
            continue  # an old nginx opens its own log before it reads where ours is
        place = _PLACE.search(message)
        if place and place[1] == str(ours):
            line = line or int(place[2])
            message = f"{label}:{place[2]}: {message[: place.start()]}"
        if level in ("emerg", "crit", "alert", "error"):
            hindered = hindered or any(words in message for words in _SURROUNDINGS)
        else:
            message = f"{level}: {message}"
        said.append(clean_line(message.replace(str(ours), label), 400))
    if done.returncode == 0:
        return Proof("good", nginx.version, tuple(said), line)
    said = said or [clean_line(done.stderr.strip() or f"it ended with {done.returncode}", 400)]
    return Proof("unknown" if hindered else "bad", nginx.version, tuple(said), line)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace",
                              timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OpsError(f"nginx does not answer within {_SECONDS:g} s", where=command[0],
                       code=ExitCode.UNKNOWN) from None  # fmt: skip
    except OSError as error:
        raise OpsError(f"nginx cannot be run: {error.strerror}", where=command[0],
                       code=ExitCode.UNKNOWN) from None  # fmt: skip
