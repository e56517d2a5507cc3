"""Whose certificate a server may have: the profile's ``tls``, from the poll to the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole import trust
from opsconsole.checks import CheckResult, check
from opsconsole.fleet import Failure, ServerState, poll
from opsconsole.fleet.http import _tls
from opsconsole.profile import Profile, Server, Tls
from tests.certificates import Certificate, make_certificate
from tests.load.farside import Far


@pytest.fixture
def made(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def far(made: Certificate) -> Iterator[Far]:
    with Far(cert=str(made.cert), key=str(made.key)) as far:
        yield far


def server_of(far: Far, tls: Tls | None = None) -> Server:
    return Server(name="far", url=f"https://127.0.0.1:{far.port}", kind="http", timeout=10, tls=tls)


async def test_a_servers_own_certificate_can_be_trusted(far: Far, made: Certificate) -> None:
    untrusted = await poll(server_of(far))
    assert untrusted.failure is Failure.TLS
    assert untrusted.detail.startswith("certificate: ")
    assert (await poll(server_of(far, Tls(ca=str(made.cert))))).state is ServerState.UP
    assert (await poll(server_of(far, Tls(verify=False)))).state is ServerState.UP


async def test_who_is_named_stands_instead_of_all_others(far: Far, tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other")
    snapshot = await poll(server_of(far, Tls(ca=str(other.cert))))
    assert snapshot.failure is Failure.TLS
    assert far.counts().requests == 0


async def test_a_file_that_is_gone_is_no_missing_key(far: Far, made: Certificate) -> None:
    _tls.cache_clear()
    made.cert.unlink()
    snapshot = await poll(server_of(far, Tls(ca=str(made.cert))))
    assert snapshot.failure is Failure.TLS
    assert "No such file" in snapshot.detail


async def test_the_verdict_says_it(far: Far) -> None:
    async def health(tls: Tls | None) -> CheckResult:
        profile = Profile(name="p", servers=(server_of(far, tls),))
        (result,) = [result async for result in check(profile)]
        return result

    assert (await health(Tls(verify=False))).observed.endswith("certificate not checked")
    assert (await health(None)).hint == trust.HINT


def test_comments_in_any_language_may_stand_beside_certificates(made: Certificate) -> None:
    text = made.cert.read_text()
    made.cert.write_bytes("# Autorité de certification\n".encode("latin-1") + text.encode())
    assert len(trust.context(str(made.cert)).get_ca_certs(binary_form=True)) == 1
