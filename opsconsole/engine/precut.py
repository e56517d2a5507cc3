"""Cutting megabytes of text before the tokenizer sees them, where that provably changes nothing.

A model reads a few hundred tokens; tokenising a 1 MB document to throw most of it away keeps a
core busy for half a second. A text is cut only at a space, and only for tokenizers whose parts are
known to treat words apart; beside a Chinese character where each of them is a word of its own.
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
# Two blocks that all tokenizers which isolate Chinese characters agree on.
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_WORD_OR_HAN = re.compile(f"[{_HAN}]|[A-Za-z0-9][^ {_HAN}]*+")
_IS_HAN = re.compile(f"[{_HAN}]")
_SPACE = re.compile(" ")
_SPACE_OR_HAN = re.compile(f"[ {_HAN}]")
_INNER_SPACE = re.compile(r"(?<=\S) ")
_INNER_SPACE_OR_HAN = re.compile(rf"(?<=\S) |[{_HAN}]")
_WINDOW = 4096  # characters that are searched at once from the end
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


def is_short(text: str, words: int) -> bool:
    """Whether cutting ``text`` to so many words is not worth the search."""
    return len(text) <= 16 * words


def cut(text: str, words: int, *, han: bool = False) -> str:
    """The head of ``text`` with ``words`` words that give a token each, or all.

    Args:
        text: What :func:`is_safe` is true for the tokenizer of.
        words: How many that hold an ASCII letter or digit.
        han: Chinese characters count as well: :func:`isolates_han`.
    """
    if is_short(text, words):
        return text
    word = _WORD_OR_HAN if han else _WORD
    end = 0
    for _ in range(words):
        match = word.search(text, end)
        if match is None:
            return text
        end = match.end()
    if han and _IS_HAN.match(text, end):
        end += 1  # an added token before it may depend on what follows
    # A special token behind the cut may swallow the white space before it: it goes as well.
    return text[:end].rstrip()


def head(text: str, size: int, *, han: bool = False) -> str:
    """The shortest beginning of ``text`` of about ``size`` characters or more that may be cut off.

    Its tokens are the whole text's first ones; how many it has is not known. Only for tokenizers
    that :func:`is_safe` is true for.
    """
    match = (_SPACE_OR_HAN if han else _SPACE).search(text, size)
    return text if match is None else text[: match.end()].rstrip()


def tail(text: str, size: int, *, han: bool = False) -> str:
    """The shortest end of ``text`` of ``size`` characters or more that may be cut off.

    With any word put before it, its tokens are the whole text's last ones behind that word's: what
    a tokenizer does only at the beginning of a text is done to the word. Only for tokenizers that
    :func:`is_safe` and :func:`is_safe_from_the_left` are true for.
    """
    place = _INNER_SPACE_OR_HAN if han else _INNER_SPACE
    end = len(text) - size + 1
    while end > 0:
        start = max(0, end - _WINDOW)
        if places := [match.start() for match in place.finditer(text, start, end)]:
            return text[places[-1] :]
        end = start
    return text


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


def is_safe_from_the_left(tokenizer: Tokenizer) -> bool:
    """Whether no special token swallows the white space behind it, where :func:`tail` cuts."""
    return not any(token.rstrip for token in tokenizer.get_added_tokens_decoder().values())


def isolates_han(tokenizer: Tokenizer) -> bool:
    """Whether each Chinese character is a word, and so one or more tokens, of its own."""
    from tokenizers import normalizers

    normalizer = tokenizer.normalizer
    added = tokenizer.get_added_tokens_decoder().values()
    return (
        isinstance(normalizer, normalizers.BertNormalizer)
        and bool(normalizer.handle_chinese_chars)
        and not any(_IS_HAN.search(token.content) for token in added)
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
