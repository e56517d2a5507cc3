"""Rows are what the tokenizer itself would make of the pairs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordPiece

from opsconsole.engine import precut
from opsconsole.engine.architecture import read_architecture
from opsconsole.engine.chunking import longest_first
from opsconsole.engine.tokenizing import PairTokenizer
from opsconsole.engine.wellformed import well_formed
from opsconsole.errors import OpsError
from tests.engine.conftest import DOCUMENTS, QUERIES
from tests.engine.models import make_bi_encoder, make_cross_encoder

KINDS = ["bert", "roberta", "xlm_roberta"]
TEXT = st.text(
    st.one_of(
        st.sampled_from("ab c\t\n\0.éÄ😀天気\u0301\u200b[]<>"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=120,
)


FRAGMENTS = ["a", "weather", "x1", "Öl", "天気", "...", "[MASK]", "<mask>", "</s>", "ﷺ", "don't"]
FRAGMENTS += ["_", "\0", "\u0301", "\u200d", "\t", "\n", " "]


def tokenizer_of(folder: Path, max_length: int | None = None) -> PairTokenizer:
    return PairTokenizer(read_architecture(folder), max_length)


# Hypothesis asks hundreds of times, and reading a vocabulary takes a while.
cached_tokenizer_of = cache(tokenizer_of)


@cache
def library(folder: Path) -> Tokenizer:
    """The library's own tokenizer, without truncation."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def plain(folder: Path, max_length: int) -> Tokenizer:
    """The library's own tokenizer with its own truncation."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer


@pytest.mark.parametrize("length", [8, 9, 64, 65])
@pytest.mark.parametrize("kind", KINDS)
def test_pairs_equal_the_librarys(kind: str, length: int, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    ours, theirs = tokenizer_of(folder, length), plain(folder, length)
    # The library's work grows with the product of what it cuts off both texts.
    longest = 10_000 if length >= 64 else 200
    documents = [text for text in DOCUMENTS if len(text) < longest]
    for query in (text for text in QUERIES if len(text) < longest):
        for document, row in zip(documents, ours.pairs(query, documents), strict=True):
            expected = theirs.encode(query, document)
            assert row.ids == expected.ids
            assert row.types == expected.type_ids
            assert row.truncated == (len(library(folder).encode(query, document).ids) > length)


@given(query=TEXT, document=TEXT, length=st.sampled_from([8, 13, 32]))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("kind", KINDS)
def test_any_pair_equals_the_librarys(
    kind: str, query: str, document: str, length: int, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(kind)
    row = cached_tokenizer_of(folder, length).pairs(query, [document])[0]
    assert row.ids == plain(folder, length).encode(query, document).ids


def test_longest_first_equals_the_librarys_for_all_lengths(bert: Path) -> None:
    for room in (9, 10, 17, 18):
        theirs = plain(bert, room + 3)
        for first in range(30):
            for second in range(30):
                sequences = theirs.encode("a " * first, "b " * second).sequence_ids
                kept = (sequences.count(0), sequences.count(1))
                assert longest_first(first, second, room) == kept


def test_single_texts_equal_the_librarys(bi_encoder: Path) -> None:
    ours, theirs = tokenizer_of(bi_encoder), plain(bi_encoder, 128)
    assert ours.max_length == 128
    for text, row in zip(DOCUMENTS, ours.singles(DOCUMENTS), strict=True):
        assert row.ids == theirs.encode(text).ids


@given(
    words=st.integers(1, 12),
    text=st.lists(
        st.sampled_from(FRAGMENTS),
        max_size=60,
    ),
)
@example(words=1, text=["\t", "<mask>"])  # "<mask>" takes the tab before it along
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_text_begins_with_the_same_tokens(
    kind: str, words: int, text: list[str], request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(kind)
    tokenizer = library(folder)
    assert precut.is_safe(tokenizer, folder / "tokenizer.json")
    for joiner in ("", " "):
        whole = joiner.join(text) * 20
        head = precut.cut(whole, words)
        assert whole.startswith(head)
        if head != whole:
            kept = tokenizer.encode(head, add_special_tokens=False).ids
            assert len(kept) >= words
            assert tokenizer.encode(whole, add_special_tokens=False).ids[: len(kept)] == kept


@pytest.mark.parametrize(
    "change",
    [
        lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Split(" ", "isolated")),
        lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Metaspace(split=False)),
        lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.ByteLevel(use_regex=False)),
        lambda t: setattr(t, "normalizer", normalizers.Replace("a", "")),
        lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Punctuation()),
        lambda t: t.add_tokens(["New York"]),
    ],
)
def test_no_cut_where_words_are_not_apart(change: object, tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    assert precut.is_safe(tokenizer, file)
    change(tokenizer)  # type: ignore[operator]
    tokenizer.save(str(file))
    assert not precut.is_safe(tokenizer, file)


def test_no_cut_where_unknown_words_vanish(tmp_path: Path) -> None:
    tokenizer = Tokenizer(BPE({"a": 0}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("b").ids == []
    assert not precut.is_safe(tokenizer, tmp_path / "tokenizer.json")


@pytest.mark.parametrize("length", [32, 33])
def test_two_texts_that_are_both_cut(length: int, bert: Path) -> None:
    ours, theirs = tokenizer_of(bert, length), plain(bert, length)
    assert ours.pairs("weather " * 300, ["city"])[0].truncated
    short, long = "weather " * 300, "city " * 400
    for query, document in ((short, long), (long, short)):
        assert ours.pairs(query, [document])[0].ids == theirs.encode(query, document).ids


def test_of_a_megabyte_only_the_head_is_tokenised(bert: Path) -> None:
    text = "weather, and rain " * 60_000
    head = precut.cut(text, 1024)
    assert text.startswith(head)
    assert len(head) < 8 * 1024
    row = tokenizer_of(bert).pairs("query", [text])[0]
    assert len(row.ids) == 512
    assert row.truncated


@pytest.mark.timeout(30)  # were the search quadratic, it would take hours
@pytest.mark.parametrize("text", ["a", "。", " ", "\u0301a", "a\t"])
def test_the_search_is_linear_without_spaces(text: str) -> None:
    assert (text * 2_000_000).startswith(precut.cut(text * 2_000_000, 1024))


def test_lone_surrogates(bert: Path) -> None:
    assert well_formed("a\ud800b\udfff") == "a\ufffdb\ufffd"
    assert well_formed("😀") == "😀"
    tokenizer = tokenizer_of(bert)
    assert tokenizer.pairs("\ud800", ["x\udc00y"]) == tokenizer.pairs("\ufffd", ["x\ufffdy"])


def test_lower_casing_that_sentence_transformers_asks_for(tmp_path: Path) -> None:
    folder = make_bi_encoder(tmp_path / "bi")
    config = folder / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"do_lower_case": true', '"do_lower_case": false'))
    cased = tokenizer_of(folder).singles(["WEATHER"])
    (folder / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    lowered = tokenizer_of(folder).singles(["WEATHER", "weather"])
    assert cased[0].ids != lowered[0].ids == lowered[1].ids


def test_errors(tmp_path: Path, bert: Path) -> None:
    with pytest.raises(OpsError, match=r"max_length is 513, but the model takes 512"):
        tokenizer_of(bert, 513)
    with pytest.raises(OpsError, match="leaves no room for text beside 3 special tokens"):
        tokenizer_of(bert, 3)
    folder = make_cross_encoder(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(OpsError, match="cannot be read"):
        tokenizer_of(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(OpsError, match=r"tokenizer\.json is missing"):
        tokenizer_of(folder)
