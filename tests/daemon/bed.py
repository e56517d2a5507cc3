"""Where the tests run real daemons, and how nothing of them stays behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from opsconsole.daemon.folder import Folder
from opsconsole.daemon.group import environ_of
from opsconsole.daemon.halt import halt
from opsconsole.daemon.identity import Handle, Identity, read_stat, signal_exactly
from opsconsole.daemon.launch import launch
from opsconsole.daemon.observe import DaemonStatus, inspect
from opsconsole.daemon.record import Record, Spec
from opsconsole.daemon.states import DaemonState
from tests.net import free_port

ODD_SERVER = Path(__file__).with_name("odd_server.py")
T = TypeVar("T")


def until(what: str, condition: Callable[[], T | None], seconds: float = 60.0) -> T:
    """The first true value of ``condition``, which must come within ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether ``pid`` is a living process, a zombie not being one."""
    stat = read_stat(pid)
    return stat is not None and not stat.dead


class Daemon:
    """One daemon under test: an odd server with quick times."""

    def __init__(self, path: Path, name: str = "odd", port: int | None = None) -> None:
        self.folder = Folder(str(path / name))
        self.path = path / name
        self.port = port or free_port()
        self.spec = Spec(
            profile="test",
            name=name,
            argv=[],
            env={},
            host="127.0.0.1",
            port=self.port,
            start_timeout=60.0,
            stop_grace=5.0,
            backoff=0.1,
            probe_starting=0.03,
            probe_interval=0.05,
            probe_timeout=5.0,
        )
        self.runs()

    def runs(self, *habits: str, **changes: Any) -> Daemon:
        """Let its server have these habits, and its spec these values."""
        argv = [sys.executable, "-S", "-E", str(ODD_SERVER), str(self.port), *habits]
        self.spec = self.spec._replace(argv=argv)._replace(**changes)
        return self

    def start(self, *, wait: bool = True, timeout: float | None = None) -> DaemonStatus:
        """Start it."""
        return launch(self.folder, self.spec, wait=wait, timeout=timeout)

    def stop(self, grace: float | None = None) -> DaemonStatus:
        """Stop it."""
        return halt(self.folder, self.spec, grace=grace)

    def status(self) -> DaemonStatus:
        """Its status."""
        spec = self.spec
        return inspect(self.folder, spec.profile, spec.name, spec.host, spec.port)

    def reaches(self, *states: DaemonState, seconds: float = 60.0) -> DaemonStatus:
        """Its status, as soon as it is in one of ``states``."""

        def there() -> DaemonStatus | None:
            found = self.status()
            return found if found.state in states else None

        return until(f"{' or '.join(states)}, not {self.status()}", there, seconds)

    def restarted(self, times: int) -> DaemonStatus:
        """Its status, as soon as it is ready after so many restarts."""

        def there() -> DaemonStatus | None:
            found = self.status()
            return found if found.ready and found.restarts == times else None

        return until(f"{times} restarts", there)

    def record(self) -> Record:
        """Its state file."""
        return self.folder.read_record()

    def server(self) -> Identity:
        """The identity of its server."""
        found = self.record().server
        assert found is not None
        return found

    def keeper(self) -> Identity:
        """The identity of its living keeper."""
        kept, found = self.folder.keeper()
        assert kept
        assert found is not None
        return found

    def kill_server(self, signum: int = signal.SIGKILL) -> Identity:
        """Kill its server from outside."""
        return kill(self.server(), signum)

    def kill_keeper(self) -> Identity:
        """Kill its keeper, and wait for its end."""
        return kill(self.keeper(), signal.SIGKILL)

    def log(self) -> str:
        """All that its server wrote and that is still kept, oldest first."""
        paths = sorted(self.path.glob("server.log.*"), key=lambda path: -int(path.suffix[1:]))
        paths.append(self.path / "server.log")
        return "".join(path.read_text() for path in paths if path.exists())

    def notes(self) -> str:
        """What its keeper wrote."""
        return Path(self.folder.keeper_log).read_text()

    def processes(self) -> list[int]:
        """Its server and all that the server begot."""
        return processes(self.folder)


def processes(folder: Folder) -> list[int]:
    """All that a keeper of ``folder`` ever started and that lives, by the log they were given."""
    mark = os.fsencode(folder.log)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [
        pid for pid in pids if environ_of(pid).get(b"OPSCONSOLE_LOG_FILE") == mark and alive(pid)
    ]


def clean_up(folder: Folder) -> None:
    """End everything of a daemon, the keeper first, whatever state it is in."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        kept, keeper = folder.keeper() if os.path.isdir(folder.path) else (False, None)
        if kept and keeper is not None:
            kill(keeper, signal.SIGKILL)
        pids = processes(folder)
        for pid in pids:
            stat = read_stat(pid)
            if stat is not None:
                signal_exactly(pid, stat.start, signal.SIGKILL)
        if not kept and not pids:
            return
        time.sleep(0.02)
    pytest.fail(f"processes stay behind: {processes(folder)}")


def kill(identity: Identity, signum: int) -> Identity:
    """Signal exactly this process, and wait for its end."""
    handle = Handle.claim(identity)
    if handle is not None:
        with handle:
            handle.send(signum)
            assert handle.wait(60), f"process {identity.pid} does not end"
    return identity
