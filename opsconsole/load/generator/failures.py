"""What went wrong, in few kinds: a table of errors must stay short, an example tells the rest."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import msgspec

from opsconsole import trust
from opsconsole.load.messages import Setup
from opsconsole.load.secrecy import SHORTEST, secrets_in, without_secrets
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
_TELLING = {503: b"Retry-After", 429: b"Retry-After"}
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


class NoPortLeft(OSError):
    """This machine has no local port left for one more connection to that address."""


def can_be_sent_to(family: int, where: Any) -> bool:
    """Whether this machine has an address to send from to ``where``. To connect fails alike
    (EADDRNOTAVAIL) where it has none and where it has no port left; a datagram's port is of
    another kind. Nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(where)
    except OSError as error:
        # Its own ports used up: an address it has.
        return error.errno == errno.EAGAIN
    return True


def our_failure(error: OSError) -> str | None:
    """The kind of a failure of this machine, None when it is not."""
    if isinstance(error, socket.gaierror | ssl.SSLError):
        return None
    if isinstance(error, NoPortLeft):
        return "no ports"
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


def words_of(error: OSError) -> str:
    """What an error says, and what can be done where that is known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message} ({trust.HINT}, or --ca FILE)"
    return str(error) or type(error).__name__


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


def example_of(status: int, body: bytes, head: bytes = b"") -> str:
    """An answer's beginning, as it came; of its ``head`` what says where else to ask, or when."""
    parts = [str(status)]
    wanted = _TELLING.get(status, b"Location" if 300 <= status < 400 else b"")
    if wanted and (value := re.search(rb"\n%s:[ \t]*([^\r\n]+)" % wanted, head, re.I)):
        told = value[1].decode("latin-1").strip()
        parts.append(f"({wanted.decode()}: {without_secrets(told)})")
    parts.append(body[: 4 * EXAMPLE].decode("utf-8", "replace"))
    return " ".join(parts).strip()


def secrets_of(setup: Setup) -> tuple[str, ...]:
    """What is sent and must not be kept; see :func:`~opsconsole.load.secrecy.secrets_in`."""
    found = set(secrets_in(setup.work.headers, setup.work.path, setup.work.body))
    for target in setup.targets:
        found.update(secrets_in(target.headers))
    return tuple(sorted((s for s in found if len(s) >= SHORTEST), key=len, reverse=True))


def redacted(text: str, secrets: Iterable[str]) -> str:
    """``text`` with stars for each secret, or the beginning of one at its end, where it was cut."""
    for secret in secrets:
        text = text.replace(secret, "***")
        for length in range(min(len(secret) - 1, len(text)), 5, -1):
            if text.endswith(secret[:length]):
                text = text[:-length] + "***"
                break
    return text
