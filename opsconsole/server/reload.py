"""Development: a server that restarts when its code or its model changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

import opsconsole
from opsconsole.server.logs import JsonLog
from opsconsole.server.settings import ServerSettings

INTERVAL = 0.5
"""Seconds between two looks at the files."""


def serve_reloading(settings: ServerSettings, log: JsonLog) -> int:
    """Run the server as a child, and again after every change; returns its last exit code.

    A server that ends by itself, by a typing mistake perhaps, is started again at the next
    change.
    """
    from opsconsole.server.run import SETTINGS_VARIABLE

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    environ = os.environ | {SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()}
    argv = [sys.executable, "-m", "opsconsole.server"]
    folders = watched(settings)
    seen = look(folders)
    child = subprocess.Popen(argv, env=environ)
    said_end = False
    while not stop.wait(INTERVAL):
        if not said_end and child.poll() is not None:
            said_end = True
            log.warning("the server ended; waiting for a change", exit_code=child.returncode)
        now = look(folders)
        if now == seen:
            continue
        changed = sorted(path for path, _ in set(now.items()) ^ set(seen.items()))
        seen = now
        log.info("files changed: restarting", files=list(dict.fromkeys(changed))[:10])
        _end(child)
        child = subprocess.Popen(argv, env=environ)
        said_end = False
    return _end(child)


def watched(settings: ServerSettings) -> list[tuple[Path, str]]:
    """(folder, pattern) to watch: the package's code, and the model when it is a folder."""
    folders = [(Path(opsconsole.__file__).parent, "*.py")]
    model = Path(settings.engine.local_path or settings.engine.model)
    if model.is_dir():
        folders.append((model, "*"))
    return folders


def look(folders: list[tuple[Path, str]]) -> dict[str, int]:
    """Path → time of last change in ns, of every watched file there is."""
    found = {}
    for folder, pattern in folders:
        for path in folder.rglob(pattern):
            try:
                found[str(path)] = path.stat().st_mtime_ns
            except OSError:
                continue  # gone between listing and looking
    return found


def _end(child: subprocess.Popen[bytes]) -> int:
    """Let it drain; it ends within its own grace time."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    return child.wait()
