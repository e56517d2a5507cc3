"""What a server is brought back with, by a process that did not start it."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.daemon.command import spec_of
from opsconsole.daemon.record import Spec
from opsconsole.daemon.started import remembered, writable
from opsconsole.errors import OpsError
from opsconsole.load.secrecy import is_secret
from opsconsole.profile import Server, load_file

KEY = "STARTED_TEST_KEY"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One whose key is in no variable of this process."""
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv("API_KEYS", raising=False)
    path = tmp_path / "p.yaml"
    path.write_text(
        "name: p\nservers:\n  - name: k\n    url: http://127.0.0.1:9\n"
        f"    api_key: ${{{KEY}}}\n    daemon: {{device: cpu}}\n"
    )
    return load_file(path).servers[0]


@pytest.fixture
def spec(server: Server, tmp_path: Path) -> Spec:
    return spec_of(load_file(tmp_path / "p.yaml"), server)


def test_a_key_that_is_not_needed_is_not_asked_for(
    server: Server, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = {"API_KEYS": "console:first", "A": "of the trial"}
    found = remembered(server, spec, {"A": "1"}, ("API_KEYS",), trial)
    assert found == ({"A": "1", "API_KEYS": "console:first"}, ())
    told = spec._replace(env={**spec.env, "API_KEYS": "x:told"})
    assert remembered(server, told, {}, ("API_KEYS",)) == ({}, ())
    with pytest.raises(OpsError, match=KEY):  # it would come back open to everybody
        remembered(server, spec, {}, ("API_KEYS",))
    monkeypatch.setenv(KEY, "later")
    assert remembered(server, spec, {}, ("API_KEYS",)) == ({"API_KEYS": "console:later"}, ())


def test_one_without_a_key_comes_back_without(
    server: Server, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "later")
    assert remembered(server, spec, {"A": "1"}, ()) == ({"A": "1"}, ())


def test_only_what_a_server_reads_is_missed(
    server: Server, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {"HF_TOKEN": "hf", "SHOP_TOKEN": "t", "https_proxy": "http://u:p@far:1"}
    for name in secrets:
        monkeypatch.delenv(name, raising=False)
    places = {"SSH_AUTH_SOCK": "/tmp/s", "XDG_SESSION_ID": "3", "API_KEY_FILE": "/etc/keys",
              "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/bus"}  # fmt: skip
    kept, left_out = writable({**secrets, **places}, is_secret)
    assert kept == places
    assert set(left_out) == set(secrets)
    environ, lost = remembered(server, spec, kept, left_out)
    assert environ == places
    assert set(lost) == {"HF_TOKEN", "https_proxy"}
