"""Requests: the bytes that go out, and that no two are alike unless they are to be."""

from __future__ import annotations

import json
import statistics
from typing import Any

import pytest

from opsconsole.engine.architecture import read_architecture
from opsconsole.engine.resolve import resolve
from opsconsole.engine.settings import EngineSettings
from opsconsole.engine.tokenizing import PairTokenizer
from opsconsole.errors import OpsError
from opsconsole.load.messages import Target
from opsconsole.load.plan import Lengths
from opsconsole.load.work.vocabulary import FIVES, WORDS
from tests.load.work.making import TARGET, body_of, made, pairs_of, parted

SMALL = {"documents": Lengths("fixed", 3), "document_tokens": Lengths("fixed", 5)}


def test_a_request_is_a_whole_http_message() -> None:
    prepared = made().next(0)
    line, headers, _ = parted(prepared.data)
    assert line == "POST /v1/rerank HTTP/1.1"
    assert headers["Host"] == "127.0.0.1:8000"
    assert headers["Content-Type"] == "application/json"
    body = body_of(prepared.data)
    assert set(body) == {"query", "documents"}
    assert prepared.pairs == len(body["documents"]) == 10
    assert prepared.at is None


def test_words_are_words_and_differ() -> None:
    assert len(set(WORDS)) == len(WORDS) > 2000
    assert all(word.isascii() and word.islower() and word.isalpha() for word in WORDS)
    assert len(FIVES) == 499
    assert all(499 % n for n in range(2, 23))


def test_tokens_are_as_many_as_asked_for() -> None:
    tokenizer = PairTokenizer(read_architecture(resolve(EngineSettings()).folder), 512)
    for asked in (4, 16, 70, 200):
        requests = made(
            query_tokens=Lengths("fixed", asked), document_tokens=Lengths("fixed", asked)
        )
        for _ in range(20):
            body = body_of(requests.next(0).data)
            counts = [
                len(row.ids) for row in tokenizer.singles([body["query"], *body["documents"]])
            ]
            # Two of them are the model's own marks around a text.
            assert statistics.mean(counts) - 2 == pytest.approx(asked, rel=0.1)


@pytest.mark.parametrize("query", [1, 2, 3, 12])
def test_every_pair_is_new(query: int) -> None:
    requests = made(**SMALL, query_tokens=Lengths("fixed", query))
    seen: set[tuple[str, str]] = set()
    for _ in range(6000):  # three rounds through the pool
        pairs = pairs_of(requests.next(0).data)
        assert not seen.intersection(pairs)
        seen.update(pairs)


def test_documents_are_new_too() -> None:
    requests = made(**SMALL)
    seen = [text for _ in range(6000) for _, text in pairs_of(requests.next(0).data)]
    assert len(set(seen)) > 0.99 * len(seen)


def test_two_targets_and_two_processes_share_no_pair() -> None:
    one = made(TARGET, TARGET, **SMALL)
    other = made(share=1, shares=2, **SMALL)
    first = {pair for i in range(2000) for pair in pairs_of(one.next(i % 2).data)}
    second = {pair for _ in range(2000) for pair in pairs_of(other.next(0).data)}
    assert len(first) == 6000
    assert not first & second


def test_a_seed_settles_all_but_where_the_nonces_begin() -> None:
    again = [made(seed=3).next(0).data for _ in range(2)]
    assert again[0] == again[1] != made(seed=4).next(0).data
    later = made(seed=3, start=2000 * 499 * 499).next(0).data
    assert again[0] != later
    assert len(again[0]) == len(later)


@pytest.mark.parametrize("share", [0.25, 0.9, 1.0])
def test_a_share_of_pairs_was_sent_before_to_the_same_server(share: float) -> None:
    requests = made(TARGET, TARGET, **SMALL, repeat=share)
    for target in range(2):
        seen: set[tuple[str, str]] = set()
        known = total = 0
        for _ in range(4000):
            pairs = pairs_of(requests.next(target).data)
            known += sum(pair in seen for pair in pairs)
            total += len(pairs)
            seen.update(pairs)
        assert known / total == pytest.approx(share, abs=0.04)


def test_what_is_too_much_for_a_batch_is_split() -> None:
    small = Target(name="b", host="h", port=1, batch_limit=4)
    requests = made(TARGET, small, **{**SMALL, "documents": Lengths("fixed", 10)})
    sizes = [requests.next(1).pairs for _ in range(600)]
    assert set(sizes) == {4, 2}
    assert sizes.count(4) == pytest.approx(2 * sizes.count(2), abs=3)
    assert requests.next(0).pairs == 10


