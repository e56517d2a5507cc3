"""What is generated, read by nginx itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.balancer import config, nginx
from opsconsole.balancer.pool import Pool, pool_of
from opsconsole.balancer.words import seconds
from tests.balancer.bed import needs_nginx, pool, profile_of
from tests.certificates import make_certificate

pytestmark = needs_nginx
PAIR = ("http://127.0.0.1:18001", "http://127.0.0.1:18002")


@pytest.mark.parametrize(
    "made",
    [
        pool("unix:/run/a.sock", PAIR[0], listen="127.0.0.1:18000"),
        pool(*PAIR, listen="127.0.0.1:18000"),
        pool(*PAIR, listen="127.0.0.1:18000", style="checklist"),
        pool(PAIR[0], listen="[::1]:18000"),
        pool("http://[::1]:18001/v1/x", "http://[::1]:18002/v1/x/", listen="127.0.0.1:18000"),
        pool(
            *PAIR, listen="127.0.0.1:18000", streams=True, tries=1, fail_timeout=1, read_timeout=1.5
        ),
    ],
    ids=["socket", "pair", "checklist", "one on IPv6", "IPv6 below a path", "streams"],
)
def test_nginx_accepts_it(made: Pool, tmp_path: Path) -> None:
    assert nginx.prove(config.block(made), label="x") == nginx.Proof("good", _version())
    whole = config.whole(made, tmp_path)
    assert nginx.prove(whole, label="x", whole=True).state == "good"


def test_nginx_accepts_tls_on_both_sides(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "a b; c")
    both = pool(
        "https://127.0.0.1:18001", "https://localhost:18002", listen="127.0.0.1:18000",
        ca=str(made.cert), cert=str(made.cert), key=str(made.key),
    )  # fmt: skip
    text = config.block(both)
    assert "proxy_ssl_verify on;" in text
    assert "proxy_ssl_name localhost;" in text
    assert nginx.prove(text, label="x").state == "good"


def test_a_title_stays_a_comment() -> None:
    hostile = profile_of(PAIR[0], title="x\n} server { listen 1; \u2028 $evil ; \x1b[31m")
    made = pool_of(hostile, hostile.servers, listen="127.0.0.1:18000")
    text = config.block(made)
    assert nginx.prove(text, label="x").state == "good"
    assert not any(line.strip().startswith("} server") for line in text.splitlines())


def test_what_nginx_refuses_is_told_with_our_files_line() -> None:
    text = config.block(pool(*PAIR)).replace("least_conn;", "lest_conn;")
    number = next(i for i, line in enumerate(text.splitlines(), 1) if "lest_conn" in line)
    proof = nginx.prove(text, label="/etc/nginx/conf.d/x.conf")
    assert proof.state == "bad"
    assert proof.line == number
    assert proof.said[0] == f'/etc/nginx/conf.d/x.conf:{number}: unknown directive "lest_conn"'


def test_trouble_of_this_machine_is_unknown_and_not_bad() -> None:
    # An address of documentation (RFC 5737), which no machine has.
    proof = nginx.prove(config.block(pool(*PAIR, listen="192.0.2.1:18000")), label="x")
    assert proof.state == "unknown"
    assert "Cannot assign requested address" in proof.said[0]


def test_a_name_that_nobody_knows_here_is_unknown_and_not_bad() -> None:
    proof = nginx.prove(config.block(pool("http://nobody.invalid:1", PAIR[0])), label="x")
    assert proof.state == "unknown"
    assert "host not found in upstream" in proof.said[0]


def test_no_time_becomes_zero() -> None:
    assert seconds(0.0001) == "1ms"
    assert seconds(1.5) == "1500ms"
    assert seconds(30.0) == "30s"


def test_without_nginx_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx, "_PLACES", ())
    monkeypatch.setenv("PATH", "/nowhere")
    assert nginx.prove(config.block(pool(*PAIR)), label="x").state == "not installed"


def _version() -> str:
    found = nginx.find()
    assert found is not None
    return found.version
