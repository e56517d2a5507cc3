from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.server.errors import RequestError
from opsconsole.server.wire import CohereDialect, Ranking, best_first

DIALECT = CohereDialect(return_documents=True)


def read(body: Any, **options: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.read(data, options.get("max_documents", 100))


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
    assert read({"query": "q", "documents": ["a"]} | given_).top_n == top_n


def test_documents_are_texts_or_objects_with_one() -> None:
    request = read(
        {"query": "q", "documents": ["a", {"text": "b", "id": 7, "x": [1]}], "unknown": 1}
    )
    assert request.documents == ["a", "b"]
    assert request.return_documents is True
    assert read({"query": "q", "documents": [], "return_documents": False}).return_documents is (
        False
    )


@pytest.mark.parametrize(
    ("body", "status", "kind", "field"),
    [
        (b"", 400, "invalid_json", None),
        (b"{", 400, "invalid_json", None),
        (b"query=a", 400, "invalid_json", None),
        (b'{"query":"a","documents":[]} x', 400, "invalid_json", None),
        (b'{"query":"\xff","documents":[]}', 400, "invalid_json", None),
        (b'{"query":"\\ud800","documents":[]}', 400, "invalid_json", None),
        (b'{"query":"a","documents":[],"top_n":NaN}', 400, "invalid_json", None),
        (b'{"x":' + b"[" * 100_000, 400, "invalid_json", None),
        ('{"query":"a"}'.encode("utf-16"), 400, "invalid_json", None),
        ([], 422, "invalid_request", None),
        ("text", 422, "invalid_request", None),
        ({}, 422, "invalid_request", "query"),
        ({"query": "a"}, 422, "invalid_request", "documents"),
        ({"documents": []}, 422, "invalid_request", "query"),
        ({"query": None, "documents": []}, 422, "invalid_request", "query"),
        ({"query": ["a"], "documents": []}, 422, "invalid_request", "query"),
        ({"query": "", "documents": []}, 422, "invalid_request", "query"),
        ({"query": " \t\n", "documents": []}, 422, "invalid_request", "query"),
        ({"query": "a", "documents": "abc"}, 422, "invalid_request", "documents"),
        ({"query": "a", "documents": ["b", 1]}, 422, "invalid_request", "documents[1]"),
        ({"query": "a", "documents": ["b", None]}, 422, "invalid_request", "documents[1]"),
        ({"query": "a", "documents": [{}]}, 422, "invalid_request", "documents[0].text"),
        ({"query": "a", "documents": [{"text": 1}]}, 422, "invalid_request", "documents[0].text"),
        ({"query": "a", "documents": [], "top_n": -1}, 422, "invalid_request", "top_n"),
        ({"query": "a", "documents": [], "top_k": -1}, 422, "invalid_request", "top_k"),
        ({"query": "a", "documents": [], "top_n": 1.5}, 422, "invalid_request", "top_n"),
        ({"query": "a", "documents": [], "top_n": True}, 422, "invalid_request", "top_n"),
        ({"query": "a", "documents": [], "top_n": "3"}, 422, "invalid_request", "top_n"),
        (
            {"query": "a", "documents": [], "return_documents": "yes"},
            422,
            "invalid_request",
            "return_documents",
        ),
        ({"query": "a", "documents": [], "model": 3}, 422, "invalid_request", "model"),
        ({"query": "a", "documents": ["x"] * 101}, 413, "too_many_documents", "documents"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(
    body: Any, status: int, kind: str, field: str | None
) -> None:
    with pytest.raises(RequestError) as caught:
        read(body)
    error = caught.value
    assert (error.status, error.type, error.field) == (status, kind, field)
    assert "`" not in error.message
    if field is not None and status == 422:
        assert error.message.startswith(field)
    assert json.loads(error.body("abc")) == {
        "error": {"type": kind, "message": error.message, "field": field},
        "request_id": "abc",
    }


def test_the_answer_has_the_fields_of_cohere_and_jina() -> None:
    request = read({"query": "q", "documents": ["a", "b", "c"], "top_n": 2})
    ranking = Ranking("id-1", "model", request, [2, 0], [0.5, 0.1, 0.9], 12, 1)
    answer = json.loads(DIALECT.write(ranking))
    assert answer == {
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
            "warnings": ["documents cut to the model's length limit: 1"],
        },
    }


def test_documents_stay_away_unless_asked_for() -> None:
    request = read({"query": "q", "documents": ["a"], "return_documents": False})
    answer = json.loads(DIALECT.write(Ranking("i", "m", request, [0], [0.5], 1, 0)))
    assert answer["results"] == [{"index": 0, "relevance_score": 0.5}]
    assert CohereDialect(return_documents=False).read(
        b'{"query":"q","documents":[]}', 9
    ).return_documents is (False)
