"""Bodies with documents, as Cohere's (v1), Jina's, Infinity's and vLLM's clients send them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.server.errors import RequestError
from opsconsole.server.wire import RerankDialect, best_first
from tests.server.wire.reading import answer, read, refused

DIALECT = RerankDialect(return_documents=True)
SILENT = RerankDialect(return_documents=False)


@given(st.lists(st.floats(-1, 1)), st.none() | st.integers(1, 20))
def test_best_first_is_a_stable_sort_cut_short(scores: list[float], top_n: int | None) -> None:
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    assert best_first(scores, top_n) == expected[:top_n]


@pytest.mark.parametrize(
    ("given_", "top_n"),
    [
        ({}, None),
        ({"top_n": None, "top_k": None}, None),
        ({"top_n": 0}, None),
        ({"top_k": 0}, None),
        ({"top_n": 3}, 3),
        ({"top_k": 2}, 2),
        ({"top_n": 3, "top_k": 2}, 3),
        ({"top_n": 0, "top_k": 2}, None),
        ({"top_n": 10**30}, 10**30),
    ],
)
def test_top_n_and_top_k_mean_the_same(given_: dict[str, Any], top_n: int | None) -> None:
    (request,) = read(DIALECT, {"query": "q", "documents": ["a"]} | given_).requests
    assert request.top_n == top_n


def test_documents_are_texts_or_objects_with_one() -> None:
    body = {"query": "q", "documents": ["a", {"text": "b", "id": 7, "x": [1]}], "unknown": 1}
    (request,) = read(DIALECT, body).requests
    assert request.documents == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "status", "kind", "field"),
    [
        (b"", 400, "invalid_json", None),
        (b"{", 400, "invalid_json", None),
        (b"query=a", 400, "invalid_json", None),
        (b'{"query":"a","documents":[]} x', 400, "invalid_json", None),
        (b'{"query":"\xff","documents":[]}', 400, "invalid_json", None),
        (b'{"query":"\\ud800","documents":[]}', 400, "invalid_json", None),
        (b'{"query":"a","documents":["\\udfff"]}', 400, "invalid_json", None),
        (b'{"query":"a","documents":[],"top_n":NaN}', 400, "invalid_json", None),
        (b'{"x":' + b"[" * 100_000, 400, "invalid_json", None),
        ('{"query":"a"}'.encode("utf-16"), 400, "invalid_json", None),
        ([], 422, "invalid_request", None),
        ("text", 422, "invalid_request", None),
        ({}, 422, "invalid_request", "query"),
        ({"query": "a"}, 422, "invalid_request", "documents"),
        ({"query": "a", "documents": None}, 422, "invalid_request", "documents"),
        ({"query": "a", "documents": [], "texts": []}, 422, "invalid_request", "texts"),
        ({"documents": []}, 422, "invalid_request", "query"),
        ({"query": None, "documents": []}, 422, "invalid_request", "query"),
        ({"query": ["a"], "documents": []}, 422, "invalid_request", "query"),
        ({"query": "", "documents": []}, 422, "invalid_request", "query"),
        ({"query": " \t\n", "documents": []}, 422, "invalid_request", "query"),
        ({"query": "a" * 1001, "documents": []}, 422, "text_too_long", "query"),
        ({"query": "a", "documents": "abc"}, 422, "invalid_request", "documents"),
        ({"query": "a", "documents": ["b", 1]}, 422, "invalid_request", "documents[1]"),
        ({"query": "a", "documents": ["b", None]}, 422, "invalid_request", "documents[1]"),
        ({"query": "a", "documents": [{}]}, 422, "invalid_request", "documents[0].text"),
        ({"query": "a", "documents": ["b", {"x": 1}]}, 422, "invalid_request",
         "documents[1].text"),
        ({"query": "a", "documents": [{"text": 1}]}, 422, "invalid_request", "documents[0].text"),
        ({"query": "a", "documents": [{"text": None}]}, 422, "invalid_request",
         "documents[0].text"),
        ({"query": "a", "documents": ["b", "c" * 1001]}, 422, "text_too_long", "documents[1]"),
        ({"query": "a", "documents": [], "top_n": -1}, 422, "invalid_request", "top_n"),
        ({"query": "a", "documents": [], "top_k": -1}, 422, "invalid_request", "top_k"),
        ({"query": "a", "documents": [], "top_n": 1.5}, 422, "invalid_request", "top_n"),
        ({"query": "a", "documents": [], "top_n": True}, 422, "invalid_request", "top_n"),
        ({"query": "a", "documents": [], "top_n": "3"}, 422, "invalid_request", "top_n"),
        ({"query": "a", "documents": [], "return_documents": "yes"}, 422, "invalid_request",
         "return_documents"),
        ({"query": "a", "documents": [], "model": 3}, 422, "invalid_request", "model"),
        ({"query": "a", "documents": ["x"] * 101}, 413, "too_many_documents", "documents"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_field(
    body: Any, status: int, kind: str, field: str | None
) -> None:
    assert refused(DIALECT, body) == (status, kind, field)


def test_the_last_of_fields_with_one_name_counts() -> None:
    asked = read(DIALECT, b'{"query":"a","query":"b","documents":["x"],"documents":["y","z"]}')
    (request,) = asked.requests
    assert (request.query, request.documents) == ("b", ["y", "z"])


def test_the_answer_has_the_fields_of_cohere_and_jina() -> None:
    asked = read(DIALECT, {"query": "q", "documents": ["a", "b", "c"], "top_n": 2})
    assert answer(asked, [0.5, 0.1, 0.9], truncated=1) == {
        "id": "id-1",
        "model": "model",
        "results": [
            {"index": 2, "relevance_score": 0.9, "document": {"text": "c"}},
            {"index": 0, "relevance_score": 0.5, "document": {"text": "a"}},
        ],
        "usage": {"total_tokens": 12, "prompt_tokens": 12},
        "meta": {
            "api_version": {"version": "1"},
            "tokens": {"input_tokens": 12},
            "warnings": ["documents cut to fit: 1"],
        },
    }


def test_no_documents_have_no_results() -> None:
    assert answer(read(DIALECT, {"query": "q", "documents": []}), [])["results"] == []


@pytest.mark.parametrize(
    ("dialect", "asked_for", "come"),
    [(DIALECT, None, True), (DIALECT, False, False), (SILENT, None, False), (SILENT, True, True)],
)
def test_documents_come_back_as_asked_or_as_the_route_has_it(
    dialect: RerankDialect, asked_for: bool | None, come: bool
) -> None:
    body = {"query": "q", "documents": ["a"], "return_documents": asked_for}
    (result,) = answer(read(dialect, body), [0.5])["results"]
    assert result == {"index": 0, "relevance_score": 0.5} | (
        {"document": {"text": "a"}} if come else {}
    )


def test_documents_come_back_with_all_of_their_fields() -> None:
    given_ = {"text": "b", "id": 2**70, "x": [1.5, None, {"ü": "\u0000"}], "": True}
    asked = read(DIALECT, {"query": "q", "documents": ["a", given_]})
    first, second = answer(asked, [0.1, 0.9])["results"]
    assert first["document"] == given_
    assert second["document"] == {"text": "a"}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b'"\\ud800"', (400, "invalid_json", None)),
        (b'"\xff"', (400, "invalid_json", None)),
        (b"1e999", (422, "invalid_request", "documents[0]")),
    ],
)
def test_a_field_that_no_answer_could_hold_is_refused(field: bytes, expected: Any) -> None:
    assert refused(DIALECT, b'{"query":"q","documents":[{"text":"a","x":%s}]}' % field) == expected


def test_only_the_fields_named_count() -> None:
    documents = [
        {"title": "T", "text": "not this", "year": 1999, "author": "A"}, "plain", {"author": "B"},
    ]  # fmt: skip
    body = {"query": "q", "documents": documents, "rank_fields": ["author", "title", "year"]}
    asked = read(DIALECT, body)
    assert asked.requests[0].documents == ["A\nT\n1999", "plain", "B"]
    results = answer(asked, [0.3, 0.2, 0.1])["results"]
    assert [r["document"] for r in results] == [documents[0], {"text": "plain"}, documents[2]]


@pytest.mark.parametrize(
    ("document", "field"), [({"a": []}, "documents[0].a"), ({"text": "x"}, "documents[0]")]
)
def test_fields_to_rank_by_have_to_be_there_and_text(document: Any, field: str) -> None:
    body = {"query": "q", "documents": [document], "rank_fields": ["a"]}
    assert refused(DIALECT, body) == (422, "invalid_request", field)


def test_the_places_of_its_texts() -> None:
    asked = read(DIALECT, {"query": "q", "documents": ["a", "b"]})
    assert (asked.place(0, 1), asked.place(0, None)) == ("documents[1]", "query")


@pytest.mark.parametrize(
    ("text", "surrogate"),
    [
        (b"\\ud800", True),
        (b"\\ud800\\n", True),
        (b"\\ud800 and more than the few bytes at the end", True),
        (b"\\ud800\\u0041", True),
        (b"\\udc00", True),
        (b"\\u12", False),
    ],
)
def test_half_a_surrogate_pair_is_told_from_a_body_cut_off(text: bytes, surrogate: bool) -> None:
    whole = b'{"query":"q","documents":["a","%s"]}' % text
    assert ("surrogate" in why_no_json(whole)) is surrogate


@pytest.mark.parametrize("end", [b"\\ud800", b"\\ud83d\\ud", b'\\\\ud800"'])
def test_a_body_cut_off_is_said_to_be_that(end: bytes) -> None:
    assert "truncated" in why_no_json(b'{"query":"q","documents":["' + end)


def why_no_json(body: bytes) -> str:
    with pytest.raises(RequestError) as caught:
        read(DIALECT, body)
    assert caught.value.type == "invalid_json"
    return caught.value.message
