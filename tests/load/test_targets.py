"""Servers as targets: what a URL may be, and servers at Unix sockets."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from opsconsole.errors import UsageError
from opsconsole.fleet import Failure, ServerState, poll
from opsconsole.load import plan_for
from opsconsole.load.targets import prepare, profile_of
from opsconsole.profile import Server
from opsconsole.profile.resolve import LONGEST_SOCKET, check_url
from tests.load.driving import closed, drive, setup_for
from tests.load.farside import Far


def test_a_unix_socket_becomes_a_target() -> None:
    (server,) = profile_of("unix:/run/rerank.sock").servers
    assert (server.unix, server.host) == ("/run/rerank.sock", "")
    (target,), facts = asyncio.run(prepare(plan_for("load", dialect="http", path="/"), (server,)))
    assert (target.unix, target.host, target.base) == ("/run/rerank.sock", "localhost", "")
    assert facts["target"].url == "unix:/run/rerank.sock"


def test_other_servers_have_no_socket() -> None:
    (server,) = profile_of("http://[::1]:8000/base").servers
    (target,), _ = asyncio.run(prepare(plan_for("load", dialect="http", path="/"), (server,)))
    assert (target.unix, target.host, target.port, target.base) == ("", "::1", 8000, "/base")


@pytest.mark.parametrize(
    "url",
    [
        "unix:",
        "unix:relative.sock",
        "unix://host/path.sock",
        "unix:/a.sock?x=1",
        "unix:/a.sock#x",
        "unix:/" + "x" * LONGEST_SOCKET,
        "unix:/" + "ü" * (LONGEST_SOCKET // 2 + 1),
    ],
)
def test_what_is_no_socket_is_refused(url: str) -> None:
    assert check_url(url) is not None
    with pytest.raises(UsageError):
        profile_of(url)


def test_a_server_at_a_unix_socket_is_polled_too(tmp_path: Path) -> None:
    """So a load test has its counters on the same time axis."""
    with Far(unix=str(tmp_path / "far.sock")) as far:
        server = Server(name="far", url=f"unix:{far.unix}", kind="http", health="/health")
        snapshot = asyncio.run(poll(server))
        seen = far.counts()
    assert snapshot.state is ServerState.UP
    assert seen.paths == {"/health": 1}
    assert asyncio.run(poll(server)).failure is Failure.REFUSED
    Path(far.unix).unlink()
    assert asyncio.run(poll(server)).failure is Failure.REFUSED


# --- What a server says of itself -----------------------------------------------------------------


def test_a_batch_limit_is_kept() -> None:
    """Beside one of another limit, or of none, a latency is not that of the same request."""
    with Far("tei") as far:
        server = Server(name="far", url=f"http://{far.host}:{far.port}", kind="tei")
        (target,), facts = asyncio.run(prepare(plan_for("load", dialect="tei"), (server,)))
    assert target.batch_limit == facts["far"].batch_limit == 4
    assert facts["far"].model == "BAAI/bge-reranker-base"


@pytest.mark.skipif(sys.platform != "linux", reason="zones are numbers there")
def test_the_zone_of_an_address_is_decoded() -> None:
    """RFC 6874 writes its % as %25; the system knows no such name."""
    with Far(host="::1") as far:
        (server,) = profile_of(f"http://[::1%251]:{far.port}").servers
        plan = plan_for("load", dialect="http", path="/x")
        (target,), _ = asyncio.run(prepare(plan, (server,)))
        assert target.host == "::1%1"
        driven = drive(setup_for(target, work=plan.work), closed(3, 1))
        seen = far.counts()
    assert (driven.all.good, driven.all.errors, seen.paths["/x"]) == (3, {}, 3)
