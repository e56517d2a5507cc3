"""Keys that are sent in headers and parameters are kept nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsconsole.errors import UsageError
from opsconsole.load.exports import FORMATS
from opsconsole.load.modes import plan_for
from opsconsole.load.plan import Plan
from opsconsole.load.run import LoadRun
from opsconsole.load.secrecy import (
    KEY_MASK,
    MASK,
    is_masked,
    is_secret,
    masked,
    secrets_in,
)
from opsconsole.profile import Secret
from tests.cli.test_load import Bed
from tests.load.farside import Far
from tests.load.test_honesty import profile_of

SECRET = "SECRETTOK1"
OTHER = "SECRET%20KEY2"


@pytest.mark.parametrize(
    "name",
    ["Authorization", "X-Auth-Token", "Ocp-Apim-Subscription-Key", "api_key", "apikey", "apiKey",
     "X-Session-Id", "password", "passwd", "client_secret", "access_token", "X-Amz-Signature",
     "sig", "code", "Cookie", "X-Amz-Credential", "jwt", "x-pass"],
)  # fmt: skip
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["X-Request-Id", "Content-Type", "X-Tenant", "Accept", "max_tokens", "author", "keyword",
     "limit", "User-Agent", "traceparent", "tokenizer", "encode", "design", "compass", "residual"],
)  # fmt: skip
def test_what_is_none_is_kept(name: str) -> None:
    assert not is_secret(name)


def test_what_a_server_may_echo_is_found() -> None:
    headers = {"Authorization": "Bearer abcd", "Cookie": "a=wxyz; b=1234", "X-A": "plain"}
    found = set(secrets_in(headers, "/x?n=5&api_key=one%20two;sig=abc=#f"))
    assert {"Bearer abcd", "abcd", "wxyz", "1234", "one%20two", "one two", "abc="} <= found
    assert not {"plain", "5"} & found


def test_a_kept_plan_has_stars_and_is_not_run_again() -> None:
    path = "/x?api_key=abcd&n=5&k%65y=y"
    plan = plan_for("load", dialect="http", path=path, headers={"X-Token": "abcd", "X-A": "b"})
    kept = masked(plan)
    assert kept.work.path == f"/x?api_key={MASK}&n=5&k%65y={MASK}"
    assert kept.work.headers == {"X-Token": MASK, "X-A": "b"}
    assert plan.work.headers["X-Token"] == "abcd"
    assert masked(kept) == kept
    assert is_masked(kept)
    assert not is_masked(plan)
    with Far("good") as far:
        load_run = LoadRun(plan, profile_of(far))
        assert load_run.plan == plan
        assert load_run.run.plan == kept
        with pytest.raises(UsageError, match="a secret, which was not stored"):
            LoadRun(kept, profile_of(far))


@pytest.mark.timeout(120)
def test_no_file_export_or_report_holds_one(tmp_path: Path) -> None:
    with Far("echo") as far:
        bed = Bed(tmp_path, far)
        text = bed(
            "load", "5", "1", "--dialect", "http", "--path", f"/x?api_key={OTHER}&n=5",
            "-H", f"X-Auth-Token: {SECRET}", code=2,
        )  # fmt: skip
        seen = far.counts()
    assert MASK in text
    assert seen.requests
    texts = [text, *(bed("export", "-f", format_) for format_ in FORMATS)]
    files = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert len(files) > 2
    for secret in (SECRET, OTHER, OTHER.replace("%20", " ")):
        assert not any(secret in one for one in texts)
        assert not any(secret.encode() in data for data in files)
    assert f"/x?api_key={MASK}&n=5" in texts[1]


def http(body: str, **more: Any) -> Plan:
    return plan_for("load", dialect="http", method="POST", path="/x", body=body, **more)


@pytest.mark.parametrize(
    ("body", "kept", "secrets"),
    [
        ('{"q": "a", "api_key": "abcd"}', '{"q": "a", "api_key": "***"}', {"abcd"}),
        ('[{"auth": {"user": "u1", "n": [1, "w"]}}]',
         '[{"auth": {"user": "***", "n": [1, "***"]}}]', {"u1", "w"}),
        ("user=u&pass%77ord=a%20b&n=1", "user=u&pass%77ord=***&n=1", {"a%20b", "a b"}),
        ('{"id": 1, "token": "t\\"1"}\n{"id": 2}', '{"id": 1, "token": "***"}\n{"id": 2}',
         {'t\\"1'}),
    ],
)  # fmt: skip
def test_secrets_of_a_body_are_not_kept(body: str, kept: str, secrets: set[str]) -> None:
    plan = http(body)
    assert masked(plan).work.body == kept
    assert masked(masked(plan)) == masked(plan)
    assert is_masked(masked(plan))
    assert not is_masked(plan)
    assert set(secrets_in({}, "/x", body)) == secrets


@pytest.mark.parametrize(
    "body",
    ['{"query": "a", "max_tokens": 5, "token": ""}', "a & b = c", "", "[1, 2", "password=",
     '{"key": 5, "author": "me"}', "---\n***\n---"],
)  # fmt: skip
def test_a_body_without_secrets_is_kept_to_the_byte(body: str) -> None:
    assert masked(http(body)).work.body == body
    assert not is_masked(masked(http(body)))


def test_a_servers_own_key_stands_nowhere_in_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    key = 'k"/ é1'
    monkeypatch.setenv("BED_KEY", key)
    sent = json.dumps({"text": f"say {key}"}, ensure_ascii=False)
    plan = http(sent, headers={"X-A": f"a {key}"})
    with Far("good") as far:
        profile = profile_of(far, api_key=Secret(env="BED_KEY"))
        run = LoadRun(plan, profile).run
        monkeypatch.delenv("BED_KEY")
        LoadRun(plan, profile)  # what cannot be had is missed when it is needed
    assert json.loads(run.plan.work.body) == {"text": f"say {KEY_MASK}"}
    assert run.plan.work.headers == {"X-A": f"a {KEY_MASK}"}
    assert is_masked(run.plan)
    assert key not in str(run)


@pytest.mark.timeout(120)
def test_an_echoed_body_is_stored_without_its_secrets(tmp_path: Path) -> None:
    with Far("echo") as far:
        bed = Bed(tmp_path, far)
        bed(
            "load", "5", "1", "--dialect", "http", "--path", "/x", "--method", "POST",
            "--body", f'{{"api_key": "{SECRET}", "q": "plain"}}', code=2,
        )  # fmt: skip
        seen = far.counts()
    text = bed("export", "-f", "json")
    assert seen.requests
    assert SECRET not in text
    assert f'\\"api_key\\": \\"{MASK}\\", \\"q\\": \\"plain\\"' in text
    files = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in data for data in files)
