"""What in a request is a secret, to go by its name: keys in headers, in a path's query and in a
body; and a server's own key, wherever it stands.

They are sent, and kept nowhere: a stored plan has stars instead, and so has what a server echoes.
Cheap to import, for the generator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import msgspec
from msgspec import structs

from opsconsole.load.plan import Plan, Work

MASK = "***"
KEY_MASK = "***key***"
"""In place of a server's own key: no text that anybody sends has it by chance."""
SHORTEST = 4
"""Characters of a secret: in place of fewer, half of a text would be stars."""
_SECRET = re.compile(
    r"auth(?!or(?!i))|cookie|credential|jwt|key(?!word)|passw|passphrase|pwd|secret|session"
    r"|signature|token(?!s|iz)|(?<![a-z])(?:sig|sid|pass|code)(?![a-z])",
    re.I,
)
_PARAMETER = re.compile(r"(?<=[?&;])([^=&;#]+)=([^&;#]*)")
_USER = re.compile(r"(?<=//)[^/?#@\s]+(?=@)")
_FIELD = re.compile(r"(?:^|(?<=&))([^=&\s]+)=([^&]*)")
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*"((?:[^"\\]|\\.)*)"')
"""Of a body that only resembles JSON, such as one of several lines."""


def is_secret(name: str) -> bool:
    """Whether what is called so is a secret, as ``X-Auth-Token`` and ``api_key`` are."""
    return _SECRET.search(name) is not None


def secrets_in(headers: Mapping[str, str], path: str = "", body: str = "") -> Iterator[str]:
    """The secrets among them as they may turn up in an answer: a key also without its scheme, a
    cookie's value without its name, a parameter also decoded."""
    for name, value in headers.items():
        if is_secret(name):
            yield from (value.strip(), value.strip().rpartition(" ")[2])
            if "cookie" in name.lower():
                yield from (part.partition("=")[2].strip() for part in value.split(";"))
    for name, value in (*_PARAMETER.findall(path), *_pairs(body)):
        if is_secret(unquote_plus(name)):
            yield from (value, unquote_plus(value))
    yield from _leaves(_json(body), is_one=False)


def masked(plan: Plan, keys: Iterable[str] = ()) -> Plan:
    """The plan as it may be kept and shown.

    Args:
        keys: The servers' own, which stand nowhere in what is kept.
    """
    work = plan.work
    headers = {name: MASK if is_secret(name) else value for name, value in work.headers.items()}
    kept = structs.replace(
        work, headers=headers, path=_PARAMETER.sub(_mask, work.path), body=_masked_body(work.body)
    )
    for key in keys:
        if len(key) >= SHORTEST:
            kept = _without(kept, key)
    return structs.replace(plan, work=kept)


def is_masked(plan: Plan) -> bool:
    """Whether it came from where secrets are not kept, so that it cannot be run."""
    work = plan.work
    named = (*work.headers.items(), *_PARAMETER.findall(work.path), *_pairs(work.body))
    return (
        any(value == MASK and is_secret(unquote_plus(name)) for name, value in named)
        or MASK in _leaves(_json(work.body), is_one=False)
        or any(KEY_MASK in text for text in _texts(work))
    )


def without_secrets(url: str) -> str:
    """A URL or a path, with stars for a user's name and password and for the parameters of its
    query that are secrets."""
    return _PARAMETER.sub(_mask, _USER.sub(MASK, url))


def _mask(match: re.Match[str]) -> str:
    if not match[2] or not is_secret(unquote_plus(match[1])):
        return match[0]
    before, after = match.start(2) - match.start(), match.end(2) - match.start()
    return match[0][:before] + MASK + match[0][after:]


def _pairs(body: str) -> list[tuple[str, str]]:
    """Names and values of a form, or of what only resembles JSON."""
    return [] if _json(body) is not None else [*_FIELD.findall(body), *_PAIR.findall(body)]


def _masked_body(body: str) -> str:
    tree = _json(body)
    if tree is None:
        return _PAIR.sub(_mask, _FIELD.sub(_mask, body))
    if not any(_leaves(tree, is_one=False)):
        return body
    return json.dumps(_starred(tree, is_one=False), ensure_ascii=False)


def _json(body: str) -> Any:
    """The body's lists and mappings; None for what is neither."""
    if body.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _leaves(tree: Any, *, is_one: bool) -> Iterator[str]:
    """The texts in it that are secrets: those under a name of one, however deep."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _leaves(value, is_one=is_one or is_secret(name))
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value, is_one=is_one)
    elif is_one and isinstance(tree, str) and tree:
        yield tree


def _starred(tree: Any, *, is_one: bool) -> Any:
    if isinstance(tree, dict):
        return {
            name: _starred(value, is_one=is_one or is_secret(name)) for name, value in tree.items()
        }
    if isinstance(tree, list):
        return [_starred(value, is_one=is_one) for value in tree]
    return MASK if is_one and isinstance(tree, str) and tree else tree


def _texts(work: Work) -> tuple[str, ...]:
    return (work.path, work.body, work.model, *work.headers, *work.headers.values())


def _without(work: Work, key: str) -> Work:
    """What is sent, without the key: as it is, and as a URL, a form and JSON write it."""
    written = {key, quote(key, safe=""), quote_plus(key), msgspec.json.encode(key)[1:-1].decode()}

    def clean(text: str) -> str:
        for each in sorted(written, key=len, reverse=True):
            text = text.replace(each, KEY_MASK)
        return text

    return structs.replace(
        work,
        path=clean(work.path),
        body=clean(work.body),
        model=clean(work.model),
        headers={clean(name): clean(value) for name, value in work.headers.items()},
    )
