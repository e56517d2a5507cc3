"""Daemons for the tests: each in a state folder of its own, each ended whatever happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opsconsole.daemon.identity import identify
from tests.certificates import Certificate, make_certificate
from tests.daemon.bed import Daemon, clean_up, until


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def make_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons, by name and port."""
    made: list[Daemon] = []

    def make(name: str = "odd", port: int | None = None) -> Daemon:
        made.append(Daemon(tmp_path / "daemons", name, port))
        return made[-1]

    yield make
    for one in made:
        clean_up(one.folder)


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    """One daemon, not started."""
    return make_daemon()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for loopback."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any daemon, and must never be signalled."""
    code = "import time\nwhile True: time.sleep(3600)"
    with subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True) as process:
        try:
            # Popen returns when the program is being loaded: it has no command line for a moment.
            until("the stranger has begun", lambda: identify(process.pid))
            yield process
            assert process.poll() is None, "the stranger was signalled"
        finally:
            process.kill()
