"""Whatever a client sends, the server answers in one of its shapes and never with a 500."""

from __future__ import annotations

import json
import string
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.documented import Documented
from tests.server.test_routes import error_of

FUZZ = settings(
    max_examples=100,
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
flags = st.none() | st.booleans()
counts = st.none() | st.integers(-2, 9) | st.just(10**20)
fields: dict[str, st.SearchStrategy[Any]] = {
    "top_n": counts, "top_k": counts, "max_tokens_per_doc": counts, "max_tokens_per_query": counts,
    "max_chunks_per_doc": counts, "truncate_prompt_tokens": counts, "priority": counts,
    "return_documents": flags, "return_text": flags, "raw_scores": flags, "use_activation": flags,
    "truncation": flags, "truncate": flags | st.sampled_from(["NONE", "END", "START", "end"]),
    "truncation_direction": st.sampled_from(["left", "Right", "up"]),
    "rank_fields": st.lists(st.sampled_from(["text", "title"]), max_size=2),
    "model": texts,
}  # fmt: skip
objects = st.fixed_dictionaries({"text": texts}, optional={"title": json_values})
documents = st.lists(texts | objects, max_size=6)
sides = texts | st.lists(texts, max_size=4)
ASKED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cohere": ({"query": texts, "documents": documents}, fields),
    "tei": ({"query": texts, "texts": st.lists(texts, max_size=6)}, fields),
    "nim": ({"query": objects, "passages": st.lists(objects, max_size=6)}, fields),
    "score": ({"text_1": sides, "text_2": sides}, fields),
    "score too": ({"queries": sides, "items": sides}, fields),
}


def bodies(kind: str) -> st.SearchStrategy[Any]:
    """Bodies of a kind: most whole and sane, some with a field missing, strange or too many."""
    required, optional = ASKED[kind]
    sane = st.fixed_dictionaries(required, optional=optional)
    strange = st.fixed_dictionaries(
        {},
        optional={name: value | json_values for name, value in (required | optional).items()}
        | {"extra": json_values},
    )
    return sane | strange


everything = st.one_of([bodies(kind) for kind in ASKED])


@pytest.fixture(scope="module")
def documented(client: httpx.Client) -> Documented:
    return Documented(client)


def post(client: httpx.Client, documented: Documented, path: str, body: Any) -> Any:
    # json.dumps also writes NaN and lone surrogates, which are no JSON.
    answer = client.post(path, content=json.dumps(body).encode())
    return answer.status_code, documented.check("POST", path, answer)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/rerank", "cohere"), ("/v1/rerank", "cohere"), ("/v2/rerank", "cohere"),
        ("/rerank", "tei"), ("/v1/rerank", "tei"), ("/v1/ranking", "nim"), ("/score", "score"),
        ("/v1/score", "score too"),
    ],
)  # fmt: skip
def test_any_body_of_a_dialect(
    client: httpx.Client, documented: Documented, path: str, kind: str
) -> None:
    @FUZZ
    @given(body=bodies(kind))
    def check(body: dict[str, Any]) -> None:
        status, found = post(client, documented, path, body)
        if status == 200:
            complete(kind, body, found)

    check()


def complete(kind: str, body: dict[str, Any], found: Any) -> None:
    """An answer has every index once, best first where it ranks, and as many as were wanted."""
    if kind == "tei":
        results, asked, score = found, body["texts"], "score"
    elif kind == "cohere":
        results, asked, score = found["results"], body["documents"], "relevance_score"
    elif kind == "nim":
        results, asked, score = found["rankings"], body["passages"], "logit"
    else:
        names = ("text_1", "text_2") if "text_1" in body else ("queries", "items")
        asked = body[names[1]] if isinstance(body[names[1]], list) else [body[names[1]]]
        assert [r["index"] for r in found["data"]] == list(range(len(asked)))
        return
    wanted = body.get("top_k") if body.get("top_n") is None else body["top_n"]
    wanted = None if kind == "nim" else wanted
    assert len(results) == min(len(asked), wanted or len(asked))
    assert len({r["index"] for r in results}) == len(results)
    assert all(0 <= r["index"] < len(asked) for r in results)
    scores = [r[score] for r in results]
    assert scores == sorted(scores, reverse=True)


@FUZZ
@given(body=everything | json_values, data=st.data())
def test_any_json_on_any_route(
    client: httpx.Client, documented: Documented, body: Any, data: st.DataObject
) -> None:
    post(client, documented, data.draw(st.sampled_from(documented.ranking)), body)


@FUZZ
@given(body=st.binary(max_size=200), data=st.data())
def test_any_bytes(
    client: httpx.Client, documented: Documented, body: bytes, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(documented.ranking))
    answer = client.post(path, content=body)
    assert answer.status_code in (400, 422)
    documented.check("POST", path, answer)


@FUZZ
@given(body=everything, place=st.integers(0, 10_000), byte=st.integers(0, 255), data=st.data())
def test_a_broken_byte(
    client: httpx.Client, documented: Documented, body: Any, place: int, byte: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    path = data.draw(st.sampled_from(documented.ranking))
    raw = bytearray(json.dumps({"query": "q", "documents": ["a"]} | body).encode())
    raw[place % len(raw)] = byte
    documented.check("POST", path, client.post(path, content=bytes(raw)))


HEADERS = st.dictionaries(
    st.sampled_from([
        "X-Request-ID", "X-Request-Timeout", "X-Request-Priority", "Content-Type", "Accept",
        "Authorization", "X-API-Key", "Origin", "Traceparent",
    ]),
    st.text(string.ascii_letters + string.digits + " ;,=/.*-+\"'{}", max_size=30).map(str.strip)
    | st.sampled_from(["0", "-1", "1e9", "nan", "inf", "9" * 40, "500ms", "high", "*/*;q=x"]),
)  # fmt: skip


@FUZZ
@given(headers=HEADERS)
def test_any_headers(client: httpx.Client, documented: Documented, headers: dict[str, str]) -> None:
    body = b'{"query": "q", "documents": ["a", "b"]}'
    answer = client.post("/v1/rerank", content=body, headers=headers)
    if answer.status_code in (503, 504):  # a time that nobody could keep
        assert error_of(answer)["type"] in ("deadline_unmeetable", "deadline_exceeded")
    else:
        documented.check("POST", "/v1/rerank", answer)


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"]),
    path=st.sampled_from(["/health", "/metrics", "/info", "/docs", "/v1/models", "/", "/rerank"])
    | st.text(string.printable, max_size=20).map("/{}".format),
    query=st.text(max_size=20),
)
def test_any_method_and_path(client: httpx.Client, method: str, path: str, query: str) -> None:
    answer = client.request(method, f"{quote(path)}?format={quote(query)}")
    assert answer.status_code in (200, 204, 400, 404, 405, 422)
    if answer.status_code >= 400 and method != "HEAD":
        error_of(answer)


def test_it_still_works(client: httpx.Client, documented: Documented) -> None:
    body = {"query": "q", "documents": ["a"]}
    for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
        assert post(client, documented, path, body)[0] == 200
    assert client.get("/health").json()["status"] == "healthy"
    assert client.get("/metrics").json()["failed_requests"] == 0
