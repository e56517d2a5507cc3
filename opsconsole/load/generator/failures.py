"""What went wrong, in few kinds: a table of errors must stay short, an example tells the rest."""

from __future__ import annotations

import errno
import re
import socket
import ssl

import msgspec

from opsconsole.text import clean_line

KINDS = 50
"""Most kinds counted apart; what is beyond is ``other``."""
EXAMPLE = 300
"""Most characters of an example."""
KEPT_BODY = 16_384
"""Bytes of an error's body that are read for its type."""

_OURS = {
    errno.EMFILE: "no files",
    errno.ENFILE: "no files",
    errno.ENOBUFS: "no memory",
    errno.ENOMEM: "no memory",
    errno.EADDRNOTAVAIL: "no ports",
}
_UNREACHABLE = {
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EADDRNOTAVAIL,
    errno.EPERM,
    errno.EACCES,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
}
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


def our_failure(error: OSError) -> str | None:
    """The kind of a failure of this machine, None when it is not."""
    if isinstance(error, socket.gaierror | ssl.SSLError):
        return None
    return _OURS.get(error.errno or 0)


def kind_of(error: OSError) -> str:
    """The kind of a failure to connect, send or receive."""
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError):
        return "reset"
    if error.errno in _UNREACHABLE:
        return "unreachable"
    return clean_line(error.strerror or type(error).__name__, 60)


def kind_of_status(status: int, body: bytes) -> str:
    """The kind of an answer that is no 2xx, with the error's type where the body names one."""
    if 300 <= status < 400:
        return f"HTTP {status} redirect"
    name = _type_of(body)
    return f"HTTP {status} {name}" if name else f"HTTP {status}"


def _type_of(body: bytes) -> str:
    if body.lstrip()[:1] != b"{":
        return ""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    error = answer.get("error")
    for place, key in (
        (error, "type"),
        (answer, "error_type"),
        (answer, "type"),
        (error, "code"),
        (answer, "code"),
    ):
        value = place.get(key) if isinstance(place, dict) else None
        if isinstance(value, str) and _NAME.fullmatch(value):
            return value
    return ""


def example_of(status: int, body: bytes) -> str:
    """An answer in one line."""
    text = body[: 4 * EXAMPLE].decode("utf-8", "replace")
    return clean_line(f"{status} {text}".strip(), EXAMPLE)
