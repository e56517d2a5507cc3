"""Servers of a profile as targets of a load test, with what they say of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from opsconsole.errors import OpsError, UsageError
from opsconsole.fleet import Client, FetchError, fetch, header_value, poll
from opsconsole.load.messages import Target
from opsconsole.load.plan import Plan
from opsconsole.load.records import ServerFacts
from opsconsole.profile import Profile, Server
from opsconsole.profile.problems import nearest
from opsconsole.profile.resolve import check_url


class _TeiInfo(Struct):
    max_client_batch_size: int | None = None
    model_id: str = ""
    version: str = ""
    model_dtype: str = ""


def profile_of(url: str) -> Profile:
    """A profile with one server, for a URL of the command line.

    Raises:
        UsageError: no URL that can be loaded.
    """
    wrong = check_url(url)
    if wrong is not None:
        raise UsageError(wrong[0], where="--url", hint=wrong[1])
    server = Server(name="target", url=url.rstrip("/"), kind="own")
    return Profile(name="url", servers=(server,))


def chosen(plan: Plan, profile: Profile) -> tuple[Server, ...]:
    """The servers that ``plan`` loads, in its order.

    Raises:
        UsageError: it names one that the profile does not have.
    """
    if not plan.servers:
        return profile.servers[:1]
    found = []
    for name in plan.servers:
        server = profile.server(name)
        if server is None:
            hint = nearest(name, [s.name for s in profile.servers])
            raise UsageError(f"there is no server {name!r}", where=profile.name, hint=hint)
        found.append(server)
    return tuple(found)


async def prepare(
    plan: Plan, servers: Sequence[Server]
) -> tuple[tuple[Target, ...], dict[str, ServerFacts]]:
    """Each server's target and facts, asked for at the same time.

    A server that does not answer has no facts and is loaded all the same: that is what some tests
    are about.

    Raises:
        OpsError: a server's key cannot be had, or a TEI server does not tell its batch limit.
    """
    prepared = await asyncio.gather(*(_prepare(plan, server) for server in servers))
    names = [server.name for server in servers]
    return tuple(t for t, _ in prepared), dict(zip(names, (f for _, f in prepared), strict=True))


async def _prepare(plan: Plan, server: Server) -> tuple[Target, ServerFacts]:
    parts = urlsplit(server.url)
    headers = {}
    if server.api_key is not None:
        headers["Authorization"] = f"Bearer {header_value(server.api_key).decode()}"
    limit = None
    facts = ServerFacts(url=server.url)
    if plan.work.dialect == "tei":
        info = await _tei_info(server)
        limit = info.max_client_batch_size
        facts = ServerFacts(
            url=server.url, model=info.model_id, version=info.version, dtype=info.model_dtype
        )
    elif server.kind == "own":
        identity = (await poll(server, metrics=False)).identity
        if identity is not None:
            facts = ServerFacts(
                url=server.url,
                model=identity.model or "",
                version=identity.version or "",
                device=identity.device or "",
                dtype=identity.dtype or "",
            )
    target = Target(
        name=server.name,
        host=server.host,
        port=server.port,
        base=parts.path,
        tls=parts.scheme == "https",
        headers=headers,
        batch_limit=limit,
    )
    return target, facts


async def _tei_info(server: Server) -> _TeiInfo:
    try:
        async with Client(server) as client, asyncio.timeout(server.timeout):
            answer = await fetch(client, "/info")
        if answer.status != 200:
            raise OpsError(f"/info answers HTTP {answer.status}", where=server.name)
        info: _TeiInfo = answer.json(_TeiInfo)
    except TimeoutError:
        raise OpsError("/info does not answer in time", where=server.name) from None
    except FetchError as error:
        raise OpsError(f"/info: {error.detail}", where=server.name) from None
    return info
