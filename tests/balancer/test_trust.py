"""The profile's ``tls`` in a generated nginx.conf."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.balancer import config
from opsconsole.balancer.pool import pool_of
from opsconsole.errors import UsageError
from opsconsole.profile import Profile, Server, Tls
from tests.balancer.bed import profile_of


def fleet(*tls: Tls | None) -> Profile:
    servers = tuple(
        Server(name=f"s{i}", url=f"https://h{i}:1", kind="http", tls=one)
        for i, one in enumerate(tls, 1)
    )
    return Profile(name="bed", servers=servers)


def test_the_profiles_ca_is_trusted(tmp_path: Path) -> None:
    profile = fleet(Tls(ca="/etc/own.pem"), Tls(ca="/etc/own.pem"))
    pool = pool_of(profile, profile.servers, tls_name="rerank")
    assert "proxy_ssl_trusted_certificate /etc/own.pem;" in config.block(pool)
    told = pool_of(profile, profile.servers, tls_name="rerank", ca="/etc/told.pem")
    assert told.ca == "/etc/told.pem"


def test_one_upstream_has_one_ca() -> None:
    profile = fleet(Tls(ca="/etc/own.pem"), None)
    with pytest.raises(UsageError, match="differ in their tls ca"):
        pool_of(profile, profile.servers, tls_name="rerank")


def test_nginx_is_never_told_to_trust_anybody() -> None:
    profile = fleet(Tls(verify=False))
    with pytest.raises(UsageError, match="does not check s1's certificate"):
        pool_of(profile, profile.servers)
    assert pool_of(profile, profile.servers, ca="/etc/own.pem").ca == "/etc/own.pem"
    plain = profile_of("http://h:1")
    assert pool_of(plain, plain.servers).ca == ""
