"""One server, however its address is written."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from opsconsole.load import places
from opsconsole.load.places import place_of, sharing
from opsconsole.profile import Server

NAMES = {"gpu-1": ["192.0.2.7"], "gpu-one.example.com": ["192.0.2.7", "2001:db8::7"],
         "other": ["192.0.2.9"], "me": ["127.0.1.1"]}  # fmt: skip


def at(url: str) -> list[Server]:
    return [Server(name="a", url=url)]


def share_one(some: list[Server], others: list[Server]) -> bool:
    return sharing(some, [others]) is not None


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A resolver that knows :data:`NAMES`; what it was asked."""
    asked: list[str] = []

    def look(host: str, port: Any, **_: Any) -> list[Any]:
        asked.append(host)
        if host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(0, 0, 0, "", (address, 0)) for address in NAMES[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return asked


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f.1", "127.0.0.5", "0.0.0.0", "[::1]",
     "[::ffff:127.0.0.1]"],
)  # fmt: skip
def test_this_machine_is_one_place(host: str, names: list[str]) -> None:
    assert share_one(at(f"http://{host}:8000"), at("http://127.0.0.1:8000/v1"))
    assert not share_one(at(f"http://{host}:8001"), at("http://127.0.0.1:8000"))
    assert names == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://gpu-1:8000", "http://192.0.2.7:8000", True),
        ("http://192.0.2.7:8000", "http://gpu-one.example.com:8000", True),
        ("http://[2001:db8::7]:8000", "http://gpu-one.example.com:8000", True),
        ("http://gpu-1:8000", "http://gpu-one.example.com:8000", True),
        ("http://gpu-1:8000", "http://other:8000", False),
        ("http://unknown:8000", "http://192.0.2.7:8000", False),
        ("http://me:8000", "http://localhost:8000", True),
        # One address, many names: behind an ingress staging is not production.
        ("https://gpu-1", "https://gpu-one.example.com", False),
        ("https://gpu-1", "https://192.0.2.7", True),
        ("http://192.0.2.7:8000", "http://192.0.2.9:8000", False),
    ],
)
def test_names_are_looked_up(one: str, other: str, same: bool, names: list[str]) -> None:
    assert share_one(at(one), at(other)) is same
    assert share_one(at(other), at(one)) is same


def test_an_address_of_an_interface_is_this_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses an interface
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    assert place_of(at(f"http://{own}:80")[0]).host == "localhost"


def test_the_group_that_shares_it_is_told_and_every_name_is_asked_once(names: list[str]) -> None:
    groups = [at("http://other:8000"), at("http://gpu-1:80"), at("http://gpu-1:8000")]
    assert sharing(at("http://192.0.2.7:8000"), groups) == 2
    assert sorted(names) == ["gpu-1", "other"]
    assert sharing(at("http://192.0.2.7:9000"), groups) is None


def test_a_resolver_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        over.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(places, "PATIENCE", 0.05)
    try:
        assert not share_one(at("http://gpu-1:8000"), at("http://192.0.2.7:8000"))
        assert not over.is_set()
    finally:
        over.set()
