"""Of megabytes of text only what matters is tokenised, with the same tokens."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from opsconsole.engine import precut
from opsconsole.engine.architecture import read_architecture
from opsconsole.engine.records import Options
from opsconsole.engine.tokenizing import PairTokenizer
from tests.engine.models import make_bi_encoder

KINDS = ["bert", "roberta", "xlm_roberta"]
FRAGMENTS = [
    "a",
    "weather",
    "x1",
    "Öl",
    "天气",
    "天",
    "...",
    "[MASK]",
    "<mask>",
    "</s>",
    "ﷺ",
    "don't",
]
FRAGMENTS += [
    "_",
    "\0",
    "\u0301",
    "\u200d",
    "\u3000",
    "\t",
    "\n",
    " ",
    "  ",
    "дождь",
    "。",
    "\U00020000",
]
LEFT = Options(truncation_side="left")


@cache
def library(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def han(count: int) -> str:
    order = random.Random(3)
    return "".join(chr(order.randint(0x4E00, 0x9FFF)) for _ in range(count))


@given(size=st.integers(1, 80), text=st.lists(st.sampled_from(FRAGMENTS), max_size=60))
@example(size=1, text=["\t", "<mask>"])
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("kind", KINDS)
def test_ends_have_the_whole_texts_tokens(
    kind: str, size: int, text: list[str], request: pytest.FixtureRequest
) -> None:
    tokenizer = library(request.getfixturevalue(kind))
    isolated = precut.isolates_han(tokenizer)
    assert isolated == (kind == "bert")
    assert precut.is_safe_from_the_left(tokenizer)
    for joiner in ("", " "):
        whole = joiner.join(text) * 3
        ids = ids_of(tokenizer, whole)
        for apart in {False, isolated}:
            head = precut.head(whole, size, han=apart)
            assert whole.startswith(head)
            kept = ids_of(tokenizer, head)
            assert ids[: len(kept)] == kept
            tail = precut.tail(whole, size, han=apart)
            assert whole.endswith(tail)
            if tail != whole:
                word, *_ = first = ids_of(tokenizer, "a")
                assert first == [word]
                kept = ids_of(tokenizer, "a" + tail)
                assert kept[0] == word
                assert ids[len(ids) - len(kept) + 1 :] == kept[1:]
        head = precut.cut(whole * 20, 1 + size // 8, han=isolated)
        kept = ids_of(tokenizer, head)
        assert ids_of(tokenizer, whole * 20)[: len(kept)] == kept
        assert head == whole * 20 or len(kept) >= 1 + size // 8


TEXTS = {
    "han": lambda: han(100_000),
    "cyrillic": lambda: "дождь и ветер, " * 10_000,
    "english": lambda: "weather, and rain " * 10_000,
    "one word": lambda: "дождь" * 10_000,
    "marks": lambda: "\u0301 " * 30_000 + "end",
    "blanks": lambda: "rain" + " " * 100_000 + "sun",
}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_long_texts_are_cut_as_if_tokenised_whole(
    kind: str, text: str, side: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = PairTokenizer(read_architecture(request.getfixturevalue(kind)), 64)
    options = Options(truncation_side=side)  # type: ignore[arg-type]
    document = TEXTS[text]()
    query = tokenizer.query("rain", options)
    row = tokenizer.pair_rows(query, [document], options)[0][0]
    tokenizer._can_cut = tokenizer._can_cut_left = False
    assert row == tokenizer.pair_rows(query, [document], options)[0][0]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("text", ["han", "cyrillic", "english"])
def test_only_an_end_is_tokenised(
    side: str, text: str, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = PairTokenizer(read_architecture(bert))
    seen: list[int] = []
    inner: Callable[[list[str]], list[list[int]]] = tokenizer._tokens

    def spy(texts: list[str]) -> list[list[int]]:
        seen.extend(map(len, texts))
        return inner(texts)

    monkeypatch.setattr(tokenizer, "_tokens", spy)
    options = Options(truncation_side=side)  # type: ignore[arg-type]
    ids = tokenizer._encode([TEXTS[text]()], options)[0]
    assert len(ids) >= 2 * tokenizer.max_length
    assert sum(seen) < 30_000


def test_a_prompt_stays_before_pieces_from_the_left(tmp_path: Path) -> None:
    folder = make_bi_encoder(tmp_path / "bi")
    tokenizer = PairTokenizer(read_architecture(folder), 32)
    options = Options(truncation_side="left", max_chunks_per_doc=3)
    rows = tokenizer.text_rows(["rain " * 9000], options, prompt="passage: ")[0]
    prompt = tokenizer._encode(["passage: "], None)[0]
    assert len(rows) == 3
    assert all(row.ids[1 : 1 + len(prompt)] == prompt for row in rows)


def test_no_cut_where_a_special_token_swallows_the_space(bert: Path) -> None:
    from tokenizers import AddedToken

    tokenizer = Tokenizer.from_file(str(bert / "tokenizer.json"))
    assert precut.is_safe_from_the_left(tokenizer)
    assert precut.isolates_han(tokenizer)
    tokenizer.add_tokens([AddedToken("[天]", rstrip=True)])
    assert not precut.is_safe_from_the_left(tokenizer)
    assert not precut.isolates_han(tokenizer)


@pytest.mark.timeout(30)  # were the search quadratic, it would take hours
@pytest.mark.parametrize("text", ["a", "。", " ", "\u0301a", "a\t"])
def test_the_search_is_linear(text: str) -> None:
    long = text * 2_000_000
    for apart in (False, True):
        assert long.startswith(precut.head(long, 4000, han=apart))
        assert long.endswith(precut.tail(long, 4000, han=apart))
