"""The verbs, on servers of a profile: what is run, and that the real server can be run so."""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opsconsole import daemon as face
from opsconsole.daemon import command, control
from opsconsole.daemon.record import Spec
from opsconsole.daemon.states import DaemonState
from opsconsole.errors import OpsError, UsageError
from opsconsole.profile import DaemonSpec, Profile, Server
from tests.daemon.bed import ODD_SERVER, clean_up, kill, until
from tests.net import free_port


def profile_of(*servers: Server, name: str = "test") -> Profile:
    return Profile(name=name, servers=servers)


def server_of(name: str = "local", port: int = 8000, **daemon: object) -> Server:
    return Server(
        name=name,
        url=f"http://127.0.0.1:{port}",
        daemon=DaemonSpec(**daemon),  # type: ignore[arg-type]
    )


def test_what_is_run() -> None:
    server = server_of(model="/models/m", backend="mlx", env={"BATCH_SIZE": "8"}, stop_grace=3.0)
    spec = command.spec_of(profile_of(server), server)
    assert spec.argv == [sys.executable, "-m", "opsconsole.server"]
    assert spec.env == {
        "LOCAL_MODEL_PATH": "",  # empty is unset: an exported one must not win over the profile
        "MODEL_NAME": "/models/m",
        "DEVICE_PREFERENCE": "auto",
        "USE_MLX": "true",
        "HOST": "127.0.0.1",
        "PORT": "8000",
        "BATCH_SIZE": "8",
    }
    assert (spec.profile, spec.name, spec.port, spec.stop_grace) == ("test", "local", 8000, 3.0)


@pytest.mark.parametrize(
    ("backend", "expected"), [("auto", None), ("pytorch", "false"), ("mlx", "true")]
)
def test_the_backend_asked_for(backend: str, expected: str | None) -> None:
    server = server_of(backend=backend)
    assert command.spec_of(profile_of(server), server).env.get("USE_MLX") == expected


def test_relative_folders_are_those_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = server_of(model="./m", env={"LOCAL_MODEL_PATH": "models/x"})
    env = command.spec_of(profile_of(server), server).env
    assert env["MODEL_NAME"] == str(tmp_path / "m")
    assert env["LOCAL_MODEL_PATH"] == str(tmp_path / "models/x")
    server = server_of(model="BAAI/bge-reranker-base")
    assert command.spec_of(profile_of(server), server).env["MODEL_NAME"] == server.daemon.model  # type: ignore[union-attr]


def test_health_of_a_wildcard_address_is_asked_on_loopback() -> None:
    server = Server(name="a", url="http://0.0.0.0:8000", daemon=DaemonSpec())
    spec = command.spec_of(profile_of(server), server)
    assert (spec.host, spec.env["HOST"]) == ("127.0.0.1", "0.0.0.0")


def test_only_own_daemons_can_be_started() -> None:
    server = Server(name="far", url="http://example.com", kind="http")
    with pytest.raises(OpsError, match="is watched, not run"):
        face.start(profile_of(server), server)
    assert not face.adopt(profile_of(server), server)


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "", "a\x00b", "x" * 101])
def test_names_that_are_no_folder(name: str) -> None:
    server = server_of(name)
    with pytest.raises(UsageError, match="cannot name a daemon"):
        face.status(profile_of(server), server)
    with pytest.raises(UsageError, match="cannot name a daemon"):
        face.status(profile_of(server_of(), name=name), server_of())


def test_where_the_files_are(state_home: Path) -> None:
    server = server_of()
    expected = state_home / "opsconsole/daemons/test/local/server.log"
    assert face.log_path(profile_of(server), server) == expected
    assert face.status(profile_of(server), server).log == str(expected)


def test_the_face_has_all_its_names() -> None:
    for name in face.__all__:
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError):
        face.nonsense


