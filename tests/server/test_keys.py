"""Keys: how they are written, and which of them are none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from opsconsole.errors import OpsError
from opsconsole.server.keys import Keys

LONG = "0123456789abcdef"
OTHER = "another-key-of-24-chars."


def test_names_and_bare_keys() -> None:
    keys = Keys(f"{LONG}, alice:{OTHER} ,x{LONG},")
    assert keys.names == ("key1", "alice", "key2")
    assert keys.name_of(LONG.encode()) == "key1"
    assert keys.name_of(OTHER.encode()) == "alice"
    assert keys.name_of(f"x{LONG}".encode()) == "key2"
    for wrong in (b"", LONG.encode()[:-1], LONG.encode() + b"0", b"alice", b"\xff" * 99):
        assert keys.name_of(wrong) is None
    assert keys.warnings == ()


def test_a_key_may_have_colons() -> None:
    assert Keys(f"a:b:{LONG}").name_of(f"b:{LONG}".encode()) == "a"


def key_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_a_file_of_keys(tmp_path: Path) -> None:
    digest = hashlib.sha256(OTHER.encode()).hexdigest()
    text = f"# who may ask\n\nalice:{LONG}  # her laptop\n  bob:sha256:{digest.upper()}\n"
    keys = Keys(f"carol:x{LONG}", key_file(tmp_path, text))
    assert keys.names == ("carol", "alice", "bob")
    assert keys.name_of(LONG.encode()) == "alice"
    assert keys.name_of(OTHER.encode()) == "bob"
    assert keys.warnings == ()


def test_what_ought_to_be_mended_is_said(tmp_path: Path) -> None:
    path = key_file(tmp_path, "alice:short\n")
    Path(path).chmod(0o644)
    warnings = Keys(None, path).warnings
    assert len(warnings) == 2
    assert warnings[0].startswith(f"{path}: every user")
    assert warnings[1] == f"{path}:1: the key is shorter than 16 characters"


@pytest.mark.parametrize(
    ("listed", "where", "what"),
    [
        (",", "API_KEYS", "holds no key"),
        ("a:", "API_KEYS, entry 1", "expected name:key"),
        (f"{OTHER},:{LONG}", "API_KEYS, entry 2", "expected name:key"),
        (f"na me:{LONG}", "API_KEYS, entry 1", "expected name:key"),
        (f"sha256:{LONG}", "API_KEYS, entry 1", "expected name:key"),
        (f"a:sha256:{LONG}", "API_KEYS, entry 1", "64 hexadecimal digits"),
        (f"a:{LONG} x", "API_KEYS, entry 1", "without blanks"),
        (f"a:{LONG}\u00fc", "API_KEYS, entry 1", "printable ASCII"),
        (f"a:{LONG},b:{LONG}", "API_KEYS, entry 2", "the key of API_KEYS, entry 1 too"),
        (f"a:{LONG},a:{OTHER}", "API_KEYS, entry 2", "the name of API_KEYS, entry 1 too"),
    ],
)
def test_a_wrong_entry_is_named_and_not_said(listed: str, where: str, what: str) -> None:
    with pytest.raises(OpsError) as caught:
        Keys(listed)
    assert caught.value.where == where
    assert what in str(caught.value)
    assert LONG not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("# nothing\n", "", "holds no key"),
        (f"a:{LONG}\n{OTHER}\n", ":2", "expected name:key"),
        (f"a:{LONG}\n\nb:{LONG}\n", ":3", "is the key of"),
        ("a:\u00fc", ":1", "printable ASCII"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, line: str, what: str) -> None:
    path = key_file(tmp_path, text)
    with pytest.raises(OpsError) as caught:
        Keys(None, path)
    assert caught.value.where == f"{path}{line}"
    assert what in caught.value.what
    assert LONG not in str(caught.value)
    assert OTHER not in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="No such file"):
        Keys(None, str(tmp_path / "absent"))
    with pytest.raises(OpsError, match="Is a directory"):
        Keys(None, str(tmp_path))
    binary = tmp_path / "binary"
    binary.write_bytes(b"a:0123456789abcdef0\n\xff\xfe")
    with pytest.raises(OpsError, match="binary:2: not UTF-8"):
        Keys(None, str(binary))
    with pytest.raises(OpsError, match="over 1 MiB"):
        Keys(None, key_file(tmp_path, "#" * (1 << 20) + "\n"))


def test_a_broken_file_keeps_the_old_keys(tmp_path: Path) -> None:
    path = key_file(tmp_path, f"alice:{LONG}\n")
    keys = Keys(None, path)
    key_file(tmp_path, f"alice:{LONG}\nalice:{OTHER}\n")
    with pytest.raises(OpsError):
        keys.reload()
    assert keys.names == ("alice",)
    key_file(tmp_path, f"bob:{OTHER}\n")
    keys.reload()
    assert keys.name_of(LONG.encode()) is None
    assert keys.name_of(OTHER.encode()) == "bob"
