"""Reading bodies and making rankings without an engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.server.errors import RequestError
from opsconsole.server.wire import Asked, Dialect, Limits, Ranking, best_first

LIMITS = Limits(max_documents=100, max_characters=1000)


def read(dialect: Dialect, body: Any, limits: Limits = LIMITS) -> Asked:
    """A body, given as JSON or as what makes it, as the dialect reads it."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return dialect.read(data, limits)


def refused(dialect: Dialect, body: Any, limits: Limits = LIMITS) -> tuple[int, str, str | None]:
    """(status, type, field) of the error that a body gets, whose message must be for people."""
    with pytest.raises(RequestError) as caught:
        read(dialect, body, limits)
    error = caught.value
    assert "`" not in error.message
    if error.field is not None and error.status == 422:
        assert error.message.startswith(error.field)
    assert json.loads(error.body("abc")) == {
        "error": {"type": error.type, "message": error.message, "field": error.field},
        "request_id": "abc",
    }
    return error.status, error.type, error.field


def answer(asked: Asked, *scores: list[float], tokens: int = 12, truncated: int = 0) -> Any:
    """The answer's JSON when the requests' documents have these scores."""
    rankings = []
    for request, values in zip(asked.requests, scores, strict=True):
        order = best_first(values, request.top_n)
        rankings.append(Ranking("id-1", "model", request, order, values, tokens, truncated))
    return json.loads(asked.answer(rankings))