# With odd servers in the place of real ones


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Makes servers of a profile whose program is the odd server."""
    habits: dict[str, list[str]] = {}
    real = command.spec_of

    def spec_of(profile: Profile, server: Server) -> Spec:
        spec = real(profile, server)
        argv = [sys.executable, "-S", "-E", str(ODD_SERVER), str(server.port)]
        return spec._replace(argv=argv + habits[server.name], probe_starting=0.03)

    monkeypatch.setattr(control, "spec_of", spec_of)

    def make(name: str, *extra: str) -> Server:
        habits[name] = list(extra)
        return server_of(name, free_port(), backoff=0.05, start_limit=2, stop_grace=5.0)

    yield make
    for name in habits:
        clean_up(command.folder_of(profile_of(), server_of(name)))


def test_the_verbs(odd: Callable[..., Server]) -> None:
    server = odd("a")
    profile = profile_of(server)
    started = face.start(profile, server)
    assert (started.profile, started.name, started.state) == ("test", "a", DaemonState.RUNNING)
    assert started.port == server.port
    assert face.status(profile, server) == started
    restarted = face.restart(profile, server)
    assert restarted.state is DaemonState.RUNNING
    assert restarted.pid != started.pid
    assert face.stop(profile, server).state is DaemonState.STOPPED
    assert face.restart(profile, server).state is DaemonState.RUNNING


def test_restart_takes_what_the_profile_says_now(odd: Callable[..., Server]) -> None:
    server = odd("a")
    face.start(profile_of(server), server)
    moved = server_of("a", free_port())
    assert face.status(profile_of(moved), moved).port == server.port  # where it really is
    assert face.restart(profile_of(moved), moved).port == moved.port


def test_a_rolling_restart_goes_one_by_one(odd: Callable[..., Server]) -> None:
    servers = [odd("a"), odd("b")]
    profile = profile_of(*servers)
    before = [face.start(profile, server).pid for server in servers]
    rolling = face.rolling_restart(profile, servers)
    first = next(rolling)
    assert (first.name, first.ready) == ("a", True)
    assert face.status(profile, servers[1]).pid == before[1]  # not touched yet
    second = next(rolling)
    assert (second.name, second.ready) == ("b", True)
    assert {first.pid, second.pid}.isdisjoint(before)
    assert list(rolling) == []


def test_a_rolling_restart_stops_at_the_first_that_does_not_come_back(
    odd: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "fine").touch()
    servers = [odd("a"), odd("b", "--crash-unless", str(tmp_path / "fine")), odd("c")]
    profile = profile_of(*servers)
    for server in servers:
        face.start(profile, server)
    untouched = face.status(profile, servers[2])
    (tmp_path / "fine").unlink()
    rolling = face.rolling_restart(profile, servers)
    assert next(rolling).name == "a"
    with pytest.raises(OpsError, match="it crashed") as caught:
        next(rolling)
    assert caught.value.where == "b"
    assert "not touched: c" in caught.value.hint
    assert face.status(profile, servers[2]) == untouched


# With the real server


@pytest.fixture
def real() -> Iterator[tuple[Profile, Server]]:
    """A profile with one real server on the embedded model."""
    for module in ("opsconsole.server", "torch", "uvicorn", "starlette"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}: pip install opsconsole[engine]")
    server = server_of("real", free_port(), device="cpu", backend="pytorch", start_timeout=60.0)
    yield profile_of(server), server
    clean_up(command.folder_of(profile_of(), server))


def health(server: Server) -> dict[str, object]:
    with urllib.request.urlopen(f"{server.url}/health", timeout=5) as answer:
        return dict(json.load(answer))


def test_the_real_server_starts_crashes_and_stops(real: tuple[Profile, Server]) -> None:
    profile, server = real
    found = face.start(profile, server)
    told = health(server)
    assert (told["status"], told["pid"], told["name"]) == ("healthy", found.pid, "real")
    assert found.pid is not None
    record = command.folder_of(profile, server).read_record()
    assert record.server is not None
    kill(record.server, signal.SIGKILL)
    back = until(
        "a new server",
        lambda: s if (s := face.status(profile, server)).ready and s.pid != found.pid else None,
        60,
    )
    assert back.restarts == 1
    assert health(server)["pid"] == back.pid
    stopped = face.stop(profile, server)
    assert (stopped.state, stopped.last_exit) == (DaemonState.STOPPED, "exit 0")


def test_the_real_server_reopens_its_log_and_is_adopted(real: tuple[Profile, Server]) -> None:
    profile, server = real
    found = face.start(profile, server)
    log = face.log_path(profile, server)
    _, keeper = command.folder_of(profile, server).keeper()
    assert keeper is not None
    kill(keeper, signal.SIGKILL)
    assert face.status(profile, server).state is DaemonState.ORPHANED
    log.rename(f"{log}.1")
    assert face.adopt(profile, server)
    until("its log again", log.exists)
    assert health(server)["pid"] == found.pid
    assert face.start(profile, server).pid == found.pid


def test_the_real_server_says_why_it_cannot_start(real: tuple[Profile, Server]) -> None:
    profile, server = real
    wrong = server_of("real", server.port, model="/no/such/model", device="cpu")
    with pytest.raises(OpsError, match="/no/such/model"):
        face.start(profile, wrong)
    found = face.status(profile, wrong)
    assert (found.state, found.last_exit) == (DaemonState.FATAL, "exit 78")
