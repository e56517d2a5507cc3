"""Cutting megabytes of text before the tokenizer sees them, where that provably changes nothing.

A model reads a few hundred tokens; tokenising a 1 MB document to throw most of it away keeps a
core busy for half a second. A text is cut only at a space, behind enough words that each give at
least one token, and only for tokenizers whose parts are known to treat words apart.
"""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The possessive quantifier keeps one long word without a space from being searched n² times.
_WORD = re.compile(r"[A-Za-z0-9][^ ]*+")
_ALPHANUMERIC = string.ascii_letters + string.digits
_NORMALIZERS = frozenset(
    {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD"}
    | {"Nmt", "Precompiled", "Strip", "StripAccents"}
)
_SPLITTERS = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
_HARMLESS = frozenset({"Punctuation", "Digits"})


class _AddedToken(msgspec.Struct):
    content: str = ""


class _Model(msgspec.Struct):
    type: str = "WordPiece"
    unk_token: str | None = None
    byte_fallback: bool = False


class _Layout(msgspec.Struct):
    """The parts of ``tokenizer.json`` that decide; the vocabulary is skipped."""

    model: _Model
    normalizer: dict[str, Any] | None = None
    pre_tokenizer: dict[str, Any] | None = None
    added_tokens: list[_AddedToken] = []


def cut(text: str, words: int) -> str:
    """The head of ``text`` with ``words`` words that hold an ASCII letter or digit, or all."""
    if len(text) <= 16 * words:
        return text  # not worth the search
    end = 0
    for _ in range(words):
        match = _WORD.search(text, end)
        if match is None:
            return text
        end = match.end()
    # A special token behind the cut may swallow the white space before it: it goes as well.
    return text[:end].rstrip()


def is_safe(tokenizer: Tokenizer, file: Path) -> bool:
    """Whether :func:`cut` keeps the first tokens: one or more a word, none across a space.

    Args:
        tokenizer: The loaded tokenizer.
        file: The ``tokenizer.json`` it came from.
    """
    try:
        layout = msgspec.json.decode(file.read_bytes(), type=_Layout)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return False  # an unknown layout: never cut
    splits = _flat(layout.pre_tokenizer, "pretokenizers")
    byte_level = any(part.get("type") == "ByteLevel" for part in splits)
    normalizer = tokenizer.normalizer
    return (
        all(_local(part) for part in _flat(layout.normalizer, "normalizers"))
        and all(_splits(part) or part.get("type") in _HARMLESS for part in splits)
        and any(_splits(part) for part in splits)
        and not any(" " in token.content for token in layout.added_tokens)
        and (
            layout.model.type in ("WordPiece", "Unigram")
            # Without these, BPE drops what its vocabulary lacks, and a word may give no token.
            or (
                layout.model.type == "BPE"
                and (byte_level or layout.model.byte_fallback or layout.model.unk_token is not None)
            )
        )
        and (normalizer is None or all(normalizer.normalize_str(c).strip() for c in _ALPHANUMERIC))
    )


def _flat(part: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    if part.get("type") == "Sequence":
        return [
            leaf for child in part.get(key, [None]) for leaf in _flat(child or {"type": ""}, key)
        ]
    return [part]


def _local(part: dict[str, Any]) -> bool:
    if part.get("type") == "Replace":
        return part.get("pattern") == {"Regex": " {2,}"}
    return part.get("type") in _NORMALIZERS


def _splits(part: dict[str, Any]) -> bool:
    match part.get("type"):
        case "Metaspace":
            return part.get("split", True) is True
        case "ByteLevel":
            return part.get("use_regex", True) is True
        case kind:
            return kind in _SPLITTERS
