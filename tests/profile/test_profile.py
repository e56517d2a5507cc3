from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from opsconsole import profile as profiles
from opsconsole.errors import OpsError, UsageError
from opsconsole.profile import ProfileError, Secret

GOOD = """\
name: gpu
environment: production
defaults:
  interval: 5s
  service_level: {p95: 500ms}
  daemon: {start_limit: 3, env: {A: 1, B: true}}
servers:
  - name: one
    url: http://127.0.0.1:8000/
    daemon: {env: {B: false, C: "0010"}}
  - name: two
    url: https://gpu-2:8443
    interval: 500ms
    api_key: ${KEY}
    service_level: {success_rate: 99%}
  - name: web
    url: http://[::1]:9000
    kind: http
    health: /ping
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "profile.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(folder: Path, text: str | bytes) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ProfileError) as caught:
        profiles.load_file(path)
    return [
        str(p.line) + ": " + p.describe("").lstrip(":0123456789 ") for p in caught.value.problems
    ]


def test_defaults_reach_every_server(tmp_path: Path) -> None:
    profile = profiles.load_file(write(tmp_path, GOOD))
    one, two, web = profile.servers
    assert (one.interval, two.interval, web.interval) == (5.0, 0.5, 5.0)
    assert one.url == "http://127.0.0.1:8000"
    assert one.daemon is not None
    assert one.daemon.start_limit == 3
    assert one.daemon.env == {"A": "1", "B": "false", "C": "0010"}
    assert two.daemon is None
    assert two.service_level == profiles.ServiceLevel(0.5, 0.99)
    assert (two.host, two.port, web.host, web.port) == ("gpu-2", 8443, "::1", 9000)
    assert profile.daemons == (one,)
    assert profile.environment == "production"


def test_what_show_prints_is_the_same_profile(tmp_path: Path) -> None:
    profile = profiles.load_file(write(tmp_path, GOOD))
    again = profiles.load_file(write(tmp_path, profiles.as_yaml(profile)))
    assert again.servers == profile.servers


@pytest.mark.parametrize("name", ["local", "reranker"])
def test_shipped_profiles_are_valid_and_follow_the_schema(name: str) -> None:
    profile = profiles.load(name)
    assert profile.daemons
    assert profile.path is not None
    data = yaml.safe_load(profile.path.read_text())
    jsonschema.validate(data, profiles.json_schema())


def test_the_reranker_profile_is_the_checklists() -> None:
    profile = profiles.load("reranker")
    assert [server.port for server in profile.daemons] == [8000, 8001, 8002]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("enviroment: staging", "unknown key (did you mean 'environment'?)"),
        ("environment: prod", "'prod' is not one of development, staging, production"),
        ("defaults: {interval: 5}", "a duration needs a unit, such as 5s or 5ms"),
        ("defaults: {interval: 5 minutes}", "expected a duration such as 500ms"),
        ("defaults: [1]", "expected keys and values, got a list"),
        ("defaults: {service_level: {p95: 1s, p59: 1s}}", "unknown key (did you mean 'p95'?)"),
        ("defaults: {daemon: {start_limit: 0}}", "expected `int` >= 1"),
        ("defaults: {daemon: {start_limit: many}}", "expected `int`, got `str`"),
        ("defaults: {daemon: {restart: sometimes}}", "is not one of on-failure, always, never"),
        ("defaults: {daemon: {env: [A]}}", "expected names and values, got a list"),
        ("defaults: {daemon: {env: {A-B: 1}}}", "not the name of an environment variable"),
        ("defaults: {api_key: hunter2}", "a secret in clear is refused"),
        ("name: other", "the key is already on line 1"),
        ("title: [x]", "expected `str`, got `array`"),
    ],
)
def test_mistakes_name_their_line_and_what_was_expected(
    tmp_path: Path, line: str, complaint: str
) -> None:
    found = problems(tmp_path, f"name: x\n{line}\nservers:\n  - {{name: a, url: 'http://h:1'}}\n")
    assert len(found) == 1
    assert found[0].startswith("2: ")
    assert complaint in found[0]
    assert "hunter2" not in found[0]


@pytest.mark.parametrize(
    ("servers", "complaint"),
    [
        ("[]", "there is no server"),
        ("{}", "expected a list"),
        ("[{name: a}]", "the key 'url' is missing"),
        ("[{name: a/b, url: 'http://h'}]", "expected a name of letters"),
        ("[{name: a, url: 'ftp://h'}]", "is not a URL"),
        ("[{name: a, url: 'http://h:99999'}]", "not a URL"),
        ("[{name: a, url: 'http://a..b'}]", "is not a host name"),
        ("[{name: a, url: 'http://u:p@h'}]", "a secret in clear is refused"),
        ("[{name: a, url: 'http://h/?q=1'}]", "no query"),
        ("[{name: a, url: 'http://h'}, {name: a, url: 'http://i'}]", "already the name of"),
        ("[{name: a, url: 'http://localhost:1', daemon: {}}, "
         "{name: b, url: 'http://127.0.0.1:1', daemon: {}}]", "is already that of the daemon 'a'"),
        ("[{name: a, url: 'http://elsewhere:1', daemon: {}}]", "a daemon runs on this machine"),
        ("[{name: a, url: 'unix:/run/a.sock', daemon: {}}]", "a daemon runs on this machine"),
        ("[{name: a, url: 'unix:a.sock'}]", "is no Unix socket"),
        ("[{name: a, url: 'https://localhost:1', daemon: {}}]",
         "https and TLS_CERT_FILE go together"),
        ("[{name: a, url: 'http://localhost:1', daemon: {env: {TLS_CERT_FILE: /c}}}]",
         "https and TLS_CERT_FILE go together"),
        ("[{name: a, url: 'http://localhost:1', daemon: {restart_on_degraded: 0s}}]",
         "must be more than 0s"),
        ("[{name: a, url: 'http://localhost:1', daemon: {restart: never, "
         "restart_on_degraded: 5s}}]", "contradicts restart: never"),
        ("[{name: a, url: 'http://localhost:1', kind: http, daemon: {}}]", "always of kind own"),
        ("[{name: a, url: 'http://localhost:1', daemon: {env: {PORT: 2}}}]", "comes from url"),
        ("[{name: a, url: 'http://h', interval: 1ms}]", "at least 50ms"),
        ("[{name: a, url: 'http://h', health: health}]", "expected a path"),
    ],
)  # fmt: skip
def test_servers_that_cannot_be(tmp_path: Path, servers: str, complaint: str) -> None:
    assert any(complaint in line for line in problems(tmp_path, f"name: x\nservers: {servers}\n"))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "nam: x\nenvironment: q\nservers: [{name: a, url: 'http://h', timeout: 3}]\n"
    assert len(problems(tmp_path, text)) == 4


@pytest.mark.parametrize(
    "text",
    ["", "- 1\n", "42", "{", "a: [1, 2", "\t- x", b"name: \xff\xfe", "name: x\nservers: *nope\n",
     "!!python/object/apply:os.system ['true']\n", "? [1]\n: 2\n", b"\x00", "x" * 1_100_000],
)  # fmt: skip
def test_rubbish_is_refused_in_one_line_each(tmp_path: Path, text: str | bytes) -> None:
    for line in problems(tmp_path, text):
        assert "\n" not in line
        assert "Traceback" not in line


def test_a_bomb_of_aliases_is_harmless(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [" + ", ".join([f"*{chr(97 + i)}"] * 9) + "]\n"
        for i in range(12)
    )
    assert problems(tmp_path, f"name: x\nservers: []\n{bomb}")


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    text = (
        "name: x\nservers:\n"
        "  - &one {name: a, url: 'http://h:1', interval: 7s}\n"
        "  - {<<: *one, name: b}\n"
    )
    profile = profiles.load_file(write(tmp_path, text))
    assert [(s.name, s.interval) for s in profile.servers] == [("a", 7.0), ("b", 7.0)]


def test_search_order(own_folders: Path, tmp_path: Path) -> None:
    assert profiles.find() == profiles.find("local")
    assert profiles.find(environ={"OPSCONSOLE_PROFILE": "reranker"}).stem == "reranker"
    own = own_folders / "xdg_config_home" / "opsconsole" / "profiles"
    own.mkdir(parents=True)
    (own / "local.yaml").write_text("name: mine\nservers: [{name: a, url: 'http://h'}]\n")
    assert profiles.load("local").name == "mine"
    assert profiles.load(str(write(tmp_path, GOOD))).name == "gpu"
    with pytest.raises(UsageError, match="did you mean 'reranker'"):
        profiles.find("rerankr")
    with pytest.raises(UsageError, match="no such profile file"):
        profiles.find("./nowhere.yaml")


def test_secrets_come_from_elsewhere_and_are_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("s3cret\n")
    by_env, by_file = Secret.parse("${KEY}", tmp_path), Secret.parse({"file": "key"}, tmp_path)
    assert by_env.reveal({"KEY": "abc"}) == "abc"
    assert by_file.reveal({}) == "s3cret"
    for secret in (by_env, by_file):
        assert str(secret) == repr(secret) == f"{secret}" == "***"
    with pytest.raises(OpsError, match="KEY"):
        by_env.reveal({})
    with pytest.raises(OpsError):
        Secret(file=tmp_path / "none").reveal({})
