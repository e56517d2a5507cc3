"""What a daemon that is taken away ran with, and as the journal keeps it: without its secrets."""

from __future__ import annotations

import asyncio

import msgspec

from opsconsole.balancer.away import Noted
from opsconsole.daemon.record import Spec
from opsconsole.daemon.started import (
    Started,
    precision,
    remembered,
    running_environ,
    unclear,
    writable,
)
from opsconsole.daemon.started import look as look_at
from opsconsole.fleet import health_of
from opsconsole.load.secrecy import is_secret
from opsconsole.profile import Profile, Server


def look(profile: Profile, server: Server) -> Started:
    """What runs now. Blocks; not in an event loop's thread.

    Raises:
        OpsError: it cannot be told what it was started with, or its key cannot be had.
    """
    return look_at(profile, server, asyncio.run(health_of(server)))


def noted(started: Started) -> Noted:
    """As it may be written down."""
    environ, left_out = writable(started.environ, is_secret)
    return Noted(spec=started.spec._asdict(), environ=environ, left_out=left_out,
                 chosen=dict(started.chosen))  # fmt: skip


def recall(profile: Profile, server: Server, noted: Noted) -> tuple[Started, tuple[str, ...]]:
    """From the journal, and the names of the secrets that are nowhere any more. They are what it
    has if it runs; else its key is what the profile says, and others are this process's.

    Raises:
        OpsError: the journal is damaged, or the key cannot be had.
    """
    try:
        spec = Spec.parse(msgspec.json.encode(noted.spec))
    except ValueError as error:
        raise unclear(server, error, f"opsconsole start {server.name}") from error
    environ, lost = remembered(
        server, spec, noted.environ, noted.left_out, running_environ(profile, server)
    )
    return Started(spec, environ, noted.chosen), lost


def otherwise(server: Server, before: Started) -> str:
    """That the server, back again, has chosen to compute otherwise than before; empty where it has
    not. Blocks.

    One that its keeper starts again measures anew, on a machine that is busy just then.
    """
    was = before.chosen.get("DTYPE")
    now = precision(asyncio.run(health_of(server)))
    if was is None or not now or now == was:
        return ""
    return f"{server.name} computes in {now} now, in {was} before: DTYPE in its env would hold it"
