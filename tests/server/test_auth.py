"""Who may ask: keys on the wire, in the log, and read again."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.process import ServerProcess, run_to_end, until
from tests.server.raw import HOST, exchange

ALICE = "alice-key-0123456789"
BARE = "bare-key-0123456789"
BOB = "bob-key-0123456789"


@pytest.fixture(scope="module")
def keyed() -> Iterator[ServerProcess]:
    """A server that has not loaded its model yet, or only just."""
    with ServerProcess({"API_KEYS": f"alice:{ALICE},{BARE}"}, wait="listening") as server:
        yield server


@pytest.mark.parametrize("path", ["/health", "/metrics", "/info", "/v1/models", "/nowhere", "/%00"])
def test_every_route_needs_a_key(keyed: ServerProcess, path: str) -> None:
    answer = keyed.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["type"] == "unauthorized"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_a_request_without_a_key_is_refused_before_its_body(keyed: ServerProcess) -> None:
    head = b"POST /rerank HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n"
    (answer,) = exchange(keyed, head + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
    assert (answer.status, answer.error) == (401, "unauthorized")


@pytest.mark.parametrize("path", ["/live", "/ready", "/v1/health/live", "/v1/health/ready"])
def test_probes_need_none(keyed: ServerProcess, path: str) -> None:
    answer = keyed.get(path)
    assert answer.status_code in (200, 503)
    assert "error" not in answer.json()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {ALICE}"},
        {"authorization": f"bearer   {BARE}"},
        {"AUTHORIZATION": f"BEARER {ALICE}"},
        {"X-API-Key": ALICE},
        {"api-key": BARE},
        {"Authorization": "Basic YTpi", "x-api-key": ALICE},
    ],
)
def test_every_way_to_show_a_key(keyed: ServerProcess, headers: dict[str, str]) -> None:
    answer = keyed.get("/health", headers=headers)
    assert answer.status_code in (200, 503)
    assert answer.json()["name"] == "local"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": ALICE},
        {"Authorization": f"Bearer {ALICE}x"},
        {"Authorization": f"Bearer {ALICE[:-1]}"},
        {"Authorization": f"Token {ALICE}"},
        {"Authorization": "Bearer alice"},
        {"Authorization": f"Bearer alice:{ALICE}"},
        {"Authorization": "Bearer nobody-0123456789", "x-api-key": ALICE},
        {"Cookie": f"api-key={ALICE}"},
        {"x-api-key": ""},
    ],
)
def test_what_is_no_key(keyed: ServerProcess, headers: dict[str, str]) -> None:
    assert keyed.get("/health", headers=headers).status_code == 401
    assert keyed.get(f"/health?api_key={ALICE}").status_code == 401


def test_a_key_in_a_trailer_is_none(keyed: ServerProcess) -> None:
    head = b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n"
    body = b"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer %s\r\n\r\n"
    (answer,) = exchange(keyed, head + body % ALICE.encode())
    assert answer.status == 401


def test_no_key_is_ever_written_down(keyed: ServerProcess) -> None:
    keyed.get("/health", headers={"Authorization": f"Bearer {ALICE}"})
    keyed.get("/info", headers={"Authorization": "Bearer wrong-0123456789"})
    until(lambda: '"/info"' in keyed.log.read_text(), "the refusal in the log")
    text = keyed.log.read_text()
    for key in (ALICE, BARE, "wrong-0123456789"):
        assert key not in text


def with_key(server: ServerProcess, key: str) -> int:
    return server.get("/health", headers={"x-api-key": key}).status_code


def test_keys_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"alice:{ALICE}\n")
    path.chmod(0o600)
    with ServerProcess({"API_KEY_FILE": str(path)}, wait="listening") as server:
        assert with_key(server, ALICE) != 401
        assert with_key(server, BOB) == 401
        path.write_text(f"alice:{ALICE}\nbroken\n")
        server.signal(signal.SIGHUP)
        assert server.wait_for("SIGHUP: read again: nothing")["kept"] == ["keys"]
        (error,) = [line for line in server.lines() if line["level"] == "error"]
        assert error["message"].startswith(f"the old keys stay in use: {path}:2: expected name:key")
        assert with_key(server, ALICE) != 401
        path.write_text(f"bob:{BOB}\n")
        with httpx.Client(base_url=server.url, trust_env=False, verify=False) as client:
            assert client.get("/live").status_code == 200
            server.signal(signal.SIGHUP)
            assert server.wait_for("SIGHUP: read again: keys")["keys"] == 1
            assert client.get("/live").status_code == 200  # the connection goes on
        assert with_key(server, ALICE) == 401
        assert with_key(server, BOB) != 401


def test_a_hangup_without_anything_to_read_is_harmless() -> None:
    with ServerProcess(wait="listening") as server:
        server.signal(signal.SIGHUP)
        server.wait_for("SIGHUP: read again: nothing")
        assert server.get("/live").status_code == 200


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"HOST": "0.0.0.0"}, "HOST is '0.0.0.0': without keys, anybody"),
        ({"HOST": "::"}, "HOST is '::': without keys, anybody"),
        ({"API_KEYS": "a:sec ret-0123456789"}, "API_KEYS, entry 1: a key has printable ASCII"),
        ({"API_KEYS": ","}, "API_KEYS: holds no key"),
        ({"API_KEY_FILE": "/no/such/file"}, "/no/such/file: the keys cannot be read"),
        ({"OPSCONSOLE_INSECURE": "perhaps"}, "OPSCONSOLE_INSECURE is 'perhaps', expected true"),
    ],
)
def test_what_does_not_start(env: dict[str, str], message: str) -> None:
    code, lines = run_to_end(env)
    assert code == 78
    (error,) = lines
    assert error["level"] == "error"
    assert message in error["message"]
    assert "sec ret" not in str(lines)


def test_beyond_loopback_with_keys_in_clear_is_warned_of() -> None:
    env = {"HOST": "0.0.0.0", "API_KEYS": f"alice:{ALICE},short"}
    with ServerProcess(env, wait="listening") as server:
        assert server.get("/health").status_code == 401
        said = [line["message"] for line in server.lines() if line["level"] == "warning"]
        assert said == [
            "keys and texts cross the network in clear: no TLS",
            "API_KEYS, entry 2: the key is shorter than 16 characters",
        ]


def test_the_flag_of_the_command_line_allows_it() -> None:
    argv = [sys.executable, "-m", "opsconsole", "serve", "--host", "0.0.0.0", "--insecure"]
    with ServerProcess(wait="listening", argv=argv) as server:
        (warning,) = [line for line in server.lines() if line["level"] == "warning"]
        assert warning["message"].startswith("anybody who reaches this address")
