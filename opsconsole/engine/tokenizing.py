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
from opsconsole.engine.chunking import Fit, fit, split
from opsconsole.engine.failures import InputTooLong
from opsconsole.engine.records import Options
from opsconsole.engine.wellformed import well_formed
from opsconsole.errors import OpsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NO_LIMIT = 1_000_000  # transformers writes 1e30 for "none"
_FALLBACK_LENGTH = 512
_CHARACTERS = 4  # a token that is wanted, at first
_GROWTH = 4
_WORD = "a"  # stands before a text whose beginning was cut off


class Row(NamedTuple):
    """One input of the model, without padding."""

    ids: list[int]
    types: list[int]
    truncated: bool


class Text(NamedTuple):
    """A text's tokens, without special ones."""

    text: str
    ids: list[int]
    ends_early: bool
    """It is so long that it was not tokenised to its end."""


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
        self._can_cut = precut.is_safe(self._tokenizer, path)
        self._can_cut_left = self._can_cut and precut.is_safe_from_the_left(self._tokenizer)
        self._han = precut.isolates_han(self._tokenizer)
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
        start = self.query(query)
        return [rows[0] for rows in self.pair_rows(start, documents, Options())]

    def singles(self, texts: Sequence[str]) -> list[Row]:
        """One row a text."""
        return [rows[0] for rows in self.text_rows(texts, Options())]

    def query(self, text: str, options: Options | None = None) -> Text:
        """A query's tokens, to be put beside documents."""
        options = options or Options()
        text = well_formed(text)
        ids = self._encode([text], options)[0]
        return Text(text, ids, self._ends_early(ids))

    def pair_rows(
        self,
        query: Text,
        documents: Sequence[str],
        options: Options,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Row]]:
        """The query with each document, in one row or, where the options ask for it, several.

        Args:
            numbers: The documents' places in the request, for an error's message.

        Raises:
            InputTooLong: a pair does not fit and may not be cut.
        """
        texts = [well_formed(document) for document in documents]
        left = self._is_left(options)
        room = self.max_length - self._pair.size
        rows = []
        for index, ids in enumerate(self._encode(texts, options)):
            whole = query.ids
            if query.ends_early and self._ends_early(ids) and room % 2:
                # Both fill the model: which of them is longer decides over the odd token.
                whole, ids = self._encode([query.text, texts[index]], None)
            asked = _limited(whole, options.max_tokens_per_query, left)
            given = _limited(ids, options.max_tokens_per_doc, left)
            fitted = fit(len(asked), len(given), room, pieces=options.max_chunks_per_doc, left=left)
            if not options.truncate and not fitted.is_whole:
                number = index if numbers is None else numbers[index]
                raise _too_long(number, len(asked), len(given), room, fitted, options)
            start = len(asked) - fitted.query if left else 0
            kept = asked[start : start + fitted.query]
            cut = not fitted.is_whole or len(asked) < len(whole) or len(given) < len(ids)
            rows.append(
                [
                    self._assemble(self._pair, (kept, given[begin:end]), truncated=cut)
                    for begin, end in fitted.pieces
                ]
            )
        return rows

    def text_rows(
        self,
        texts: Sequence[str],
        options: Options,
        *,
        prompt: str = "",
        numbers: Sequence[int] | None = None,
    ) -> list[list[Row]]:
        """Each text on its own, behind a prompt, in one row or several.

        The limits are those for documents, also of queries. That of tokens holds for the text
        without the prompt, and each of several pieces gets the prompt, as far as the tokenizer
        keeps it apart from the text.

        Args:
            numbers: The texts' places among a request's documents; ``None``: they are queries.

        Raises:
            InputTooLong: a text does not fit and may not be cut.
        """
        left = self._is_left(options)
        limit, pieces = options.max_tokens_per_doc, options.max_chunks_per_doc
        # Cut on the left, as the reference does it, the prompt is a part of the text.
        apart = bool(prompt) and not (left and pieces == 1)
        # What was cut before it is tokenised has lost the prompt.
        limits = None if left and apart else options
        encoded = self._encode([well_formed(prompt + text) for text in texts], limits)
        before = self._encode([prompt], None)[0] if apart else []
        room = self.max_length - self._single.size
        rows = []
        for index, ids in enumerate(encoded):
            head = before if ids[: len(before)] == before and len(before) < room else []
            given = _limited(ids[len(head) :], limit, left)
            spans = split(len(given), room - len(head), pieces, left=left)
            lost = len(given) - sum(end - begin for begin, end in spans)
            if lost and not options.truncate:
                space = (room - len(head)) * pieces
                raise InputTooLong(None if numbers is None else numbers[index], len(given), space)
            cut = lost > 0 or len(head) + len(given) < len(ids)
            rows.append(
                [
                    self._assemble(self._single, (head + given[begin:end],), truncated=cut)
                    for begin, end in spans
                ]
            )
        return rows

    def _is_left(self, options: Options) -> bool:
        return self._left if options.truncation_side is None else options.truncation_side == "left"

    def _ends_early(self, ids: list[int]) -> bool:
        """Whether there may be more tokens than these, and there are enough to fill the model."""
        return len(ids) >= 2 * self.max_length

    def _encode(self, texts: list[str], options: Options | None) -> list[list[int]]:
        """Tokens of texts; of long ones, with options, only as many as can matter by them."""
        if options is None:
            return self._tokens(texts)
        left = self._is_left(options)
        if not (self._can_cut_left if left else self._can_cut):
            return self._tokens(texts)
        wanted = self.max_length * (1 + max(1, options.max_chunks_per_doc))
        if not left:
            texts = [precut.cut(text, wanted, han=self._han) for text in texts]
        long = {index for index, text in enumerate(texts) if not precut.is_short(text, wanted)}
        short = iter(self._tokens([t for index, t in enumerate(texts) if index not in long]))
        part = self._last if left else self._first
        return [
            part(text, wanted) if index in long else next(short) for index, text in enumerate(texts)
        ]

    def _first(self, text: str, wanted: int) -> list[int]:
        """A long text's tokens from the beginning: so many or more, or all."""
        size = _CHARACTERS * wanted
        while size < len(text):
            head = precut.head(text, size, han=self._han)
            ids = self._tokens([head])[0]
            if len(ids) >= wanted or len(head) == len(text):
                return ids
            size = _GROWTH * max(size, len(head))
        return self._tokens([text])[0]

    def _last(self, text: str, wanted: int) -> list[int]:
        """A long text's tokens up to its end: so many or more, or all."""
        size = _CHARACTERS * wanted
        word = self._tokens([_WORD])[0]
        while size < len(text):
            tail = precut.tail(text, size, han=self._han)
            if len(tail) == len(text):
                break
            ids = self._tokens([_WORD + tail])[0]
            if ids[: len(word)] != word:
                break
            if len(ids) >= len(word) + wanted:
                return ids[len(word) :]
            size = _GROWTH * max(size, len(tail))
        return self._tokens([text])[0]

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _assemble(
        self, template: _Template, texts: tuple[list[int], ...], *, truncated: bool
    ) -> Row:
        ids, types = list(template.special[0].ids), list(template.special[0].types)
        for text, kind, special in zip(
            texts, template.text_types, template.special[1:], strict=True
        ):
            ids += text + special.ids
            types += [kind] * len(text) + special.types
        return Row(ids, types, truncated)


def _too_long(
    number: int, query: int, document: int, room: int, fitted: Fit, options: Options
) -> InputTooLong:
    """Which text of a pair is to blame."""
    if query >= room:
        return InputTooLong(None, query, room - 1)
    if options.max_chunks_per_doc == 1:
        return InputTooLong(number, document, room - query)
    if fitted.query < query:
        return InputTooLong(None, query, fitted.query)
    return InputTooLong(number, document, (room - query) * options.max_chunks_per_doc)


def _limited(ids: list[int], most: int | None, left: bool) -> list[int]:
    """The tokens that a request's own limit leaves."""
    if most is None or len(ids) <= most:
        return ids
    return ids[len(ids) - most :] if left else ids[:most]


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
