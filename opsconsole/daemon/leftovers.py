"""What somebody who was killed has left of a daemon, and the command that mends it.

`opsconsole status` asks this of every daemon: a look at a file, and no heavy import.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from opsconsole.daemon.folder import remove
from opsconsole.daemon.holding import hold_daemon, holder, tuning_lock
from opsconsole.errors import OpsError

if TYPE_CHECKING:
    from opsconsole.daemon.folder import Folder


class Leftover(NamedTuple):
    """What happened, and the command that puts back what was there."""

    what: str
    remedy: str


def tuning_journal(folder: Folder) -> str:
    """Where a tuning notes what was there before it; gone when that is there again."""
    return f"{folder.path}/tune.json"


def leftover(folder: Folder, name: str) -> Leftover | None:
    """What a killed tuning left of the daemon ``name``; None when none did, or one is at work."""
    path = tuning_journal(folder)
    # Looked for twice: one that ends just now deletes it before it lets go of its lock.
    if os.path.exists(path) and not holder(tuning_lock(folder)) and os.path.exists(path):
        return Leftover("a tuning was killed", f"opsconsole tune --restore {name}")
    return None


def forget_tuning(folder: Folder, name: str) -> bool:
    """An operator has decided what this daemon does: that holds, not what a killed tuning found.

    Whether it is forgotten; while a tuning is at work it goes on to put everything back.
    """
    try:
        with hold_daemon(folder, "restart", name):
            remove(tuning_journal(folder))
    except OpsError:
        return False
    return True
