"""A profile written back as YAML, with every default filled in."""

from __future__ import annotations

from typing import Any

import yaml
from msgspec import UNSET, Struct

from opsconsole.profile.model import Profile
from opsconsole.profile.secret import Secret
from opsconsole.profile.units import (
    format_duration,
    format_rate,
    format_ratio,
    format_size,
)

_DURATIONS = frozenset(
    ("interval", "timeout", "p95", "start_timeout", "stop_grace", "backoff", "backoff_max",
     "start_window", "restart_on_degraded", "duration", "warmup", "think", "window")
)  # fmt: skip
_RATIOS = frozenset(("success_rate", "repeat", "check", "tolerance"))


def as_data(profile: Profile) -> dict[str, Any]:
    """The resolved profile as plain data that :func:`~opsconsole.profile.find.load` reads again."""
    data: dict[str, Any] = {
        "name": profile.name,
        "title": profile.title,
        "environment": profile.environment,
        "servers": [_fields(server) for server in profile.servers],
    }
    if profile.loads:
        data["loads"] = [_fields(load) for load in profile.loads]
    return data


def as_yaml(profile: Profile) -> str:
    """The resolved profile as YAML."""
    return yaml.safe_dump(as_data(profile), sort_keys=False, allow_unicode=True, width=100)


def _fields(struct: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in struct.__struct_fields__:
        value = getattr(struct, key)
        if value is None or value is UNSET or value == {}:
            continue
        if isinstance(value, Secret):
            out[key] = f"${{{value.env}}}" if value.env else {"file": str(value.file)}
        elif key in _DURATIONS:
            out[key] = format_duration(value)
        elif key in _RATIOS:
            out[key] = format_ratio(value)
        elif key == "log_max_bytes":
            out[key] = format_size(value)
        elif key in ("rate", "most"):
            out[key] = format_rate(value)
        elif isinstance(value, tuple):
            out[key] = [_fields(item) if isinstance(item, Struct) else item for item in value]
        elif isinstance(value, Struct):
            if nested := _fields(value):
                out[key] = nested
        else:
            out[key] = value
    return out
