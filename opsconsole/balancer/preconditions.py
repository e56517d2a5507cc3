"""Whether a fleet can be put to a failover test, said before anything of it is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from opsconsole.balancer.failover_records import Settings
from opsconsole.balancer.outages import require_kept
from opsconsole.balancer.pool import Pool, pool_of
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.fleet import ServerState, poll
from opsconsole.profile import Profile, Secret, Server


async def healthy(servers: Sequence[Server]) -> tuple[list[Server], list[str]]:
    """Those of ``servers`` that are up, and of the others why they are not."""
    snapshots = await asyncio.gather(*(poll(server, metrics=False) for server in servers))
    up = [s for s, seen in zip(servers, snapshots, strict=True) if seen.state is ServerState.UP]
    down = [
        f"{server.name}: {seen.words}"
        for server, seen in zip(servers, snapshots, strict=True)
        if seen.state is not ServerState.UP
    ]
    return up, down


def require_two(profile: Profile, up: Sequence[Server], down: Sequence[str]) -> None:
    """A fleet that would not serve while one is away is not touched.

    Raises:
        OpsError: fewer than two are healthy.
    """
    if len(up) < 2:
        state = "; ".join(down) or "it has only this one"
        raise OpsError(
            f"a failover needs two healthy servers, and there {'is one' if up else 'is none'}: "
            f"{state}", where=profile.name, hint="start them with: opsconsole start",
            code=ExitCode.UNKNOWN,
        )  # fmt: skip


def require_rate(settings: Settings, servers: int) -> None:
    """At too low a rate nobody can tell an ejected server from one whose turn it was not.

    Raises:
        UsageError: the rate is too low, with the least that does.
    """
    least = 8 * servers / settings.fail_timeout
    if settings.drain and settings.rate < least:
        raise UsageError(
            f"{settings.rate:g} requests a second are too few to see {servers} servers ejected "
            f"for {settings.fail_timeout:g} s", where="--rate",
            hint=f"at least {least:.3g}, or a longer --fail-timeout",
        )  # fmt: skip


def one_key(servers: Sequence[Server]) -> Secret | None:
    """The key that all of ``servers`` take; a client of a balancer has only one.

    Raises:
        UsageError: they have different keys.
        OpsError: a key cannot be had.
    """
    keyed = [(server, server.api_key) for server in servers if server.api_key is not None]
    for server, key in keyed:
        first, known = keyed[0]
        if key.reveal() != known.reveal():
            raise UsageError(
                f"{first.name} and {server.name} have different keys, and who asks a balancer "
                "knows not who will answer", hint="one key for all, or choose with --servers",
            )  # fmt: skip
    return keyed[0][1] if keyed else None


def pool_under_test(
    profile: Profile, servers: Sequence[Server], settings: Settings, tls_name: str, ca: str
) -> Pool:
    """The servers as a pool, those that are to be disturbed among them and kept by a keeper.

    Raises:
        UsageError: they cannot stand behind one balancer, or one is not ours to disturb.
        OpsError: one that is to be disturbed does not run.
    """
    for name in dict.fromkeys(filter(None, (settings.drain, settings.kill))):
        server = next((server for server in servers if server.name == name), None)
        if server is None:
            raise UsageError(f"{name!r} is not among the healthy servers", where=profile.name)
        require_kept(profile, server)
    return pool_of(
        profile, servers, tls_name=tls_name, ca=ca,
        max_fails=settings.max_fails, fail_timeout=settings.fail_timeout, tries=settings.tries,
        style="checklist" if settings.as_in_checklist else "own", listen="127.0.0.1:1",
    )  # fmt: skip
