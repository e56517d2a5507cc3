"""``tls`` of a server: what it may say, where its file lies, what is shown of it."""

from __future__ import annotations

import os
from pathlib import Path

import jsonschema
import pytest
import yaml

from opsconsole import profile as profiles
from opsconsole.profile import ProfileError, Tls
from tests.certificates import make_certificate


def loaded(folder: Path, servers: str, defaults: str = "{}") -> profiles.Profile:
    path = folder / "p.yaml"
    path.write_text(f"name: p\ndefaults: {defaults}\nservers:\n  - {servers}\n")
    return profiles.load_file(path)


def mistake(folder: Path, servers: str, defaults: str = "{}") -> str:
    with pytest.raises(ProfileError) as caught:
        loaded(folder, servers, defaults)
    return str(caught.value)


def test_a_file_is_found_from_the_profiles_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_certificate(tmp_path)
    text = "{name: a, url: 'https://h:1', tls: {ca: server.pem}}"
    monkeypatch.chdir("/")
    (server,) = loaded(tmp_path, text).servers
    assert server.tls == Tls(ca=str(made.cert))
    assert not server.is_unchecked


def test_show_prints_what_is_read_again(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    for tls in ("{ca: server.pem}", "{verify: false}"):
        profile = loaded(tmp_path, f"{{name: a, url: 'https://h:1', tls: {tls}}}")
        shown = profiles.as_yaml(profile)
        jsonschema.validate(yaml.safe_load(shown), profiles.json_schema())
        (tmp_path / "again.yaml").write_text(shown)
        assert profiles.load_file(tmp_path / "again.yaml").servers == profile.servers
    assert "tls:" not in profiles.as_yaml(loaded(tmp_path, "{name: a, url: 'https://h:1'}"))


def test_the_schema_knows_it() -> None:
    schema = profiles.json_schema()
    good = {"name": "p", "servers": [{"name": "a", "url": "https://h:1", "tls": {"ca": "x.pem"}}]}
    jsonschema.validate(good, schema)
    good["servers"][0]["tls"] = {"verify": "no"}  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good, schema)


def test_a_default_is_for_those_with_a_certificate(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    text = (
        "{name: a, url: 'https://h:1'}\n  - {name: b, url: 'http://h:1'}\n"
        "  - {name: c, url: 'https://h:2', tls: {verify: false}}"
    )
    a, b, c = loaded(tmp_path, text, "{tls: {ca: server.pem}}").servers
    assert (a.tls, b.tls, c.tls) == (Tls(ca=str(made.cert)), None, Tls(verify=False))
    assert [server.is_unchecked for server in (a, b, c)] == [False, False, True]


def test_mistakes_name_their_line(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    (tmp_path / "empty.pem").write_text("nothing")
    os.mkfifo(tmp_path / "pipe")
    https = "{name: a, url: 'https://h:1', tls: {ca: %s}}"
    place = f"{tmp_path / 'p.yaml'}:4:"
    for file, what in (
        ("gone.pem", "No such file"),
        ("empty.pem", "no certificate in PEM"),
        (made.key.name, "no certificate in PEM"),
        ("pipe", "not a plain file"),
        (".", "not a plain file"),
        ("/dev/zero", "not a plain file"),
    ):
        said = mistake(tmp_path, https % file)
        assert what in said
        assert place in said
        assert "servers[0].tls.ca" in said
    said = mistake(tmp_path, "{name: a, url: 'http://h:1', tls: {verify: false}}")
    assert place in said
    assert "only a server with an https url" in said
    both = "{name: a, url: 'https://h:1', tls: {ca: server.pem, verify: false}}"
    assert "contradicts ca" in mistake(tmp_path, both)
    assert "unknown key" in mistake(tmp_path, "{name: a, url: 'https://h:1', tls: {cert: x}}")
    good = "{name: a, url: 'https://h:1'}"
    said = mistake(tmp_path, good, "{tls: {ca: gone.pem}}")
    assert f"{tmp_path / 'p.yaml'}:2:" in said
