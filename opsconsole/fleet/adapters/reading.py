"""What an adapter brings back."""

from __future__ import annotations

from msgspec import Struct

from opsconsole.fleet.snapshot import Counters, Failure, Identity, ServerState


class Reading(Struct, frozen=True, kw_only=True):
    """One reading of one server, before it is stamped with name and time."""

    state: ServerState
    detail: str = ""
    identity: Identity | None = None
    counters: Counters | None = None
    metrics_failure: Failure | None = None
