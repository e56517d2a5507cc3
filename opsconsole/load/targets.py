"""Servers of a profile as targets of a load test, with what they say of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from msgspec import Struct, structs

from opsconsole import trust
from opsconsole.errors import OpsError, UsageError
from opsconsole.fleet import Client, Failure, FetchError, fetch, header_value, poll
from opsconsole.load.messages import Target
from opsconsole.load.option_values import check_text
from opsconsole.load.places import sharing
from opsconsole.load.plan import Plan
from opsconsole.load.records import ServerFacts
from opsconsole.profile import Profile, Server, Tls, available, find, load_file
from opsconsole.profile.problems import nearest
from opsconsole.profile.resolve import check_url


class _TeiInfo(Struct):
    max_client_batch_size: int | None = None
    model_id: str = ""
    version: str = ""
    model_dtype: str = ""


def profile_of(url: str, tls: Tls | None = None) -> Profile:
    """A profile with one server, for a URL of the command line. It is called by that URL: runs of
    one server are no baseline of another.

    Raises:
        UsageError: no URL that can be loaded, or one without TLS but with ``tls``.
    """
    check_text(url, "--url")
    check_text(tls.ca if tls is not None else None, "--ca")
    wrong = check_url(url)
    if wrong is not None:
        raise UsageError(wrong[0], where="--url", hint=wrong[1])
    if tls is not None and urlsplit(url).scheme != "https":
        raise UsageError(
            "only an https URL has a certificate", where="--url", hint="remove --ca and --insecure"
        )
    server = Server(name="target", url=url.rstrip("/"), kind="own", tls=tls)
    return Profile(name=server.url, servers=(server,))


def as_planned(profile: Profile, plan: Plan) -> Profile:
    """The profile of :func:`profile_of`, with the server's kind as the plan speaks to it: with the
    dialect http it is anybody's, and is asked for nothing but what is in the plan."""
    if plan.work.dialect != "http":
        return profile
    servers = tuple(structs.replace(server, kind="http") for server in profile.servers)
    return structs.replace(profile, servers=servers)


def production_of(profile: Profile) -> Profile | None:
    """The profile that has a server of this one in production: of those that can be had by name,
    and that of ``$OPSCONSOLE_PROFILE``. One that cannot be read has none.

    Names are looked up where that tells more; see :func:`~opsconsole.load.places.sharing`.
    """
    files = dict.fromkeys(available().values())
    with suppress(OpsError):
        files[find()] = None
    live: list[Profile] = []
    for file in files:
        with suppress(OpsError):
            known = load_file(file)
            if known.environment == "production":
                live.append(known)
    found = sharing(profile.servers, [known.servers for known in live])
    return None if found is None else live[found]


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
            url=server.url,
            model=info.model_id,
            version=info.version,
            dtype=info.model_dtype,
            batch_limit=limit,
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
    if server.is_unchecked:
        facts = structs.replace(facts, certificate="not checked")
    target = Target(
        name=server.name,
        host=unquote(server.host) or "localhost",  # a zone's % is written %25 (RFC 6874)
        port=server.port,
        base="" if server.unix else parts.path,
        unix=server.unix,
        tls=parts.scheme == "https",
        ca=(server.tls.ca if server.tls else None) or "",
        check_tls=not server.is_unchecked,
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
        hint = f"{trust.HINT}, or --ca FILE" if error.failure is Failure.TLS else ""
        raise OpsError(f"/info: {error.detail}", where=server.name, hint=hint) from None
    return info
