"""Daemons that ask for the key of their profile, or speak TLS."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from opsconsole import daemon as face
from opsconsole.daemon import command
from opsconsole.errors import OpsError
from opsconsole.profile import DaemonSpec, Profile, Server
from opsconsole.profile.secret import Secret
from tests.certificates import Certificate
from tests.daemon.bed import clean_up, kill, until
from tests.net import free_port

KEY = "made-up-key-0123456789"
Make = Callable[..., tuple[Profile, Server]]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a profile of one real server, whose key is in the variable RERANKER_KEY."""
    monkeypatch.setenv("RERANKER_KEY", KEY)
    made: list[tuple[Profile, Server]] = []

    def one(scheme: str = "http", **env: str) -> tuple[Profile, Server]:
        server = Server(
            name="secured",
            url=f"{scheme}://127.0.0.1:{free_port()}",
            api_key=Secret(env="RERANKER_KEY"),
            daemon=DaemonSpec(device="cpu", env=env, backoff=0.05, start_timeout=60.0),
        )
        made.append((Profile(name="test", servers=(server,)), server))
        return made[-1]

    yield one
    for profile, server in made:
        clean_up(command.folder_of(profile, server))


def asked(server: Server, path: str, key: str | None = None) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.get(server.url + path, headers=headers, trust_env=False, verify=False).status_code


def commands(*pids: int | None) -> bytes:
    return b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)


def test_the_key_of_the_profile_secures_its_daemon(make: Make) -> None:
    profile, server = make()
    found = face.start(profile, server)
    assert found.ready
    assert found.pid is not None
    assert asked(server, "/health") == 401
    assert asked(server, "/health", "another-key-0123456789") == 401
    assert asked(server, "/health", KEY) == 200
    folder = Path(command.folder_of(profile, server).path)
    for path in folder.iterdir():
        assert KEY.encode() not in path.read_bytes(), path.name
    assert KEY.encode() not in commands(found.pid, found.keeper_pid)
    record = command.folder_of(profile, server).read_record()
    assert record.server is not None
    kill(record.server, signal.SIGKILL)
    until("a new server", lambda: face.status(profile, server).restarts and _ready(profile), 60)
    assert (asked(server, "/health"), asked(server, "/health", KEY)) == (401, 200)


def _ready(profile: Profile) -> bool:
    return face.status(profile, profile.servers[0]).ready


def test_an_adopted_daemon_keeps_its_key(make: Make) -> None:
    profile, server = make()
    found = face.start(profile, server)
    _, keeper = command.folder_of(profile, server).keeper()
    assert keeper is not None
    kill(keeper, signal.SIGKILL)
    assert face.adopt(profile, server)
    record = command.folder_of(profile, server).read_record()
    assert record.server is not None
    kill(record.server, signal.SIGKILL)
    until("a new server", lambda: face.status(profile, server).restarts and _ready(profile), 60)
    assert face.status(profile, server).pid != found.pid
    assert (asked(server, "/health"), asked(server, "/health", KEY)) == (401, 200)


def test_a_key_that_cannot_be_had_stops_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, server = make()
    found = face.start(profile, server)
    monkeypatch.delenv("RERANKER_KEY")
    with pytest.raises(OpsError, match="RERANKER_KEY"):
        face.restart(profile, server)
    assert face.status(profile, server).pid == found.pid


def test_keys_that_the_environment_names_win(make: Make) -> None:
    _, server = make(API_KEYS="other:0123456789abcdef0")
    assert command.secrets_of(server) == {}
    _, server = make(API_KEY_FILE="keys")
    assert command.secrets_of(server) == {}


@pytest.mark.parametrize("key", ["a,b", "a b", "schl\u00fcssel", "x" * 600])
def test_a_key_that_no_server_takes_is_refused_unsaid(
    make: Make, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    _, server = make()
    monkeypatch.setenv("RERANKER_KEY", key)
    with pytest.raises(OpsError, match="cannot be that of a server") as caught:
        command.secrets_of(server)
    assert key not in str(caught.value)


def test_a_daemon_that_speaks_tls(make: Make, certificate: Certificate) -> None:
    profile, server = make("https", **certificate.env)
    assert face.start(profile, server).ready
    assert asked(server, "/live") == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(server.url.replace("https", "http") + "/live", trust_env=False)
    trusted = ssl.create_default_context(cafile=str(certificate.cert))
    assert httpx.get(server.url + "/live", verify=trusted, trust_env=False).status_code == 200


def test_relative_files_are_those_of_the_caller(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    profile, server = make("https", TLS_CERT_FILE="a.pem", TLS_KEY_FILE="~/a.key")
    spec = command.spec_of(profile, server)
    assert spec.env["TLS_CERT_FILE"] == str(tmp_path / "a.pem")
    assert spec.env["TLS_KEY_FILE"] == str(Path("~/a.key").expanduser())
    assert spec.tls
    assert (spec.health, spec.host) == ("/ready", "127.0.0.1")
