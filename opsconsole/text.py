"""The one gate for foreign text.

Every string that this code did not write (log lines, HTTP bodies, model names, file names, YAML
values) passes :func:`clean` before a face shows it. Textual and Rich pass ESC through to the
terminal, so a log line could otherwise write the operator's clipboard or wreck the screen.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# ECMA-48: strings (OSC, DCS, SOS, PM, APC) up to their terminator, the next ESC or the end; CSI
# sequences; two-character escapes. Quantifiers are possessive: without that a hostile line makes
# the search quadratic. The 8-bit C1 introducers are not read as such: they are replaced like any
# other control, and what follows stays in sight.
_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)?"
    r"|\x1b[PX^_][^\x1b]*+(?:\x1b\\)?"
    r"|\x1b\[[0-?]*+[ -/]*+[@-~]?"
    r"|\x1b[ -/]*+[0-~]?"
)
# C0 but tab and newline, DEL, C1, bidi marks, embeddings, overrides and isolates (Trojan Source),
# zero-width and invisible characters, line/paragraph separators, BOM, tags, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
_SGR = re.compile(r"\x1b\[([0-9;:]*)m")


def _picture(match: re.Match[str]) -> str:
    """A control character as its Unicode control picture; anything else unsafe as U+FFFD."""
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def clean(text: str) -> str:
    """Text that is safe to show: no escape sequences, no controls, no bidi overrides.

    Tabs and newlines stay. Other control characters become visible control pictures, so that an
    operator sees that something was there.
    """
    if text.isprintable():
        return text
    return _UNSAFE.sub(_picture, _ESCAPES.sub("", text.replace("\r\n", "\n")))


def clean_line(text: str, limit: int | None = None) -> str:
    """:func:`clean` on one line: newlines become ``⏎``, tabs one blank, cut to ``limit``."""
    if limit is not None and len(text) > 4 * limit:
        text = text[: 4 * limit]  # an escape-heavy megabyte need not be cleaned to show 80 columns
    line = clean(text).replace("\n", "⏎").replace("\t", " ")
    if limit is not None and len(line) > limit:
        return line[: max(0, limit - 1)] + "…"
    return line


class Span(NamedTuple):
    """A run of clean text with the SGR parameters in force, such as ``"1;31"`` (empty: default)."""

    text: str
    sgr: str


def spans(text: str) -> list[Span]:
    """Clean text cut at its colour sequences (ECMA-48 SGR); all other sequences are dropped."""
    if "\x1b" not in text:
        return [Span(clean(text), "")]
    out: list[Span] = []
    sgr, start = "", 0
    for match in _SGR.finditer(text):
        piece = clean(text[start : match.start()])
        if piece:
            out.append(Span(piece, sgr))
        params = match[1].replace(":", ";")
        if params in ("", "0"):
            sgr = ""
        elif params.startswith("0;"):
            sgr = params[2:]
        else:
            sgr = f"{sgr};{params}" if sgr else params
        sgr = sgr[-64:] if len(sgr) > 64 else sgr
        start = match.end()
    piece = clean(text[start:])
    if piece or not out:
        out.append(Span(piece, sgr))
    return out
