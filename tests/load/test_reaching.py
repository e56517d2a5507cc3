"""Where servers are, and are not: addresses, names, sockets, TLS, redirects, several at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from opsconsole.load.messages import Stop
from tests.certificates import make_certificate
from tests.load.bed import CLIENTS, COUNT, UNCHECKED, Nobody, loaded
from tests.load.driving import (
    PATH,
    RERANK,
    Generator,
    body_work,
    check_sums,
    closed,
    drive,
    opened,
    setup_for,
    target_of,
)
from tests.load.farside import Far
from tests.server.process import until


def test_nobody_there() -> None:
    driven = drive(setup_for(Nobody()), closed(COUNT, CLIENTS))
    check_sums(driven)
    assert driven.all.errors == {"refused": COUNT}
    assert driven.client.failures == {}


def test_nobody_there_at_a_rate() -> None:
    driven = drive(setup_for(Nobody()), opened(100, 0.5))
    check_sums(driven)
    assert driven.all.errors == {"refused": driven.client.due}
    assert 45 <= driven.client.due <= 51


def test_no_such_name() -> None:
    class Nowhere(Nobody):
        host = "no-such-host.invalid"

    driven = drive(setup_for(Nowhere()), closed(COUNT, CLIENTS))
    check_sums(driven)
    assert driven.all.errors == {"dns": COUNT}


def test_no_such_socket(tmp_path: Path) -> None:
    class Absent(Nobody):
        unix = str(tmp_path / "none")

    driven = drive(setup_for(Absent()), closed(COUNT, CLIENTS))
    check_sums(driven)
    assert driven.all.errors == {"refused": COUNT}


def test_a_server_gone_in_the_middle_and_back() -> None:
    with Far("good", delay=0.02) as far, Generator(setup_for(far)) as generator:
        generator.begin(opened(100, 60.0))
        until(lambda: far.counts().good >= 30, "answers")
        before = far.counts()
        far.kill()
        time.sleep(0.3)
        with Far("good", port=far.port) as again:
            until(lambda: again.counts().good >= 30, "answers again")
            generator.send(Stop(grace=5.0))
            driven = generator.collect()
            after = again.counts()
    check_sums(driven)
    totals = driven.all
    assert before.good + after.good <= totals.good <= before.good + after.good + 50
    assert set(totals.errors) <= {"refused", "reset", "closed"}
    assert sum(totals.errors.values()) >= 20
    assert totals.ended == totals.sent == driven.client.due


def test_ipv6() -> None:
    with Far(host="::1") as far:
        _, totals, seen = loaded(far)
    assert totals.good == COUNT == seen.good


def test_a_unix_socket(tmp_path: Path) -> None:
    with Far(unix=str(tmp_path / "far.sock")) as far:
        _, totals, seen = loaded(far)
    assert totals.good == COUNT == seen.good
    assert seen.connections == CLIENTS


@pytest.mark.parametrize("kind", ["good", "chunked", "half_body"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_tls(tmp_path: Path, kind: str, loop: str) -> None:
    made = make_certificate(tmp_path)
    with Far(kind, cert=str(made.cert), key=str(made.key)) as far:
        setup = setup_for(target_of(far, tls=True, check_tls=False), work=RERANK)
        driven = drive(setup, closed(COUNT, CLIENTS), uvloop=loop == "uvloop")
        seen = far.counts()
    check_sums(driven)
    totals = driven.all
    assert totals.errors == ({"closed": COUNT} if kind == "half_body" else {})
    assert totals.good + sum(totals.errors.values()) == COUNT == seen.requests


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with Far(cert=str(made.cert), key=str(made.key)) as far:
        driven = drive(setup_for(target_of(far, tls=True)), closed(COUNT, CLIENTS))
        assert far.counts().requests == 0
    check_sums(driven)
    assert driven.all.errors == {"tls": COUNT}
    assert "certificate" in driven.examples["tls"].lower()


def test_tls_to_a_server_that_speaks_none() -> None:
    with Far("exact") as far:
        setup = setup_for(target_of(far, tls=True, check_tls=False), timeout=1.0)
        driven = drive(setup, closed(6, CLIENTS))
    check_sums(driven)
    assert driven.all.good == 0
    assert set(driven.all.errors) <= {"tls", "timeout", "closed"}


def test_redirects_are_not_followed() -> None:
    with Far("redirect") as far:
        _, totals, seen = loaded(far, work=body_work())
    assert totals.errors == {"HTTP 307 redirect": COUNT}
    assert seen.paths == {PATH: COUNT}


def test_a_large_body_is_refused_before_it_was_read() -> None:
    with Far("early") as far:
        driven = drive(setup_for(far, work=body_work(4_000_000)), closed(6, CLIENTS))
    check_sums(driven)
    assert driven.all.errors == {"HTTP 413": 6}


def test_each_server_has_its_own_counts() -> None:
    with Far() as one, Far("busy") as two, Far("stream") as three:
        work = UNCHECKED
        driven = drive(setup_for(one, two, three, work=work), closed(COUNT, CLIENTS))
        seen = [far.counts() for far in (one, two, three)]
    check_sums(driven)
    totals = driven.first.totals
    assert [totals[f"far{i}"].sent for i in range(3)] == [count.requests for count in seen]
    assert [totals[f"far{i}"].good for i in range(3)] == [count.good for count in seen]
    assert [count.requests for count in seen] == [COUNT // 3] * 3
