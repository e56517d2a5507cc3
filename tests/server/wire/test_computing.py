"""How the fields of many servers' clients become what the engine is asked."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.engine.records import Options
from opsconsole.server.wire import RerankDialect
from tests.server.wire.reading import read, refused

DIALECT = RerankDialect(return_documents=False)
BODY = {"query": "q", "documents": ["a"]}


def options(**fields: Any) -> Options:
    return read(DIALECT, BODY | fields).requests[0].options


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Options()),
        ({"truncate": None, "truncation": None, "max_tokens_per_doc": None}, Options()),
        ({"truncate": True}, Options()),
        ({"truncate": False}, Options(truncate=False)),
        ({"truncation": False}, Options(truncate=False)),
        ({"truncate": True, "truncation": False}, Options()),
        ({"truncate": "NONE"}, Options(truncate=False)),
        ({"truncate": "END"}, Options(truncation_side="right")),
        ({"truncate": "start"}, Options(truncation_side="left")),
        ({"truncation_direction": "Right"}, Options(truncation_side="right")),
        ({"truncation_side": "left"}, Options(truncation_side="left")),
        ({"truncate_prompt_tokens": -1}, Options()),
        ({"truncate_prompt_tokens": 100}, Options(max_tokens_per_doc=100)),
        ({"truncate_prompt_tokens": 100, "max_tokens_per_doc": 50}, Options(max_tokens_per_doc=50)),
        ({"max_tokens_per_doc": 0, "max_tokens_per_query": 0}, Options()),
        ({"max_tokens_per_doc": 4096}, Options(max_tokens_per_doc=4096)),
        ({"max_tokens_per_doc": 2**64}, Options()),
        ({"max_tokens_per_query": 64}, Options(max_tokens_per_query=64)),
        ({"max_chunks_per_doc": 0}, Options()),
        ({"max_chunks_per_doc": 10}, Options(max_chunks_per_doc=10)),
        ({"max_chunks_per_doc": 2**64}, Options(max_chunks_per_doc=1 << 30)),
        ({"raw_scores": True}, Options(activation="none")),
        ({"raw_scores": False}, Options(activation="sigmoid")),
        ({"use_activation": True}, Options()),
        ({"use_activation": False}, Options(activation="none")),
        ({"activation": False}, Options(activation="none")),
        ({"softmax": False}, Options(activation="none")),
        ({"raw_scores": False, "use_activation": False}, Options(activation="sigmoid")),
        ({"priority": 0}, Options()),
        ({"priority": 999}, Options(weight=0.25)),
        ({"priority": -1}, Options(weight=4.0)),
        ({"user": "me", "request_id": "x", "cache_salt": 1, "mm_processor_kwargs": {}}, Options()),
    ],
)
def test_what_is_asked_for(fields: Any, expected: Options) -> None:
    assert options(**fields) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("truncate", "maybe"), ("truncate", 1), ("truncation", "END"), ("truncation_side", "up"),
        ("truncate_prompt_tokens", -2), ("max_tokens_per_doc", -1), ("max_tokens_per_doc", 1.5),
        ("max_tokens_per_query", -(2**70)), ("max_chunks_per_doc", "2"), ("raw_scores", 0),
        ("use_activation", "yes"), ("priority", 0.5),
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_its_name(field: str, value: Any) -> None:
    assert refused(DIALECT, BODY | {field: value}) == (422, "invalid_request", field)
