"""Bodies with texts, as the clients of Text Embeddings Inference send them."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.server.wire import RerankDialect
from tests.server.wire.reading import answer, read, refused

DIALECT = RerankDialect(return_documents=True)
BODY = {"query": "q", "texts": ["a", "b", "c"]}


def test_the_answer_is_a_bare_list() -> None:
    assert answer(read(DIALECT, BODY), [0.5, 0.1, 0.9]) == [
        {"index": 2, "score": 0.9},
        {"index": 0, "score": 0.5},
        {"index": 1, "score": 0.1},
    ]


def test_texts_come_back_when_asked_for() -> None:
    asked = read(DIALECT, BODY | {"return_text": True, "return_documents": False})
    assert [r["text"] for r in answer(asked, [0.5, 0.1, 0.9])] == ["c", "a", "b"]


def test_scores_are_probabilities_unless_raw() -> None:
    def activation(**fields: Any) -> str:
        return read(DIALECT, BODY | fields).requests[0].options.activation

    assert activation() == activation(raw_scores=False) == activation(raw_scores=None) == "sigmoid"
    assert activation(raw_scores=True) == "none"


def test_everything_that_its_clients_send_is_taken() -> None:
    body = BODY | {
        "truncate": None, "truncation_direction": "Left", "raw_scores": False, "return_text": None,
    }  # fmt: skip
    (request,) = read(DIALECT, body).requests
    assert request.options.truncate is True
    assert request.options.truncation_side == "left"


def test_top_n_holds_here_too_as_in_llama_cpp() -> None:
    assert len(answer(read(DIALECT, BODY | {"top_n": 2}), [0.5, 0.1, 0.9])) == 2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"texts": []}, (400, "invalid_request", "texts")),
        ({"texts": "abc"}, (422, "invalid_request", "texts")),
        ({"texts": ["a", {"text": "b"}]}, (422, "invalid_request", "texts[1]")),
        ({"texts": ["a"] * 101}, (413, "too_many_documents", "texts")),
        ({"texts": ["a", "b" * 1001]}, (422, "text_too_long", "texts[1]")),
        ({"query": ""}, (422, "invalid_request", "query")),
        ({"documents": ["a"]}, (422, "invalid_request", "texts")),
        ({"return_text": 1}, (422, "invalid_request", "return_text")),
        ({"truncation_direction": "up"}, (422, "invalid_request", "truncation_direction")),
    ],
)
def test_what_is_wrong_is_said_with_its_field(fields: Any, expected: Any) -> None:
    assert refused(DIALECT, BODY | fields) == expected


def test_the_places_of_its_texts() -> None:
    asked = read(DIALECT, BODY)
    assert (asked.place(0, 1), asked.place(0, None)) == ("texts[1]", "query")
