"""``/v2/rerank``."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.server.wire import CohereV2Dialect
from tests.server.wire.reading import answer, read, refused

DIALECT = CohereV2Dialect()
BODY = {"model": "rerank-v3.5", "query": "q", "documents": ["a", {"text": "b", "id": 1}, "c"]}


def test_the_answer_is_that_of_v2() -> None:
    body = BODY | {"top_n": 2, "return_documents": True}  # which v2 does not know
    assert answer(read(DIALECT, body), [0.5, 0.1, 0.9]) == {
        "id": "id-1",
        "results": [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.5}],
        "meta": {
            "api_version": {"version": "2"}, "tokens": {"input_tokens": 12}, "warnings": [],
        },
    }  # fmt: skip


def test_its_own_fields_are_taken() -> None:
    (request,) = read(DIALECT, BODY | {"max_tokens_per_doc": 512, "priority": 5}).requests
    assert request.documents == ["a", "b", "c"]
    assert (request.options.max_tokens_per_doc, request.options.weight) == (512, 0.25)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"documents": None}, (422, "invalid_request", "documents")),
        ({"documents": ["a"] * 101}, (413, "too_many_documents", "documents")),
        ({"documents": [{"x": 1}]}, (422, "invalid_request", "documents[0].text")),
        ({"documents": ["a" * 1001]}, (422, "text_too_long", "documents[0]")),
        ({"query": "\n"}, (422, "invalid_request", "query")),
        ({"top_n": -1}, (422, "invalid_request", "top_n")),
    ],
)
def test_what_is_wrong_is_said_with_its_field(fields: Any, expected: Any) -> None:
    assert refused(DIALECT, BODY | fields) == expected


def test_texts_are_not_documents_here() -> None:
    body = {"query": "q", "texts": ["a"]}
    assert refused(DIALECT, body) == (422, "invalid_request", "documents")
