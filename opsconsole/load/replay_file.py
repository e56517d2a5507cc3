"""The file that a plan replays: what is in it when the plan is made, and whether it still is."""

from __future__ import annotations

import os
import time
from pathlib import Path

from opsconsole import figures
from opsconsole.errors import UsageError
from opsconsole.load.plan import ReplayFile, Work
from opsconsole.load.work.replay import Outline, outline
from opsconsole.text import clean_line

_SETTLED = 1.0
"""Seconds after which a file's time tells its content: one written twice at once may have one."""
_known: dict[str, tuple[tuple[int, ...], Outline]] = {}
"""A form asks at each key, and a file may have gigabytes."""


def look_into(path: Path) -> Outline:
    """The file's outline, read again only where it was written since.

    Raises:
        UsageError: as :func:`~opsconsole.load.work.replay.outline`.
    """
    state = _state(path)
    name = str(path.absolute())
    if state is not None and name in _known and _known[name][0] == state:
        return _known[name][1]
    found = outline(path)
    # The clock of another machine's files may be ahead of this one's: those are read each time.
    if state is not None and state == _state(path) and time.time() - state[-1] / 1e9 > _SETTLED:
        _known[name] = state, found
    return found


def replayed(path: Path) -> ReplayFile:
    """What the file holds; errors as :func:`look_into`."""
    found = look_into(path)
    return ReplayFile(requests=found.requests, size=found.size, sha256=found.sha256)


def refuse_changed(work: Work) -> None:
    """Whether the file still is what the plan was made of.

    Raises:
        UsageError: it holds something else by now, or cannot be read.
    """
    if work.replayed is None:
        return
    path = Path(work.replay).expanduser()
    now = replayed(path)
    if now != work.replayed:
        raise UsageError(
            f"the file was changed since the plan was made: {held(now)} instead of "
            f"{held(work.replayed)}", where=str(path), hint="make the plan anew",
        )  # fmt: skip


def held(file: ReplayFile) -> str:
    """``4 requests, 1.2 MiB, sha256:1f0c33ab``."""
    many = f"{file.requests:,} request{'s' * (file.requests != 1)}"
    return f"{many}, {figures.size(file.size)}, sha256:{file.sha256[:8]}"


def about(work: Work) -> str:
    """What was replayed, for a report; empty for what was made."""
    if not work.replay:
        return ""
    name = f"replay {clean_line(Path(work.replay).name, 60)}"
    return name if work.replayed is None else f"{name}: {held(work.replayed)}"


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
