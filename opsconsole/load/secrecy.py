"""What in a request is a secret, to go by its name: keys in headers and in a path's query.

They are sent, and kept nowhere: a stored plan has stars instead, and so has what a server echoes.
Cheap to import, for the generator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_plus

from msgspec import structs

from opsconsole.load.plan import Plan

MASK = "***"
SHORTEST = 4
"""Characters of a secret: in place of fewer, half of a text would be stars."""
_SECRET = re.compile(
    r"auth(?!or(?!i))|cookie|credential|jwt|key(?!word)|passw|passphrase|pwd|secret|session"
    r"|signature|token(?!s|iz)|(?<![a-z])(?:sig|sid|pass|code)(?![a-z])",
    re.I,
)
_PARAMETER = re.compile(r"(?<=[?&;])([^=&;#]+)=([^&;#]*)")


def is_secret(name: str) -> bool:
    """Whether what is called so is a secret, as ``X-Auth-Token`` and ``api_key`` are."""
    return _SECRET.search(name) is not None


def secrets_in(headers: Mapping[str, str], path: str = "") -> Iterator[str]:
    """The secrets among them as they may turn up in an answer: a key also without its scheme, a
    cookie's value without its name, a parameter also decoded."""
    for name, value in headers.items():
        if is_secret(name):
            yield from (value.strip(), value.strip().rpartition(" ")[2])
            if "cookie" in name.lower():
                yield from (part.partition("=")[2].strip() for part in value.split(";"))
    for name, value in _PARAMETER.findall(path):
        if is_secret(unquote_plus(name)):
            yield from (value, unquote_plus(value))


def masked(plan: Plan) -> Plan:
    """The plan as it may be kept and shown."""
    work = plan.work
    headers = {name: MASK if is_secret(name) else value for name, value in work.headers.items()}
    return structs.replace(
        plan, work=structs.replace(work, headers=headers, path=_PARAMETER.sub(_mask, work.path))
    )


def is_masked(plan: Plan) -> bool:
    """Whether it came from where secrets are not kept, so that it cannot be run."""
    work = plan.work
    parameters = _PARAMETER.findall(work.path)
    return any(
        value == MASK and is_secret(name) for name, value in (*work.headers.items(), *parameters)
    )


def _mask(match: re.Match[str]) -> str:
    return f"{match[1]}={MASK}" if is_secret(unquote_plus(match[1])) else match[0]
