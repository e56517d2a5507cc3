"""``/score`` and ``/v1/score``."""

from __future__ import annotations

import time
from typing import Any

import pytest

from opsconsole.server.wire import Limits, ScoreDialect
from opsconsole.server.wire.score import MOST_QUERIES, NAMES
from tests.server.wire.reading import answer, read, refused

DIALECT = ScoreDialect()


def test_the_answer_is_a_list_in_the_order_of_the_request() -> None:
    before = int(time.time())
    found = answer(read(DIALECT, {"text_1": "q", "text_2": ["a", "b", "c"]}), [0.5, 0.1, 0.9])
    assert before <= found.pop("created") <= time.time()
    assert found == {
        "id": "id-1",
        "object": "list",
        "model": "model",
        "data": [
            {"index": 0, "object": "score", "score": 0.5},
            {"index": 1, "object": "score", "score": 0.1},
            {"index": 2, "object": "score", "score": 0.9},
        ],
        "usage": {"total_tokens": 12, "prompt_tokens": 12},
    }


@pytest.mark.parametrize("names", NAMES)
def test_the_sides_go_by_several_names(names: tuple[str, str]) -> None:
    one, many = names
    for query, documents in (("q", "a"), (["q"], ["a"]), ("q", ["a", "b"]), (["q"], ["a", "b"])):
        (request,) = read(DIALECT, {one: query, many: documents}).requests
        assert request.query == "q"
        assert request.documents == (documents if isinstance(documents, list) else [documents])


def test_as_many_against_as_many_are_one_request_for_each_different_query() -> None:
    asked = read(DIALECT, {"queries": ["p", "q", "p"], "documents": ["a", "b", "c"]})
    assert [(r.query, r.documents) for r in asked.requests] == [("p", ["a", "c"]), ("q", ["b"])]
    found = answer(asked, [0.1, 0.3], [0.2])
    assert [(d["index"], d["score"]) for d in found["data"]] == [(0, 0.1), (1, 0.2), (2, 0.3)]
    assert found["usage"]["total_tokens"] == 24


def test_equal_queries_are_one_request() -> None:
    (request,) = read(DIALECT, {"text_1": ["q", "q"], "text_2": ["a", "b"]}).requests
    assert request.documents == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (422, "invalid_request", "text_1")),
        ({"text_1": "q"}, (422, "invalid_request", "text_2")),
        ({"text_2": "q"}, (422, "invalid_request", "text_1")),
        ({"items": ["a"]}, (422, "invalid_request", "queries")),
        ({"text_1": [], "text_2": ["a"]}, (422, "invalid_request", "text_1")),
        ({"text_1": "q", "text_2": []}, (422, "invalid_request", "text_2")),
        ({"text_1": "", "text_2": "a"}, (422, "invalid_request", "text_1")),
        ({"text_1": ["q", " "], "text_2": ["a", "b"]}, (422, "invalid_request", "text_1[1]")),
        ({"text_1": "", "data_1": "q", "data_2": "a"}, (422, "invalid_request", "text_1")),
        ({"text_1": ["p", "q"], "text_2": "a"}, (422, "invalid_request", "text_1")),
        ({"text_1": ["p", "q"], "text_2": ["a", "b", "c"]}, (422, "invalid_request", "text_1")),
        ({"data_1": 1, "data_2": "a"}, (422, "invalid_request", "data_1")),
        ({"data_1": "q", "data_2": ["a", 1]}, (422, "invalid_request", "data_2[1]")),
        ({"data_1": "q", "data_2": "a" * 1001}, (422, "text_too_long", "data_2")),
        ({"data_1": "q", "data_2": ["b", "a" * 1001]}, (422, "text_too_long", "data_2[1]")),
        ({"data_1": "a" * 1001, "data_2": "a"}, (422, "text_too_long", "data_1")),
        ({"queries": "q", "documents": ["a"] * 101}, (413, "too_many_documents", "documents")),
        ({"queries": ["q"] * 101, "documents": ["a"] * 101}, (413, "too_many_documents",
                                                             "queries")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_field(body: Any, expected: Any) -> None:
    assert refused(DIALECT, body) == expected


def test_different_queries_are_bounded() -> None:
    limits = Limits(10_000, 1000)
    texts = [str(i) for i in range(MOST_QUERIES + 1)]
    body = {"queries": texts, "documents": texts}
    assert refused(DIALECT, body, limits) == (413, "too_many_documents", "queries")
    assert len(read(DIALECT, {"queries": texts[1:], "documents": texts[1:]}, limits).requests) == (
        MOST_QUERIES
    )


def test_the_places_of_its_texts() -> None:
    asked = read(DIALECT, {"queries": ["p", "q", "p"], "items": ["a", "b", "c"]})
    assert (asked.place(0, 1), asked.place(0, None)) == ("items[2]", "queries[0]")
    assert (asked.place(1, 0), asked.place(1, None)) == ("items[1]", "queries[1]")
    asked = read(DIALECT, {"text_1": "q", "text_2": "a"})
    assert (asked.place(0, 0), asked.place(0, None)) == ("text_2", "text_1")
    asked = read(DIALECT, {"text_1": ["q"], "text_2": ["a", "b"]})
    assert (asked.place(0, 1), asked.place(0, None)) == ("text_2[1]", "text_1[0]")
