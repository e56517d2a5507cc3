"""A profile written back as YAML, with every default filled in."""

from __future__ import annotations

from typing import Any

import yaml

from opsconsole.profile.model import DaemonSpec, Profile, Server
from opsconsole.profile.secret import Secret
from opsconsole.profile.units import format_duration, format_ratio, format_size

_DURATIONS = frozenset(
    ("interval", "timeout", "p95", "start_timeout", "stop_grace", "backoff", "backoff_max",
     "start_window", "restart_on_degraded")
)  # fmt: skip


def as_data(profile: Profile) -> dict[str, Any]:
    """The resolved profile as plain data that :func:`~opsconsole.profile.find.load` reads again."""
    return {
        "name": profile.name,
        "title": profile.title,
        "environment": profile.environment,
        "servers": [_fields(server) for server in profile.servers],
    }


def as_yaml(profile: Profile) -> str:
    """The resolved profile as YAML."""
    return yaml.safe_dump(as_data(profile), sort_keys=False, allow_unicode=True, width=100)


def _fields(struct: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in struct.__struct_fields__:
        value = getattr(struct, key)
        if value is None or value == {}:
            continue
        if isinstance(value, Secret):
            out[key] = f"${{{value.env}}}" if value.env else {"file": str(value.file)}
        elif key in _DURATIONS:
            out[key] = format_duration(value)
        elif key == "success_rate":
            out[key] = format_ratio(value)
        elif key == "log_max_bytes":
            out[key] = format_size(value)
        elif isinstance(value, Server | DaemonSpec) or key == "service_level":
            if nested := _fields(value):
                out[key] = nested
        else:
            out[key] = value
    return out
