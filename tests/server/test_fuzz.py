"""Whatever a client sends, the server answers in one of its shapes and never with a 500."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.test_routes import error_of

FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
texts = st.text(max_size=60)
documents = st.lists(texts | st.fixed_dictionaries({"text": texts}) | json_values, max_size=6)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "query": texts | json_values,
        "documents": documents | json_values,
        "top_n": st.integers(-3, 9) | json_values,
        "top_k": st.integers(-3, 9) | json_values,
        "return_documents": st.booleans() | json_values,
        "model": texts | json_values,
        "extra": json_values,
    },
)


def check(answer: httpx.Response, sent: Any = None) -> None:
    assert answer.status_code in (200, 400, 413, 422)
    if answer.status_code != 200:
        error_of(answer)
        return
    results = answer.json()["results"]
    count = len(sent["documents"])
    wanted = sent.get("top_k") if sent.get("top_n") is None else sent["top_n"]
    assert len(results) == min(count, wanted or count)
    assert len({r["index"] for r in results}) == len(results)
    assert all(isinstance(r["relevance_score"], float) for r in results)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
@FUZZ
@given(body=bodies)
def test_any_json_object(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    # json.dumps also writes NaN and lone surrogates, which are no JSON.
    check(client.post(path, content=json.dumps(body).encode()), body)


@FUZZ
@given(body=json_values)
def test_any_json(client: httpx.Client, body: Any) -> None:
    check(client.post("/rerank", content=json.dumps(body).encode()), body)


@FUZZ
@given(body=st.binary(max_size=200))
def test_any_bytes(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/rerank", content=body)
    assert answer.status_code in (400, 422)
    error_of(answer)


@FUZZ
@given(body=bodies, place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_broken_byte(client: httpx.Client, body: Any, place: int, byte: int) -> None:
    raw = bytearray(json.dumps({"query": "q", "documents": ["a"]} | body).encode())
    raw[place % len(raw)] = byte
    answer = client.post("/rerank", content=bytes(raw))
    assert answer.status_code in (200, 400, 413, 422)
    if answer.status_code != 200:
        error_of(answer)


def test_it_still_works(client: httpx.Client) -> None:
    answer = client.post("/rerank", json={"query": "q", "documents": ["a"]})
    assert answer.status_code == 200
    assert client.get("/health").json()["status"] == "healthy"
    assert client.get("/metrics").json()["failed_requests"] == 0
