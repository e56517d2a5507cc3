"""From texts to token rows, exactly as transformers' fast tokenizers make them.

The query is tokenised once a request; truncation and special tokens are added here, which a test
holds against the tokenizer's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from opsconsole.engine import precut
from opsconsole.engine.architecture import Architecture
from opsconsole.engine.wellformed import well_formed
from opsconsole.errors import OpsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NO_LIMIT = 1_000_000  # transformers writes 1e30 for "none"
_FALLBACK_LENGTH = 512


class Row(NamedTuple):
    """One input of the model, without padding."""

    ids: list[int]
    types: list[int]
    truncated: bool


class _Special(NamedTuple):
    """Special tokens before, between or behind the texts: ids and their token types."""

    ids: list[int]
    types: list[int]


class _Template(NamedTuple):
    """What the tokenizer's post-processor puts around one text or two."""

    special: tuple[_Special, ...]
    text_types: tuple[int, ...]

    @property
    def size(self) -> int:
        return sum(len(special.ids) for special in self.special)


class _TokenizerConfig(msgspec.Struct):
    model_max_length: float | None = None
    model_input_names: list[str] | None = None
    truncation_side: str = "right"
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None


class PairTokenizer:
    """Rows for pairs (cross-encoders) and for single texts (bi-encoders). Thread-safe.

    Args:
        architecture: The model's; decides the limits.
        max_length: Overrides the model's own limit of tokens.

    Raises:
        OpsError: ``tokenizer.json`` is missing or broken, or ``max_length`` is out of range.
    """

    def __init__(self, architecture: Architecture, max_length: int | None = None) -> None:
        from tokenizers import Tokenizer

        path = architecture.folder / "tokenizer.json"
        if not path.is_file():
            raise OpsError(
                "tokenizer.json is missing",
                where=str(architecture.folder),
                hint="make it with AutoTokenizer.from_pretrained(...).save_pretrained(...)",
            )
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust library raises bare Exception
            raise _broken(path, error) from error
        config = _read_config(architecture.folder / "tokenizer_config.json")
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        _set_normalizer(self._tokenizer, config, lowercase=architecture.lowercase)
        self._single = _read_template(self._tokenizer, pair=False)
        self._pair = _read_template(self._tokenizer, pair=True)
        self._left = config.truncation_side == "left"
        self._can_cut = not self._left and precut.is_safe(self._tokenizer, path)
        self.type_ids = config.model_input_names is None or (
            "token_type_ids" in config.model_input_names
        )
        """Whether the model is to be given token types."""
        self.max_length = _limit(architecture, config, max_length)
        template = self._pair if architecture.family == "cross-encoder" else self._single
        if self.max_length <= template.size:
            raise OpsError(
                f"max_length {self.max_length} leaves no room for text beside"
                f" {template.size} special tokens",
                where=str(architecture.folder),
            )

    def pairs(self, query: str, documents: Sequence[str]) -> list[Row]:
        """One row for the query with each document, the longer text truncated first."""
        texts = [well_formed(query), *map(well_formed, documents)]
        first, *rest = self._encode(texts, self._cut_words)
        room = self.max_length - self._pair.size
        rows = []
        for index, second in enumerate(rest, 1):
            whole_first = first
            if len(first) >= self._cut_words <= len(second) and room % 2:
                # Both fill the model: which of them is longer decides over the odd token.
                whole_first, second = self._encode([texts[0], texts[index]], None)
            keep_first, keep_second = longest_first(len(whole_first), len(second), room)
            rows.append(
                self._assemble(self._pair, ((whole_first, keep_first), (second, keep_second)))
            )
        return rows

    def singles(self, texts: Sequence[str]) -> list[Row]:
        """One row a text."""
        room = self.max_length - self._single.size
        encoded = self._encode([well_formed(text) for text in texts], self._cut_words)
        return [self._assemble(self._single, ((ids, min(len(ids), room)),)) for ids in encoded]

    @property
    def _cut_words(self) -> int:
        return 2 * self.max_length

    def _encode(self, texts: list[str], words: int | None) -> list[list[int]]:
        if words is not None and self._can_cut:
            texts = [precut.cut(text, words) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _assemble(self, template: _Template, texts: tuple[tuple[list[int], int], ...]) -> Row:
        ids, types = list(template.special[0].ids), list(template.special[0].types)
        truncated = False
        for (text, keep), kind, special in zip(
            texts, template.text_types, template.special[1:], strict=True
        ):
            truncated |= keep < len(text)
            ids += (text[len(text) - keep :] if self._left else text[:keep]) + special.ids
            types += [kind] * keep + special.types
        return Row(ids, types, truncated)


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens that two texts keep within ``room``, as the tokenizers library decides it.

    Both are cut to half the room, the longer one getting an odd token, unless the shorter fits
    beside a cut longer one.
    """
    if first + second <= room:
        return first, second
    shorter, longer = sorted((first, second))
    longer = shorter if shorter > room else max(shorter, room - shorter)
    if shorter + longer > room:
        shorter = room // 2
        longer = shorter + room % 2
    return (longer, shorter) if first > second else (shorter, longer)


def _read_config(path: Path) -> _TokenizerConfig:
    if not path.is_file():
        return _TokenizerConfig()
    try:
        return msgspec.json.decode(path.read_bytes(), type=_TokenizerConfig)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _broken(path, error) from error


def _limit(architecture: Architecture, config: _TokenizerConfig, asked: int | None) -> int:
    """As sentence-transformers limits: its own file, else the tokenizer, never past the model."""
    positions = architecture.position_limit or _NO_LIMIT
    if asked is not None:
        if asked > positions:
            raise OpsError(
                f"max_length is {asked}, but the model takes {positions} tokens at most",
                where="engine settings",
            )
        return asked
    limit = architecture.max_length
    if limit is None and config.model_max_length is not None:
        limit = int(min(config.model_max_length, _NO_LIMIT))
    limit = min(limit or _NO_LIMIT, positions)
    return limit if limit < _NO_LIMIT else _FALLBACK_LENGTH


def _set_normalizer(tokenizer: Tokenizer, config: _TokenizerConfig, *, lowercase: bool) -> None:
    """Let ``tokenizer_config.json`` overrule ``tokenizer.json``, as transformers does."""
    from tokenizers import normalizers

    current = tokenizer.normalizer
    if isinstance(current, normalizers.BertNormalizer):
        if config.do_lower_case is not None:
            current.lowercase = config.do_lower_case
        if config.tokenize_chinese_chars is not None:
            current.handle_chinese_chars = config.tokenize_chinese_chars
        if config.strip_accents is not None:
            current.strip_accents = config.strip_accents
        if lowercase:
            current.lowercase = True
        tokenizer.normalizer = current
    elif lowercase:
        parts: list[Any] = [normalizers.Lowercase()]
        tokenizer.normalizer = normalizers.Sequence(parts + ([current] if current else []))


def _read_template(tokenizer: Tokenizer, *, pair: bool) -> _Template:
    """Find the special tokens by asking the tokenizer for one short input."""
    probe = tokenizer.encode("a", "a") if pair else tokenizer.encode("a")
    special, text_types = [_Special([], [])], []
    last = None
    for token, kind, sequence in zip(probe.ids, probe.type_ids, probe.sequence_ids, strict=True):
        if sequence is None:
            special[-1].ids.append(token)
            special[-1].types.append(kind)
        elif sequence != last:
            text_types.append(kind)
            special.append(_Special([], []))
        last = sequence if sequence is not None else last
    if len(text_types) != (2 if pair else 1):
        raise OpsError(
            "its tokenizer loses the letter 'a', so it cannot be right",
            where="tokenizer.json",
            hint="download the model again",
        )
    return _Template(tuple(special), tuple(text_types))


def _broken(path: Path, error: Exception) -> OpsError:
    return OpsError(f"cannot be read: {error}", where=str(path), hint="download the model again")
