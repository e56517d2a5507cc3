"""The keys that clients show: named, held as digests, compared in constant time."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from opsconsole.errors import OpsError

SHORT = 16
"""Characters; a shorter key can be guessed."""
_MOST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"[!-+\--~]{1,512}")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_DIGEST = "sha256:"
_OTHERS = 0o007


class Key(NamedTuple):
    """One key. A plain digest is enough: keys are random, unlike what people make up."""

    name: str
    digest: bytes


class Keys:
    """All keys of one server; those of the file can be read again while it serves.

    Messages never hold a word of an entry: where a name was expected, a key may stand.

    Args:
        listed: ``API_KEYS``: ``name:key`` or ``key``, with commas between them. A key without a
            name is called ``key1``, ``key2`` and so on.
        path: ``API_KEY_FILE``: ``name:key`` or ``name:sha256:HEX`` a line, ``#`` begins a comment.

    Raises:
        OpsError: an entry is wrong, a name or key is there twice, there is none, or the file
            cannot be read. It names the entry, or file and line.
    """

    def __init__(self, listed: str | None = None, path: str | None = None) -> None:
        self._listed = listed
        self._path = path
        self.warnings: tuple[str, ...] = ()
        """What is not wrong, but ought to be mended."""
        self._keys: tuple[Key, ...] = ()
        self.reload()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all keys, in the order in which they were written."""
        return tuple(key.name for key in self._keys)

    @property
    def path(self) -> str | None:
        """The file that :meth:`reload` reads."""
        return self._path

    def name_of(self, shown: bytes) -> str | None:
        """Whose key this is; ``None``: nobody's. Takes as long for one as for the other."""
        digest = sha256(shown).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.name
        return found

    def reload(self) -> None:
        """Read everything again and take it over at once; after an error the old keys stay.

        Raises:
            OpsError: as on construction.
        """
        warnings: list[str] = []
        keys: list[Key] = []
        places: dict[str | bytes, str] = {}
        for place, key, short in self._entries(warnings):
            for kind, word in (("name", key.name), ("key", key.digest)):
                first = places.setdefault(word, place)
                if first is not place:
                    raise OpsError(f"this is the {kind} of {first} too", where=place)
            if short:
                warnings.append(f"{place}: the key is shorter than {SHORT} characters")
            keys.append(key)
        if not keys:
            raise OpsError("holds no key", where=self._path or "API_KEYS")
        self._keys, self.warnings = tuple(keys), tuple(warnings)

    def _entries(self, warnings: list[str]) -> Iterator[tuple[str, Key, bool]]:
        """(place, key, whether it is short) of every entry."""
        bare = 0
        for number, entry in enumerate((self._listed or "").split(","), 1):
            if not entry.strip():
                continue
            place = f"API_KEYS, entry {number}"
            if ":" not in entry:
                bare += 1
                entry = f"key{bare}:{entry.strip()}"
            yield place, *_parse(entry.strip(), place)
        if self._path is not None:
            for number, line in enumerate(_read(self._path, warnings), 1):
                entry = line.partition("#")[0].strip()
                if entry:
                    place = f"{self._path}:{number}"
                    yield place, *_parse(entry, place)


def _parse(entry: str, place: str) -> tuple[Key, bool]:
    name, _, key = entry.partition(":")
    if not key or not _NAME.fullmatch(name) or name == "sha256":
        raise OpsError(
            "expected name:key",
            where=place,
            hint="a name has letters, digits, dots, dashes and underscores, 64 at most",
        )
    if key.startswith(_DIGEST):
        digits = key.removeprefix(_DIGEST)
        if not _HEX.fullmatch(digits):
            raise OpsError("expected 64 hexadecimal digits after sha256:", where=place)
        return Key(name, bytes.fromhex(digits)), False
    if not _KEY.fullmatch(key):
        raise OpsError("a key has printable ASCII without blanks and commas", where=place)
    return Key(name, sha256(key.encode()).digest()), len(key) < SHORT


def _read(path: str, warnings: list[str]) -> list[str]:
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise OpsError(
            f"the keys cannot be read: {error.strerror}", where=path, hint="API_KEY_FILE names it"
        ) from None
    if len(data) > _MOST_BYTES:
        raise OpsError("this is no file of keys: it is over 1 MiB", where=path)
    if mode & _OTHERS:
        warnings.append(f"{path}: every user of this machine may read or change it (chmod o=)")
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise OpsError("not UTF-8", where=f"{path}:{line}") from None
