"""A raw answer for people."""

from __future__ import annotations

import msgspec


def pretty(body: bytes) -> str:
    """JSON indented; anything else as text, whatever its bytes are."""
    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")
