"""A profile as it is written: every key, its type, and its meaning.

The JSON Schema that editors complete from is generated from these types; :mod:`.loader` builds
them from YAML and :mod:`.resolve` turns them into the model.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from opsconsole.profile.loads import LoadDoc
from opsconsole.profile.scalars import (
    Duration,
    Environment,
    FilePath,
    Name,
    Ratio,
    SecretRef,
    Size,
)

Stage = Literal["development", "staging", "production"]
ServerKind = Literal["own", "http"]
Backend = Literal["auto", "pytorch", "mlx"]
Device = Literal["auto", "cuda", "mps", "cpu"]
Restart = Literal["on-failure", "always", "never"]


class ServiceLevelDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """What the server promises; the verdict and the charts measure against it."""

    p95: Annotated[Duration, Meta(description="95th percentile of request latency")] | UnsetType = (
        UNSET
    )
    success_rate: (
        Annotated[Ratio, Meta(description="successful requests among all")] | UnsetType
    ) = UNSET


class DaemonDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A local reranker that opsconsole starts and keeps running."""

    model: (
        Annotated[str, Meta(description="embedded, a folder, or a Hugging Face name")] | UnsetType
    ) = UNSET
    backend: Annotated[Backend, Meta(description="the engine it must use")] | UnsetType = UNSET
    device: Annotated[Device, Meta(description="the device it must use")] | UnsetType = UNSET
    env: (
        Annotated[Environment, Meta(description="further environment variables of the server")]
        | UnsetType
    ) = UNSET
    start_timeout: (
        Annotated[Duration, Meta(description="longest time until it is healthy")] | UnsetType
    ) = UNSET
    stop_grace: Annotated[Duration, Meta(description="time between TERM and KILL")] | UnsetType = (
        UNSET
    )
    restart: Annotated[Restart, Meta(description="when to start it again")] | UnsetType = UNSET
    backoff: (
        Annotated[Duration, Meta(description="first delay before a restart; it doubles")]
        | UnsetType
    ) = UNSET
    backoff_max: Annotated[Duration, Meta(description="longest delay")] | UnsetType = UNSET
    start_limit: (
        Annotated[int, Meta(ge=1, description="starts within start_window before giving up")]
        | UnsetType
    ) = UNSET
    start_window: Annotated[Duration, Meta(description="the window of start_limit")] | UnsetType = (
        UNSET
    )
    restart_on_degraded: (
        Annotated[
            Duration, Meta(description="restart it once it is degraded for so long; absent: never")
        ]
        | UnsetType
    ) = UNSET
    log_max_bytes: (
        Annotated[Size, Meta(description="size at which the log is rotated")] | UnsetType
    ) = UNSET
    log_keep: (
        Annotated[int, Meta(ge=1, le=99, description="rotated logs that are kept")] | UnsetType
    ) = UNSET


class TlsDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """How a server's certificate is checked; absent: against the machine's store."""

    ca: (
        Annotated[FilePath, Meta(description="PEM file of who signed it, instead of the machine's")]
        | UnsetType
    ) = UNSET
    verify: Annotated[bool, Meta(description="false: it is not checked at all")] | UnsetType = UNSET


class DefaultsDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """Values for every server that does not say otherwise."""

    kind: Annotated[ServerKind, Meta(description="own, or any http URL")] | UnsetType = UNSET
    health: Annotated[str, Meta(description="path of the health route")] | UnsetType = UNSET
    interval: Annotated[Duration, Meta(description="time between polls")] | UnsetType = UNSET
    timeout: Annotated[Duration, Meta(description="longest time of one poll")] | UnsetType = UNSET
    service_level: ServiceLevelDoc | UnsetType = UNSET
    daemon: DaemonDoc | UnsetType = UNSET
    api_key: SecretRef | UnsetType = UNSET
    tls: TlsDoc | UnsetType = UNSET


class ServerDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """One server of the fleet."""

    name: Annotated[Name, Meta(description="unique within the profile")]
    url: Annotated[str, Meta(description="http://host:port, https://host:port, or unix:/path")]
    kind: Annotated[ServerKind, Meta(description="own, or any http URL")] | UnsetType = UNSET
    health: Annotated[str, Meta(description="path of the health route")] | UnsetType = UNSET
    interval: Annotated[Duration, Meta(description="time between polls")] | UnsetType = UNSET
    timeout: Annotated[Duration, Meta(description="longest time of one poll")] | UnsetType = UNSET
    service_level: ServiceLevelDoc | UnsetType = UNSET
    daemon: DaemonDoc | UnsetType = UNSET
    api_key: SecretRef | UnsetType = UNSET
    tls: TlsDoc | UnsetType = UNSET


class ProfileDoc(Struct, frozen=True, forbid_unknown_fields=True):
    """A fleet: which servers there are, and how they are to be run and watched."""

    name: Annotated[Name, Meta(description="short name, shown in the header")]
    servers: Annotated[tuple[ServerDoc, ...], Meta(description="the servers, in display order")]
    title: Annotated[str, Meta(description="one line about this fleet")] | UnsetType = UNSET
    environment: (
        Annotated[Stage, Meta(description="production is read-only until unlocked")] | UnsetType
    ) = UNSET
    defaults: DefaultsDoc | UnsetType = UNSET
    loads: (
        Annotated[tuple[LoadDoc, ...], Meta(description="load tests, run by their name")]
        | UnsetType
    ) = UNSET


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a profile file."""
    schema = _retype(msgspec.json.schema(ProfileDoc))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _retype(node: Any) -> Any:
    """msgspec states what a value is read into; what stands behind ``x-`` is how it is written."""
    if isinstance(node, dict):
        fixed = {key: _retype(value) for key, value in node.items() if not key.startswith("x-")}
        return fixed | {key[2:]: value for key, value in node.items() if key.startswith("x-")}
    return [_retype(item) for item in node] if isinstance(node, list) else node
