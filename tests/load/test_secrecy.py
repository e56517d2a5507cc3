"""Keys that are sent in headers and parameters are kept nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.errors import UsageError
from opsconsole.load.exports import FORMATS
from opsconsole.load.modes import plan_for
from opsconsole.load.run import LoadRun
from opsconsole.load.secrecy import MASK, is_masked, is_secret, masked, secrets_in
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
