"""Every route as the clients of other servers use it, answered by a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from opsconsole import __version__
from tests.server.process import ServerProcess
from tests.server.test_routes import DOCUMENTS, QUERY, error_of

LONG = "word " * 5000


@pytest.fixture(scope="module")
def scores(client: httpx.Client) -> list[float]:
    """Of the documents, in their order; equal on every route."""
    body = client.post("/v1/rerank", json={"query": QUERY, "documents": DOCUMENTS}).json()
    found = {r["index"]: r["relevance_score"] for r in body["results"]}
    return [found[i] for i in range(len(DOCUMENTS))]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/reranking", "/v1/reranking"])
def test_texts_get_the_list_of_tei(client: httpx.Client, scores: list[float], path: str) -> None:
    body = {"query": QUERY, "texts": DOCUMENTS, "raw_scores": True, "return_text": True}
    answer = client.post(path, json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert [r["score"] for r in found] == pytest.approx(sorted(scores, reverse=True), abs=1e-6)
    assert [r["text"] for r in found] == [DOCUMENTS[r["index"]] for r in found]


def test_cohere_v2(client: httpx.Client, scores: list[float]) -> None:
    body = {"model": "any", "query": QUERY, "documents": DOCUMENTS, "top_n": 1}
    answer = client.post("/v2/rerank", json=body).json()
    (best,) = answer["results"]
    assert best == {"index": 1, "relevance_score": pytest.approx(scores[1], abs=1e-6)}
    assert answer["meta"]["api_version"] == {"version": "2"}


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
def test_scores_of_one_against_many(client: httpx.Client, scores: list[float], path: str) -> None:
    answer = client.post(path, json={"text_1": QUERY, "text_2": DOCUMENTS}).json()
    assert [d["index"] for d in answer["data"]] == [0, 1, 2]
    assert [d["score"] for d in answer["data"]] == pytest.approx(scores, abs=1e-6)
    assert answer["model"] == "all-MiniLM-L6-v2"


def test_scores_of_pairs_are_those_of_each_pair(server: ServerProcess) -> None:
    queries = [QUERY, "What is yellow?", QUERY, "When is it open?"]
    documents = [*DOCUMENTS, "Berlin is a city."]
    pairs = server.post("/score", json={"queries": queries, "documents": documents},
                        headers={"X-Request-ID": "pairs"})  # fmt: skip
    alone = [
        server.post("/score", json={"text_1": q, "text_2": d}).json()["data"][0]["score"]
        for q, d in zip(queries, documents, strict=True)
    ]
    assert [d["score"] for d in pairs.json()["data"]] == pytest.approx(alone, abs=1e-5)
    (line,) = [x for x in server.lines() if x.get("request_id") == "pairs"]
    assert line["documents"] == 4
    assert line["tokens"] == pairs.json()["usage"]["total_tokens"] > 20


def test_nim_ranks_passages(client: httpx.Client, scores: list[float]) -> None:
    body = {"query": {"text": QUERY}, "passages": [{"text": d} for d in DOCUMENTS]}
    rankings = client.post("/v1/ranking", json=body).json()["rankings"]
    assert [r["logit"] for r in rankings] == pytest.approx(sorted(scores, reverse=True), abs=1e-6)
    assert rankings[0]["index"] == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/rerank", {"query": "q", "documents": ["a", LONG], "truncation": False}, "documents[1]"),
        ("/rerank", {"query": "q", "texts": ["a", LONG], "truncate": False}, "texts[1]"),
        ("/v2/rerank", {"query": "q", "documents": [LONG], "truncate": "NONE"}, "documents[0]"),
        ("/v1/ranking", {"query": {"text": "q"}, "passages": [{"text": LONG}], "truncate": "NONE"},
         "passages[0].text"),
        ("/score", {"queries": ["p", "q"], "documents": ["a", LONG], "truncation": False},
         "documents[1]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_where_cutting_is_forbidden(
    client: httpx.Client, path: str, body: dict[str, Any], field: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    error = error_of(answer)
    assert (error["type"], error["field"]) == ("input_too_long", field)
    assert error["message"].startswith(field)


def test_it_is_cut_otherwise_or_split(client: httpx.Client) -> None:
    text = "word " * 600 + DOCUMENTS[1]
    body = {"query": QUERY, "documents": [text], "return_documents": True}

    def ask(**fields: Any) -> Any:
        return client.post("/v1/rerank", json=body | fields).json()

    cut, split = ask(), ask(max_chunks_per_doc=20)
    assert cut["meta"]["warnings"]
    assert split["results"][0]["relevance_score"] > cut["results"][0]["relevance_score"] + 0.1
    assert split["usage"]["total_tokens"] > cut["usage"]["total_tokens"]
    assert ask(max_tokens_per_doc=5)["usage"]["total_tokens"] < 30


def test_models_as_openai_lists_them(client: httpx.Client) -> None:
    answer = client.get("/v1/models").json()
    assert answer == client.get("/models").json()
    assert answer["object"] == "list"
    (model,) = answer["data"]
    assert (model["id"], model["object"]) == ("all-MiniLM-L6-v2", "model")
    assert model["max_model_len"] == client.get("/health").json()["model"]["max_length"]
    assert model["created"] == int(client.get("/health").json()["started_at"])


def test_info_has_the_fields_of_tei(client: httpx.Client) -> None:
    health = client.get("/health").json()
    info = client.get("/info").json()
    assert info["model_id"] == health["model"]["name"]
    assert info["model_sha"] == health["model"]["revision"]
    assert info["model_dtype"] == health["model"]["dtype"]
    assert set(info["model_type"]) == {"reranker"}
    assert info["max_input_length"] == health["model"]["max_length"]
    assert info["max_client_batch_size"] == 10_000
    assert info["max_concurrent_requests"] == 4 + 64
    assert info["max_batch_tokens"] > 0
    assert info["auto_truncate"] is True
    assert info["version"] == __version__


def test_ready_and_live_are_small(server: ServerProcess, client: httpx.Client) -> None:
    for path, body in (
        ("/ready", {"status": "healthy", "pid": server.pid}),
        ("/live", {"status": "live"}),
        ("/v1/health/ready",
         {"object": "health.response", "message": "Service is ready.", "status": "ready"}),
        ("/v1/health/live",
         {"object": "health.response", "message": "Service is live.", "status": "live"}),
    ):  # fmt: skip
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, body)
        assert answer.headers["cache-control"] == "no-store"


def test_the_document_and_its_page_are_served(client: httpx.Client) -> None:
    document = client.get("/openapi.json")
    assert document.headers["content-type"] == "application/json"
    assert "/rerank" in document.json()["paths"]
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<h1>opsconsole reranker" in page.text


def test_before_the_model_is_there_it_is_live_but_not_ready() -> None:
    """Asked until the answer changes: whichever answers come first, they must agree."""
    with ServerProcess(wait="listening") as server:
        assert server.get("/live").status_code == 200
        ready = server.get("/ready")
        if ready.status_code == 503:  # else it loaded faster than one request takes
            assert ready.json() == {
                "status": "loading", "reason": "loading the model embedded", "pid": server.pid
            }  # fmt: skip
            assert ready.headers["retry-after"]
        server.wait_for("ready")
        assert server.get("/ready").json() == {"status": "healthy", "pid": server.pid}
        assert server.get("/v1/models").status_code == 200
