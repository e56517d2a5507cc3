"""Files that are damaged, cannot be written, or do not fit on the disk any more."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from opsconsole.daemon.record import Record, Spec, parse_identity
from opsconsole.daemon.states import DaemonState
from opsconsole.errors import OpsError
from tests.daemon.bed import Daemon, until

DAMAGE = [
    b"",
    b"\0\0\0\0",
    b"\xff\xfe",
    b"{",
    b"[]",
    b"null",
    b'{"state": "running"',
    b'{"state": "DANCING", "since": 1, "boot": "x"}',
    b'{"state": "running", "since": "yesterday", "boot": "x"}',
    b'{"state": "running", "since": 1}',
    b'{"state": "running", "since": 1, "boot": "x", "server": {"pid": 1}}',
    b'{"state": "running", "since": 1, "boot": "x", "server": [1]}',
    b'{"state": ["running"], "since": 1, "boot": "x"}',
    b'{"state": "running", "since": 1, "boot": "x", "starts": ["a"]}',
    b'{"state": "running", "since": 1, "boot": "x", "restarts": true}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_state_file_is_said_and_no_obstacle(daemon: Daemon, damage: bytes) -> None:
    daemon.path.mkdir(parents=True)
    Path(daemon.folder.state).write_bytes(damage)
    found = daemon.status()
    assert found.state is DaemonState.UNKNOWN
    assert found.detail.startswith("state.json is damaged: ")
    assert daemon.stop().state is DaemonState.STOPPED


def test_start_over_a_damaged_state_file(daemon: Daemon) -> None:
    daemon.path.mkdir(parents=True)
    Path(daemon.folder.state).write_bytes(b"{")
    Path(daemon.folder.spec).write_bytes(b"{")
    assert daemon.start().state is DaemonState.RUNNING


def test_adoption_with_a_lost_spec(daemon: Daemon) -> None:
    daemon.start()
    daemon.kill_keeper()
    Path(daemon.folder.spec).write_bytes(b"")
    assert daemon.start().state is DaemonState.RUNNING


def test_the_files_read_back_as_written() -> None:
    identity = parse_identity({"pid": 7, "start": 1.0, "boot": "b", "argv": "a"})
    record = Record(DaemonState.BACKOFF, 1.5, "b", server=identity, starts=[1.0], last_exit="x")
    assert Record.parse(record.dump()) == record
    spec = Spec("p", "n", ["a"], {"K": "v"}, "h", 1)
    assert Spec.parse(spec.dump()) == spec
    assert Spec.parse(spec.dump().replace(b'"p"', b'"p", "of the future": 1')) == spec


@pytest.mark.parametrize(
    "spec",
    [
        b'{"profile": "p", "name": "n", "argv": [], "env": {}, "host": "h", "port": 1}',
        b'{"profile": "p", "name": "n", "argv": ["a", 1], "env": {}, "host": "h", "port": 1}',
        b'{"profile": "p", "name": "n", "argv": ["a"], "env": {"a": 1}, "host": "h", "port": 1}',
        b'{"profile": "p", "name": "n", "argv": ["a"], "env": {}, "host": "h"}',
        b'{"profile": 1, "name": "n", "argv": ["a"], "env": {}, "host": "h", "port": 1}',
    ],
)
def test_a_spec_that_is_not_one(spec: bytes) -> None:
    with pytest.raises(ValueError, match=r"argv|env|port|profile"):
        Spec.parse(spec)


def test_a_folder_that_cannot_be_made(daemon: Daemon) -> None:
    daemon.path.parent.parent.mkdir(exist_ok=True)
    daemon.path.parent.write_text("a file where the folder should be")
    with pytest.raises(OpsError, match="files cannot be written"):
        daemon.start()


@pytest.fixture
def full_disk(daemon: Daemon) -> Daemon:
    """A running daemon whose keeper cannot write another byte to any file."""
    daemon.start()
    _, hard = resource.prlimit(daemon.keeper().pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.keeper().pid, resource.RLIMIT_FSIZE, (0, hard))
    return daemon


def test_a_full_disk_does_not_stop_the_keeper(full_disk: Daemon) -> None:
    daemon = full_disk
    keeper, before = daemon.keeper(), daemon.server()
    daemon.kill_server()
    back = until("a new server", lambda: p[0] if (p := daemon.processes()) else None)
    assert back != before.pid
    assert daemon.record().server == before  # not written
    behind = daemon.reaches(DaemonState.UNKNOWN)
    assert "state.json is behind" in behind.detail
    resource.prlimit(keeper.pid, resource.RLIMIT_FSIZE, resource.prlimit(os.getpid(), 1))
    found = daemon.reaches(DaemonState.RUNNING)  # it tries again by itself
    assert (found.pid, found.keeper_pid, found.restarts) == (back, keeper.pid, 1)
    assert not list(daemon.path.glob("*.new"))


def test_stop_on_a_full_disk(full_disk: Daemon) -> None:
    daemon = full_disk
    daemon.stop()
    assert daemon.processes() == []
    assert not daemon.folder.keeper()[0]


def test_start_on_a_full_disk_says_so(daemon: Daemon) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OpsError, match="files cannot be written: File too large"):
            daemon.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert daemon.processes() == []
    assert daemon.start().state is DaemonState.RUNNING
