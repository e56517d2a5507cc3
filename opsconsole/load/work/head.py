"""The head of a request, up to the value of its ``Content-Length``."""

from __future__ import annotations

import re
from urllib.parse import quote

from opsconsole import __version__
from opsconsole.errors import UsageError
from opsconsole.load.messages import Target

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BAD_PATH = re.compile(r"[\x00-\x20\x7f#]")
_OWN = ("content-length", "transfer-encoding", "expect")
"""What the generator itself must settle."""


def head_of(
    target: Target, method: str, path: str, headers: dict[str, str], *, content_type: str
) -> bytes:
    """Request line and headers of ``target``, ending after ``Content-Length: `` when there is a
    ``content_type`` (so a body), else after the last header's line.

    Raises:
        UsageError: a method, path or header that HTTP cannot carry.
    """
    if not _TOKEN.fullmatch(method):
        raise UsageError(f"{method[:40]!r} is no HTTP method")
    base = target.base.rstrip("/")
    if not path.startswith("/"):
        raise UsageError(f"a path begins with a slash, {path[:80]!r} does not")
    if _BAD_PATH.search(base + path):
        raise UsageError(
            f"the path {(base + path)[:80]!r} holds blanks, control characters or a #",
            hint="write them as %20 and the like",
        )
    fields = {
        "Host": host_of(target),
        "User-Agent": f"opsconsole/{__version__}",
        "Accept": "*/*",
    }
    if content_type:
        fields["Content-Type"] = content_type
    for name, value in (*target.headers.items(), *headers.items()):
        if not _TOKEN.fullmatch(name):
            raise UsageError(f"{name[:40]!r} is no header's name")
        if name.lower() in _OWN:
            raise UsageError(f"the header {name} is the generator's own", hint="leave it out")
        if _BAD_VALUE.search(value) or not _is_latin(value):
            raise UsageError(f"the header {name} has a value that HTTP cannot carry")
        for known in [known for known in fields if known.lower() == name.lower()]:
            del fields[known]
        fields[name] = value.strip()
    where = quote(base + path, safe="/?&=%:@!$'()*+,;~[]{}|^`\"<>\\-._")
    lines = [f"{method} {where} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if content_type:
        return ("\r\n".join(lines) + "\r\nContent-Length: ").encode("latin-1")
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


def host_of(target: Target) -> str:
    """The value of ``Host``: brackets for IPv6, no zone, no default port."""
    if target.unix:
        return target.host or "localhost"
    host = target.host.partition("%")[0]
    if not host:
        raise UsageError("a target has no host", where=target.name)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    try:
        host.encode("ascii")
    except UnicodeEncodeError:
        host = host.encode("idna").decode("ascii")
    return host if target.port == (443 if target.tls else 80) else f"{host}:{target.port}"


def _is_latin(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
