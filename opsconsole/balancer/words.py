"""Words of a profile and of the command line as words of an nginx configuration.

Whatever they hold, they stay one word: what cannot be is refused, never written in part.
"""

from __future__ import annotations

import ipaddress
import re

from opsconsole.errors import UsageError
from opsconsole.text import clean_line

_BARE = re.compile(r"[A-Za-z0-9_./:@+,=~\[\]-]+")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
_BASE = re.compile(r"(/[A-Za-z0-9._~!*+,=:@%&-]+)*")
_PORT = re.compile(r"[0-9]{1,5}")


def quoted(text: str, where: str) -> str:
    """One word, in quotes where it needs them.

    Raises:
        UsageError: it holds ``$``, which nginx would take for a variable, or a control character.
    """
    if "$" in text or not text.isprintable() or not text:
        raise UsageError(f"{clean_line(text, 100)!r} cannot stand in an nginx configuration",
                         where=where, hint="printable characters, and no $")  # fmt: skip
    if _BARE.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def host_word(host: str, where: str) -> str:
    """A host as nginx reads it: IPv6 in brackets, a name in ASCII.

    ``localhost`` becomes 127.0.0.1: nginx would make two servers of its two addresses, and count
    the failures of each alone.

    Raises:
        UsageError: neither a name nor an address.
    """
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if address.version == 4:
            return str(address)
        if not getattr(address, "scope_id", None):
            return f"[{address}]"
        raise UsageError("nginx takes no address with a zone", where=where)
    try:
        name = host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not all(_LABEL.fullmatch(label) for label in name.removesuffix(".").split(".")):
        raise UsageError(f"{clean_line(host, 100)!r} is no host that nginx can be told",
                         where=where)  # fmt: skip
    return name


def socket_word(path: str, where: str) -> str:
    """A Unix socket as nginx reads it, and as it names it again in its log.

    Raises:
        UsageError: the path holds what would have to be quoted.
    """
    word = f"unix:{path}"
    if not _BARE.fullmatch(word):
        raise UsageError(f"the socket's path {clean_line(path, 107)!r} cannot stand in an nginx "
                         "configuration", where=where)  # fmt: skip
    return word


def base_path(path: str, where: str) -> str:
    """A path before every route, without a slash at its end.

    Raises:
        UsageError: it holds what nginx would not read as a part of a path.
    """
    path = path.rstrip("/")
    if not _BASE.fullmatch(path):
        raise UsageError(f"the path {clean_line(path, 100)!r} cannot stand in an nginx "
                         "configuration", where=where)  # fmt: skip
    return path


def listen_word(text: str) -> str:
    """Where nginx listens: ``8080``, ``127.0.0.1:8080``, ``[::1]:8080``, ``unix:/run/x.sock``.

    Raises:
        UsageError: none of these.
    """
    where = "--listen"
    if text.startswith("unix:/"):
        return quoted(text, where)
    host, colon, port = text.rpartition(":")
    wrong = UsageError(f"{clean_line(text, 100)!r} is no address to listen on", where=where,
                       hint="8080, 127.0.0.1:8080, '[::1]:8080' or unix:/PATH")  # fmt: skip
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65_536 or (colon and not host):
        raise wrong
    if not colon:
        return port
    if host == "*":
        return f"*:{port}"
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise wrong
    return f"{host_word(host[1:-1] if bracketed else host, where)}:{port}"


def identifier(text: str) -> str:
    """A name for an ``upstream`` or a ``zone``."""
    return "opsconsole_" + re.sub(r"[^A-Za-z0-9]", "_", text)[:60]


def comment(text: str) -> str:
    """What may follow a ``#``: one line, without control characters."""
    return clean_line(text, 200)


def size(amount: int) -> str:
    """Bytes: ``32m``, or a plain number."""
    return f"{amount >> 20}m" if amount % (1 << 20) == 0 else str(amount)


def seconds(value: float) -> str:
    """``30s``, or ``1500ms`` where it is no whole number; never 0, which nginx takes for no limit
    or for none of it."""
    return f"{value:.0f}s" if value == int(value) else f"{max(1.0, value * 1000):.0f}ms"