def test_a_pool_is_bounded() -> None:
    requests = made(documents=Lengths("fixed", 1000), document_tokens=Lengths("fixed", 500))
    assert 5 < requests.count < 2000
    assert requests.size <= 64 << 20
    assert made().count <= 2000
    huge = made(documents=Lengths("fixed", 10_000), document_tokens=Lengths("fixed", 2000))
    assert huge.count == 1


def test_a_part_of_the_answers_is_checked() -> None:
    requests = made(**SMALL, check=0.2)
    checked = sum(requests.next(0).check is not None for _ in range(4000))
    assert checked / 4000 == pytest.approx(0.2, abs=0.03)
    assert made(**SMALL, check=0).next(0).check is None
    assert made(**SMALL).next(0).check is not None


def test_headers_path_and_base() -> None:
    target = Target(
        name="a", host="fe80::1%eth0", port=443, tls=True, base="/api/",
        headers={"Authorization": "Bearer x", "X-A": "1"},
    )  # fmt: skip
    line, headers, _ = parted(
        made(target, path="/rank/ü?x=1%20", headers={"x-a": "2", "Accept": "text/plain"})
        .next(0)
        .data
    )
    assert line == "POST /api/rank/%C3%BC?x=1%20 HTTP/1.1"
    assert headers["Host"] == "[fe80::1]"
    assert headers["Authorization"] == "Bearer x"
    assert headers["x-a"] == "2"
    assert headers["Accept"] == "text/plain"
    assert "X-A" not in headers


def test_any_request_of_http() -> None:
    work: dict[str, Any] = {"dialect": "http"}
    get = made(**work, path="/health").next(0)
    line, headers, body = parted(get.data)
    assert (line, body, get.pairs, get.check) == ("GET /health HTTP/1.1", b"", 1, None)
    assert not {"Content-Length", "Content-Type"} & set(headers)
    _, headers, body = parted(made(**work, path="/x", method="POST", body='{"ü": 1}').next(0).data)
    assert body == '{"ü": 1}'.encode()
    assert (headers["Content-Length"], headers["Content-Type"]) == ("9", "application/json")
    _, headers, _ = parted(made(**work, path="/x", method="POST").next(0).data)
    assert headers["Content-Length"] == "0"


@pytest.mark.parametrize(
    ("work", "problem"),
    [
        ({"dialect": "http"}, "needs a path"),
        ({"dialect": "http", "path": "health"}, "slash"),
        ({"dialect": "http", "path": "/a b"}, "blanks"),
        ({"dialect": "http", "path": "/a\r\nX: y"}, "blanks"),
        ({"dialect": "http", "path": "/", "method": "GET /"}, "method"),
        ({"dialect": "http", "path": "/", "repeat": 0.5}, "as they are"),
        ({"dialect": "http", "path": "/", "top_n": 1}, "as they are"),
        ({"headers": {"X": "a\r\nY: b"}}, "value"),
        ({"headers": {"X": "€"}}, "value"),
        ({"headers": {"a b": "1"}}, "name"),
        ({"headers": {"content-LENGTH": "1"}}, "generator's own"),
        ({"body": "x"}, "dialect http"),
        ({"repeat": 1.5}, "share"),
        ({"check": float("nan")}, "share"),
        ({"documents": Lengths("fixed", 0)}, "at least 1"),
        ({"query_tokens": Lengths("uniform", 9, 3)}, "ends before"),
        ({"dialect": "tei", "top_n": 3}, "best few"),
        ({"top_n": 0}, "1 or more"),
        ({"model": "a\x00b"}, "model"),
        ({"replay": "/nonexistent.jsonl"}, "No such file"),
    ],
)
def test_nonsense_is_refused(work: dict[str, Any], problem: str) -> None:
    with pytest.raises(OpsError, match=problem):
        made(**work)


def test_no_targets_and_no_host() -> None:
    with pytest.raises(OpsError, match="no host"):
        made(Target(name="a", host="", port=1))
    with pytest.raises(OpsError, match="batch limit"):
        made(Target(name="a", host="h", port=1, batch_limit=0))


def test_a_model_is_named() -> None:
    assert body_of(made(model='a/"b"', top_n=2).next(0).data)["model"] == 'a/"b"'
    assert json.dumps(body_of(made(dialect="nim").next(0).data)).count("model") == 0
