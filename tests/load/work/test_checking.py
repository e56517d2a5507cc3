"""Checks of answers, against liars."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.load.work.checking import (
    FINITE,
    INDICES,
    NOT_JSON,
    NUMBER,
    ORDER,
    SHAPE,
    Shape,
    checker,
)

SHAPES: tuple[Shape, ...] = ("results", "texts", "scores", "rankings")


def answer(shape: Shape, pairs: list[tuple[Any, Any]]) -> bytes:
    """An answer with these indices and scores; NaN is written as Python does."""
    name = {"results": "relevance_score", "rankings": "logit"}.get(shape, "score")
    rows: Any = [{"index": index, name: score, "more": {}} for index, score in pairs]
    key = {"results": "results", "scores": "data", "rankings": "rankings"}.get(shape)
    return json.dumps({key: rows, "id": "x"} if key else rows).encode()


@pytest.mark.parametrize("shape", SHAPES)
def test_right_answers(shape: Shape) -> None:
    check = checker(shape, 3, 3)
    assert check(200, answer(shape, [(2, 0.9), (0, 0.5), (1, -3)])) is None
    assert check(201, answer(shape, [(2, 1), (0, 1), (1, 1)])) is None
    assert checker(shape, 3, 1)(200, answer(shape, [(2, 0.9)])) is None
    assert checker(shape, None, None)(200, answer(shape, [(7, 0.9)])) is None


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("pairs", "kind"),
    [
        ([(0, 0.9), (1, 0.5)], NUMBER),
        ([], NUMBER),
        ([(0, 0.9), (1, 0.5), (2, 0.4), (2, 0.3)], NUMBER),
        ([(0, 0.9), (0, 0.5), (1, 0.1)], INDICES),
        ([(0, 0.9), (1, 0.5), (3, 0.1)], INDICES),
        ([(0, 0.9), (1, 0.5), (-1, 0.1)], INDICES),
        ([(0, 0.9), (1, None), (2, 0.1)], FINITE),
        ([(0, float("nan")), (1, 0.5), (2, 0.1)], FINITE),
        ([(0, float("inf")), (1, 0.5), (2, 0.1)], FINITE),
        ([(0, "0.9"), (1, 0.5), (2, 0.1)], SHAPE),
        ([(0, True), (1, 0.5), (2, 0.1)], SHAPE),
        ([(0.5, 0.9), (1, 0.5), (2, 0.1)], SHAPE),
        ([("0", 0.9), (1, 0.5), (2, 0.1)], SHAPE),
    ],
)
def test_lies(shape: Shape, pairs: list[tuple[Any, Any]], kind: str) -> None:
    assert checker(shape, 3, 3)(200, answer(shape, pairs)) == kind


@pytest.mark.parametrize("shape", SHAPES)
def test_order(shape: Shape) -> None:
    found = checker(shape, 2, 2)(200, answer(shape, [(1, 0.1), (0, 0.9)]))
    assert found == (None if shape == "scores" else ORDER)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", NOT_JSON),
        (b"<html>OK</html>", NOT_JSON),
        (b'{"results": [', NOT_JSON),
        (b"\xff\xfe", NOT_JSON),
        (b"[" * 100_000, NOT_JSON),
        (b"{}", SHAPE),
        (b"null", SHAPE),
        (b'"ok"', SHAPE),
        (b'{"results": null, "data": 1, "rankings": {}}', SHAPE),
        (b'[{"index": 0}]', SHAPE),
        (b'{"error": {"type": "queue_full"}}', SHAPE),
    ],
)
def test_no_answer_at_all(shape: Shape, body: bytes, kind: str) -> None:
    assert checker(shape, 2, 2)(200, body) == kind


def test_numbers_too_large_are_not_finite() -> None:
    body = b'[{"index": 0, "score": 1e999}]'
    assert checker("texts", 1, 1)(200, body) == FINITE
    huge = b'[{"index": 99999999999999999999999, "score": 1}]'
    assert checker("texts", 1, 1)(200, huge) in (SHAPE, INDICES)


def test_the_answers_of_other_dialects_are_wrong() -> None:
    for shape in SHAPES:
        for other in SHAPES:
            found = checker(shape, 1, 1)(200, answer(other, [(0, 0.5)]))
            assert found == (None if shape == other else SHAPE)


@pytest.mark.parametrize("status", [199, 304, 404, 503])
def test_a_status(status: int) -> None:
    assert checker("texts", 1, 1)(status, answer("texts", [(0, 1)])) == f"HTTP {status}"
