"""An nginx of our own: in a temporary folder, on a free port of loopback, gone when closed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from opsconsole.balancer import config
from opsconsole.balancer.access import AccessLog
from opsconsole.balancer.nginx import Binary
from opsconsole.balancer.pool import Pool
from opsconsole.balancer.watcher import ENDED
from opsconsole.balancer.words import listen_word
from opsconsole.errors import ExitCode, OpsError
from opsconsole.text import clean_line

_HOST = "127.0.0.1"
_START = 10.0
_END = 15.0
_TRIES = 3
_IN_USE = "98: Address already in use"


class OwnNginx:
    """nginx in front of ``pool``, for as long as the block lasts. Blocks; errors as of `start`.

    Attributes:
        url: Where it listens.
        log: What it did with each request.
    """

    def __init__(self, binary: Binary, pool: Pool) -> None:
        self.binary = binary
        self._pool = pool
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self.url = ""
        self.log = AccessLog(Path(os.devnull))

    def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            OpsError: it does not start, with its own words.
        """
        for attempt in range(_TRIES):
            why = self._try()
            if not why:
                return
            self.close()
            if _IN_USE not in why or attempt == _TRIES - 1:
                raise OpsError(f"nginx does not start: {why}", where=self.binary.path,
                               code=ExitCode.UNKNOWN)  # fmt: skip

    def _try(self) -> str:
        """Start it; why it did not."""
        port = _free_port()
        self.url = f"http://{_HOST}:{port}"
        folder = self._folder = Path(tempfile.mkdtemp(prefix="opsconsole-nginx-"))
        if os.geteuid() == 0:
            folder.chmod(0o711)  # the workers are of another user, and come through here
        self.log = AccessLog(folder / "access.log")
        pool = msgspec.structs.replace(self._pool, listen=listen_word(f"{_HOST}:{port}"))
        text = config.whole(pool, folder, workers=1, temp_paths=self.binary.temp_paths, log=True)
        (folder / "nginx.conf").write_text(text)
        nginx = self.binary.command(folder, folder / "nginx.conf", "-g", "daemon off;")
        # A session of its own: Ctrl-C at the terminal is ours to answer.
        with (folder / "early.log").open("wb") as early:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "opsconsole.balancer.watcher", str(folder), *nginx],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=early,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            if _accepts(port) and _told(folder / "nginx.pid"):
                return ""
            if why := self.trouble():
                return why
            time.sleep(0.02)
        return self.trouble() or f"it does not listen after {_START:g} s"

    @property
    def folder(self) -> Path | None:
        """Where all of it lies; None while it does not run."""
        return self._folder

    def trouble(self) -> str:
        """Why it ended by itself, in its own words; empty while it runs."""
        folder = self._folder
        if folder is None:
            return "it was not started"
        for name in ("error.log", "early.log"):
            with contextlib.suppress(OSError):
                lines = (folder / name).read_text(errors="replace").splitlines()
                if worst := [line for line in lines if "[emerg]" in line or "[alert]" in line]:
                    return clean_line(worst[-1].partition("] ")[2] or worst[-1], 300)
        with contextlib.suppress(OSError):
            return f"it ended with {(folder / ENDED).read_text()}"
        if self._process is not None and self._process.poll() is not None:
            return f"it ended with {self._process.returncode}"
        return ""

    def close(self) -> None:
        """End it; nothing of it stays. May be called again."""
        self.log.read()
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> OwnNginx:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        name: Any = probe.getsockname()
        return int(name[1])


def _told(pid_file: Path) -> bool:
    """Whether nginx has written it: it answers before."""
    try:
        return bool(pid_file.read_text().strip())
    except OSError:
        return False


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((_HOST, port), 0.2):
            return True
    except OSError:
        return False
