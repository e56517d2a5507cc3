"""What the tests of the balancer share: a real nginx, and servers behind it."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from opsconsole.balancer import nginx
from opsconsole.balancer.pool import Pool, pool_of
from opsconsole.profile import Profile, Server

needs_nginx = pytest.mark.skipif(
    nginx.find() is None, reason="nginx is not installed: apt install nginx-light"
)


def profile_of(*urls: str, title: str = "", **changes: object) -> Profile:
    """A fleet of servers ``s1``, ``s2``… that are watched, not run."""
    servers = tuple(
        Server(name=f"s{i}", url=url, kind="http", **changes)  # type: ignore[arg-type]
        for i, url in enumerate(urls, 1)
    )
    return Profile(name="bed", title=title, servers=servers)


def pool(*urls: str, **options: object) -> Pool:
    """Their pool."""
    profile = profile_of(*urls)
    return pool_of(profile, profile.servers, **options)  # type: ignore[arg-type]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def upstreams(self) -> list[str]:
        """Who was tried."""
        return self.headers.get("x-upstream", "").split(", ")


def ask(
    url: str, method: str = "POST", path: str = "/rerank", body: bytes = b"{}", **headers: str
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request(method, path, body if method == "POST" else None, headers)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, named, answer.read())
    finally:
        connection.close()


def leftovers(temporary: Path) -> list[Path]:
    """Folders below ``temporary`` that an nginx of ours has left, or uses now."""
    return list(temporary.glob("opsconsole-nginx-*"))
