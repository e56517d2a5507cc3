"""Where things live on disk (XDG through platformdirs), and how they are written."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from platformdirs import PlatformDirs


def config_dir() -> Path:
    """The user's configuration: own profiles under ``profiles/``, settings."""
    return Path(PlatformDirs("opsconsole", appauthor=False).user_config_dir)


def state_dir() -> Path:
    """Daemon state, logs, the audit trail."""
    return Path(PlatformDirs("opsconsole", appauthor=False).user_state_dir)


def private_dir(path: Path) -> Path:
    """Create ``path`` and its parents; folders that are made get mode 0700."""
    if not path.is_dir():
        private_dir(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    return path


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace ``path`` with ``data`` so that a reader sees the old or the new, never a half.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    import tempfile  # 8 ms that a reader need not pay

    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
