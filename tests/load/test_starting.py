"""Clients who begin: what it takes to open their connections is not the server's time."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.load.generator.closed_loop import AT_ONCE
from opsconsole.load.messages import Control, Stop
from opsconsole.load.plan import Phase
from tests.certificates import make_certificate
from tests.load.driving import (
    Generator,
    check_sums,
    closed,
    drive,
    setup_for,
    target_of,
)
from tests.load.farside import Far
from tests.server.process import until

MANY = 600


@pytest.mark.parametrize("uvloop", [True, False])
def test_many_clients_do_not_wait_for_one_another(quick: Far, uvloop: bool) -> None:
    """In one burst each would have the connecting of all the others in its latency: nearly all of
    the phase, whatever the machine."""
    shares = []
    for _ in range(5):
        driven = drive(setup_for(quick), closed(MANY, MANY), uvloop=uvloop)
        check_sums(driven)
        assert driven.all.good == MANY
        shares.append((driven.all.service.percentile(50) or 0.0) / driven.first.seconds)
    assert 0 < min(shares) < 0.5, shares


def test_each_client_has_a_request(slow: Far) -> None:
    before = slow.counts()
    clients = 5 * AT_ONCE + 3
    driven = drive(setup_for(slow), closed(clients, clients), closed(clients + 9, clients))
    seen = slow.counts()
    check_sums(driven)
    assert [part.all.good for part in driven.parts] == [clients, clients + 9]
    assert seen.connections - before.connections <= clients


def test_fewer_requests_than_clients(quick: Far) -> None:
    driven = drive(setup_for(quick), closed(5, 40), closed(1, 9), closed(40, 3))
    check_sums(driven)
    assert [part.all.good for part in driven.parts] == [5, 1, 40]


def test_clients_who_still_begin_are_paused_changed_and_stopped(quick: Far) -> None:
    with Generator(setup_for(quick)) as generator:
        before = quick.counts().requests
        generator.begin(Phase(name="many", concurrency=MANY, duration=60.0))
        for _ in range(3):
            generator.send(Control(paused=True))
            generator.send(Control(concurrency=MANY // 2))
            generator.send(Control(paused=False))
            generator.send(Control(concurrency=MANY))
        until(lambda: quick.counts().requests >= before + 3 * MANY, "all of them")
        generator.send(Stop())
        driven = generator.collect()
    check_sums(driven)
    assert driven.all.errors == {}


def test_a_phase_may_end_while_its_clients_begin(quick: Far) -> None:
    short = Phase(name="short", concurrency=900, duration=0.01)
    driven = drive(setup_for(quick), short, closed(50, 2))
    check_sums(driven)
    assert driven.parts[0].all.errors == {}
    assert driven.parts[1].all.good == 50


def test_a_client_opens_its_connection_first(tmp_path: Path) -> None:
    """A request that is due at its moment has the handshake in its time, a client's has not."""
    one = Phase(name="due", rate=1000.0, requests=1)
    made = make_certificate(tmp_path)
    with Far("polite", cert=str(made.cert), key=str(made.key)) as far:
        target = target_of(far, tls=True, check_tls=False)
        with Generator(setup_for(target)) as generator:
            found = [generator.run(closed(1, 1), one) for _ in range(12)]
    by_client = min(driven.parts[0].all.service.least for driven in found)
    by_schedule = min(driven.parts[1].all.service.least for driven in found)
    assert by_client < by_schedule
