"""Which file a profile's name stands for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from opsconsole import paths
from opsconsole.errors import UsageError
from opsconsole.profile.document import ProfileDoc
from opsconsole.profile.model import Profile
from opsconsole.profile.problems import Problem, ProfileError, nearest
from opsconsole.profile.read import Places, read
from opsconsole.profile.resolve import resolve

DEFAULT = "local"
MAX_BYTES = 1_000_000


def shipped_dir() -> Path:
    """The profiles that come with the package (in a checkout: the folder beside it)."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_profiles"
    return installed if installed.is_dir() else package.parent / "profiles"


def folders() -> list[Path]:
    """Where a profile is looked for by name, first match wins."""
    return [paths.config_dir() / "profiles", shipped_dir()]


def available() -> dict[str, Path]:
    """Every profile that can be had by name, and its file."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*.y*ml")):
            found.setdefault(path.stem, path)
    return found


def find(name: str | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The file of profile ``name``: a path, or a name; else ``$OPSCONSOLE_PROFILE``, else local.

    Raises:
        UsageError: there is no such file or name.
    """
    environ = os.environ if environ is None else environ
    name = name or environ.get("OPSCONSOLE_PROFILE") or DEFAULT
    if "/" in name or name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError("no such profile file", where=name)
        return path
    known = available()
    if name not in known:
        raise UsageError(f"there is no profile {name!r}", hint=nearest(name, known))
    return known[name]


def load(name: str | None = None, environ: Mapping[str, str] | None = None) -> Profile:
    """Find, read and check a profile.

    Raises:
        UsageError: it cannot be found or read.
        ProfileError: it has mistakes; all are listed with file, line and key.
    """
    path = find(name, environ)
    return load_file(path)


def load_file(path: Path) -> Profile:
    """Read and check the profile in ``path``; errors as in :func:`load`."""
    return resolve(*_document(path), str(path), path)


def place_of(path: Path, key: tuple[str | int, ...]) -> tuple[int, int]:
    """Line and column, counted from 1, of a key of the profile in ``path``, such as ``("loads", 0,
    "replay")``; of what it is in where it is not written. Errors as in :func:`load`."""
    places = _document(path)[1]
    while key not in places:
        key = key[:-1]
    return places[key]


def _document(path: Path) -> tuple[ProfileDoc, Places]:
    file = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=file) from None
    if len(data) > MAX_BYTES:
        raise ProfileError(file, [Problem("larger than 1 MB: not a profile")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProfileError(file, [Problem("not UTF-8", line, 1)]) from None
    return read(text, file, path.resolve().parent)
