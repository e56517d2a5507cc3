"""The keeper's record of its daemon, in memory and on a disk that may be full."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opsconsole.daemon.notes import say

if TYPE_CHECKING:
    from opsconsole.daemon.folder import Folder
    from opsconsole.daemon.record import Record

_RETRY_SECONDS = 1.0


class Journal:
    """The record, written down at every change.

    A full disk must not take the server down with it: what cannot be written stays true in
    memory, and is tried again.
    """

    def __init__(self, folder: Folder, record: Record) -> None:
        self.record = record
        self._folder = folder
        self._retry_at: float | None = None

    def change(self, **changes: Any) -> None:
        """Change the record; another state is dated now."""
        if changes.get("state", self.record.state) is not self.record.state:
            changes["since"] = time.time()
        changed = self.record._replace(**changes)
        if changed != self.record:
            self.record = changed
            self._write()

    def retry(self, now: float) -> float | None:
        """Write what could not be written, if it is time; when to come again, monotonic."""
        if self._retry_at is not None and now >= self._retry_at:
            self._write()
        return self._retry_at

    def _write(self) -> None:
        try:
            self._folder.write_record(self.record)
        except OSError as error:
            if self._retry_at is None:
                say(f"state.json cannot be written: {error.strerror}")
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        else:
            self._retry_at = None
