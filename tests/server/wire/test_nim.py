"""``/v1/ranking``."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.engine.records import Options
from opsconsole.server.wire import NimDialect
from tests.server.wire.reading import answer, read, refused

DIALECT = NimDialect()
BODY = {"model": "nvidia/x", "query": {"text": "q"}, "passages": [{"text": "a"}, {"text": "b"}]}


def test_the_answer_ranks_by_logits() -> None:
    asked = read(DIALECT, BODY)
    assert asked.requests[0].options == Options(activation="none")
    assert answer(asked, [-3.5, 2.25]) == {
        "rankings": [{"index": 1, "logit": 2.25}, {"index": 0, "logit": -3.5}],
        "usage": {"total_tokens": 12, "prompt_tokens": 12},
    }


@pytest.mark.parametrize("field", ["raw_scores", "use_activation", "activation", "softmax"])
@pytest.mark.parametrize("value", [True, False])
def test_a_logit_is_one_whatever_is_asked_for(field: str, value: bool) -> None:
    (request,) = read(DIALECT, BODY | {field: value}).requests
    assert request.options == Options(activation="none")


@pytest.mark.parametrize(("word", "truncate"), [("NONE", False), ("END", True)])
def test_truncation_goes_by_its_words(word: str, truncate: bool) -> None:
    (request,) = read(DIALECT, BODY | {"truncate": word}).requests
    assert request.options.truncate is truncate


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"query": "q"}, (422, "invalid_request", "query")),
        ({"query": {}}, (422, "invalid_request", "query.text")),
        ({"query": {"text": " "}}, (422, "invalid_request", "query.text")),
        ({"passages": ["a"]}, (422, "invalid_request", "passages[0]")),
        ({"passages": [{"text": "a"}, {}]}, (422, "invalid_request", "passages[1].text")),
        ({"passages": [{"text": "a" * 1001}]}, (422, "text_too_long", "passages[0].text")),
        ({"passages": [{"text": "a"}] * 101}, (413, "too_many_documents", "passages")),
        ({"truncate": "MIDDLE"}, (422, "invalid_request", "truncate")),
    ],
)
def test_what_is_wrong_is_said_with_its_field(fields: Any, expected: Any) -> None:
    assert refused(DIALECT, BODY | fields) == expected


def test_the_places_of_its_texts() -> None:
    asked = read(DIALECT, BODY)
    assert (asked.place(0, 1), asked.place(0, None)) == ("passages[1].text", "query.text")
