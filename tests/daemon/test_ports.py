"""A taken port is refused, and its owner named, before anything is started."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from opsconsole.daemon import ports
from opsconsole.daemon.states import DaemonState
from opsconsole.errors import OpsError
from tests.daemon.bed import Daemon, until
from tests.net import free_port


@pytest.fixture
def foreign() -> Iterator[tuple[int, int]]:
    """The pid and port of a program that opsconsole did not start."""
    code = (
        "import socket, time\ns = socket.create_server(('127.0.0.1', 0))\n"
        "print(s.getsockname()[1], flush=True)\nwhile True: time.sleep(3600)"
    )
    command = [sys.executable, "-S", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def test_start_names_the_owner_of_a_taken_port(
    make_daemon: Callable[..., Daemon], foreign: tuple[int, int]
) -> None:
    pid, port = foreign
    daemon = make_daemon("local", port)
    with pytest.raises(OpsError) as caught:
        daemon.start()
    error = caught.value
    name = ports.describe(pid, "").name
    assert error.what == f"port {port} is taken by {name} (pid {pid}, user {getpass.getuser()})"
    assert error.where == "local"
    assert "import socket" in error.hint
    assert not os.path.exists(daemon.folder.state)
    assert daemon.processes() == []


def test_status_says_that_a_stopped_daemons_port_is_foreign(
    make_daemon: Callable[..., Daemon], foreign: tuple[int, int]
) -> None:
    pid, port = foreign
    found = make_daemon("local", port).status()
    assert found.state is DaemonState.FOREIGN
    assert f"pid {pid}, user {getpass.getuser()}" in found.detail
    assert found.pid is None


def test_another_daemon_on_the_port_is_said_by_name(make_daemon: Callable[..., Daemon]) -> None:
    first = make_daemon("first")
    first.start()
    with pytest.raises(OpsError, match=r"taken by .*daemon 'first', pid") as caught:
        make_daemon("second", first.port).start()
    assert "two daemons cannot share a port" in caught.value.hint


def test_own_server_whose_state_was_lost_is_recognised(daemon: Daemon) -> None:
    daemon.start()
    daemon.kill_keeper()
    pid = daemon.server().pid
    os.unlink(daemon.folder.state)
    with pytest.raises(OpsError, match=f"port {daemon.port} is taken") as caught:
        daemon.start()
    assert f"end it with kill {pid}" in caught.value.hint


def test_a_server_that_finds_its_port_taken_is_not_restarted(
    make_daemon: Callable[..., Daemon], foreign: tuple[int, int]
) -> None:
    """pm2#74: the other program came between our look and the server's."""
    _, port = foreign
    daemon = make_daemon("local").runs(restart="always")
    argv = [str(port) if word == str(daemon.port) else word for word in daemon.spec.argv]
    daemon.spec = daemon.spec._replace(argv=argv)
    with pytest.raises(OpsError, match=f"cannot listen on port {port}: Address already in use"):
        daemon.start()
    assert daemon.status().restarts == 0


def test_a_port_of_a_socket_in_time_wait_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first waits
            client.recv(1)
    assert ports.bindable("127.0.0.1", port) is None
    assert ports.owner(port) is None


def test_wildcard_and_ipv6_listeners_count() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert ports.bindable("127.0.0.1", port) is not None
        owner = ports.owner(port)
        assert owner is not None
        assert owner.pid == os.getpid()
        assert ports.accepts("0.0.0.0", port)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        assert ports.bindable("::1", port) is not None
        assert ports.bindable("127.0.0.1", port) is None
        owner = ports.owner(port)
        assert owner is not None
        assert owner.pid == os.getpid()


def test_the_search_without_proc(monkeypatch: pytest.MonkeyPatch, foreign: tuple[int, int]) -> None:
    monkeypatch.setattr(ports, "LINUX", False)
    pid, port = foreign
    owner = ports.owner(port)
    assert owner is not None
    assert (owner.pid, owner.user) == (pid, getpass.getuser())
    assert ports.owner(free_port()) is None


def test_an_address_that_is_not_ours(daemon: Daemon) -> None:
    daemon.spec = daemon.spec._replace(env={"HOST": "192.0.2.1"})
    with pytest.raises(OpsError, match=r"cannot listen on 192\.0\.2\.1"):
        daemon.start()


def test_an_invisible_owner_is_said_to_be_so() -> None:
    owner = ports.Owner(None, "a process", "www-data")
    assert str(owner) == "a process (pid not visible, user www-data)"
    assert "not visible here" in ports.taken("x", 80, None, "").what


def test_names_of_foreign_programs_are_cleaned() -> None:
    code = (
        "import socket, time\ns = socket.create_server(('127.0.0.1', 0))\n"
        "open('/proc/self/comm', 'w').write('\\x1b]52;;x\\x07y')\n"
        "print(s.getsockname()[1], flush=True)\nwhile True: time.sleep(3600)"
    )
    command = [sys.executable, "-S", "-c", code, "\x1b[2J"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            owner = ports.owner(port)
            assert owner is not None
            assert owner.name == "y"
            assert "\x1b" not in owner.command
        finally:
            process.kill()


def test_the_port_is_free_after_a_stop(daemon: Daemon) -> None:
    daemon.start()
    daemon.stop()
    assert ports.bindable("127.0.0.1", daemon.port) is None
    began = time.monotonic()
    until("a start", lambda: daemon.start().ready)
    assert time.monotonic() - began < 30  # an address in use is one for a minute
