"""Settings as lines: for a shell, and for a profile."""

from __future__ import annotations

import json
from collections.abc import Mapping


def as_lines(settings: Mapping[str, str]) -> str:
    """``BATCH_SIZE=64 DTYPE=bfloat16``: before a command, in the order of the names."""
    return " ".join(f"{name}={value}" for name, value in sorted(settings.items()))


def as_yaml(env: Mapping[str, str]) -> str:
    """As a profile writes them, to be put among what its daemon's ``env`` has: that may hold what
    no report must show."""
    return "\n".join(["env:", *(f"  {name}: {_scalar(env[name])}" for name in env)])


def _scalar(value: str) -> str:
    if value.isdigit() or value in ("true", "false"):
        return value
    plain = value.replace("_", "").replace("-", "").replace(".", "").isalnum()
    ambiguous = value.lower() in ("yes", "no", "on", "off", "null", "y", "n")
    return value if plain and value[:1].isalpha() and not ambiguous else json.dumps(value)
