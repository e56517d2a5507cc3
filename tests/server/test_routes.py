"""Answers of a real server to requests that fit into one packet or so."""

from __future__ import annotations

import re
import socket
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from tests.server.process import ServerProcess, until

QUERY = "How many people live in Berlin?"
DOCUMENTS = [
    "Bananas are rich in potassium.",
    "Berlin has a population of about 3.7 million.",
    "The museum opens at nine.",
]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, whose shape must be the one of all errors."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert set(body) == {"error", "request_id"}
    assert set(body["error"]) == {"type", "message", "field"}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body["error"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("path", "limit"), [("/rerank", "top_k"), ("/v1/rerank", "top_n")])
def test_a_query_ranks_its_documents(client: httpx.Client, path: str, limit: str) -> None:
    answer = client.post(path, json={"query": QUERY, "documents": DOCUMENTS, limit: 2})
    assert answer.status_code == 200
    body = answer.json()
    assert body["model"] == "all-MiniLM-L6-v2"
    assert body["id"] == answer.headers["x-request-id"]
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] > 10
    assert body["meta"]["tokens"]["input_tokens"] == body["usage"]["total_tokens"]
    best, second = body["results"]
    assert best["index"] == 1
    assert best["relevance_score"] > second["relevance_score"]
    assert best.get("document") == ({"text": DOCUMENTS[1]} if path == "/rerank" else None)


def test_the_smoke_tests_of_the_checklist(client: httpx.Client) -> None:
    for path, limit in (("/rerank", "top_k"), ("/v1/rerank", "top_n")):
        answer = client.post(path, json={"query": "test", "documents": ["doc1", "doc2"], limit: 1})
        assert answer.status_code == 200
        assert len(answer.json()["results"]) == 1
    health = client.get("/health").json()
    assert health["status"] == "healthy"
    assert health["model"]["backend"] == "pytorch"
    assert health["model"]["device"] in ("cpu", "cuda", "mps")
    assert set(health["controller"]) >= {"max_parallel", "max_queue", "active", "waiting"}
    metrics = client.get("/metrics").json()
    assert metrics["total_requests"] >= 2
    assert metrics["success_rate"] == 1.0


@pytest.mark.parametrize(
    "documents", [[], [""], ["", "  ", "\t\n"], ["\u0000", "👩‍👩‍👧", "🏴" * 50]]
)
def test_documents_may_be_missing_or_strange(client: httpx.Client, documents: list[str]) -> None:
    answer = client.post("/rerank", json={"query": "q", "documents": documents})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert sorted(r["index"] for r in results) == list(range(len(documents)))
    assert [documents[r["index"]] for r in results] == [r["document"]["text"] for r in results]


def test_a_thousand_documents_come_back_once_each(client: httpx.Client) -> None:
    documents = [f"document {i}" for i in range(1000)]
    answer = client.post("/v1/rerank", json={"query": "document 7", "documents": documents})
    results = answer.json()["results"]
    assert sorted(r["index"] for r in results) == list(range(1000))
    scores = [r["relevance_score"] for r in results]
    assert scores == sorted(scores, reverse=True)
    assert documents[results[0]["index"]] == "document 7"


def test_a_document_of_a_megabyte_is_cut_and_says_so(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/rerank", json={"query": "q", "documents": ["word " * 200_000, "short"]}
    )
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == 2
    assert answer.json()["meta"]["warnings"] == ["documents cut to fit: 1"]


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "kind", "field"),
    [
        ("POST", "/rerank", b"{", 400, "invalid_json", None),
        ("POST", "/v1/rerank", b"", 400, "invalid_json", None),
        ("POST", "/rerank", b"[]", 422, "invalid_request", None),
        ("POST", "/rerank", b'{"query":"a","documents":["b",2]}', 422, "invalid_request",
         "documents[1]"),
        ("POST", "/rerank", b'{"query":" ","documents":[]}', 422, "invalid_request", "query"),
        ("POST", "/rerank", b'{"query":"a","documents":[' + b'"",' * 10_000 + b'""]}', 413,
         "too_many_documents", "documents"),
        ("GET", "/rerank", b"", 405, "method_not_allowed", None),
        ("PUT", "/v1/rerank", b"{}", 405, "method_not_allowed", None),
        ("POST", "/health", b"", 405, "method_not_allowed", None),
        ("GET", "/", b"", 404, "not_found", None),
        ("POST", "/rerank/", b"{}", 404, "not_found", None),
        ("OPTIONS", "/nowhere", b"", 404, "not_found", None),
        ("GET", "/" + "x" * 5000, b"", 404, "not_found", None),
        ("GET", "/%1b%5b31mx", b"", 404, "not_found", None),
        ("GET", "/metrics?format=xml", b"", 400, "invalid_request", "format"),
    ],
)  # fmt: skip
def test_every_error_has_one_shape(
    client: httpx.Client,
    method: str,
    path: str,
    content: bytes,
    status: int,
    kind: str,
    field: str | None,
) -> None:
    answer = client.request(method, path, content=content)
    assert answer.status_code == status
    error = error_of(answer)
    assert (error["type"], error["field"]) == (kind, field)
    if status == 405:
        allow = set(answer.headers["allow"].split(", "))
        assert allow in ({"OPTIONS", "POST"}, {"GET", "HEAD", "OPTIONS"})


def test_compressed_bodies_are_not_taken(client: httpx.Client) -> None:
    answer = client.post("/rerank", content=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert error_of(answer)["field"] == "Content-Encoding"


def test_what_is_not_http_gets_the_same_shape(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    answer = httpx.Response(
        400,
        content=body,
        headers=[tuple(line.split(b": ")) for line in head.split(b"\r\n")[1:]],  # type: ignore[misc]
    )
    assert error_of(answer)["type"] == "invalid_http"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-123", True), ("a" * 128, True), ("a" * 129, False), ("two words", False),
     ("b\x7fc", False), ("é", False), ("", False)],
)  # fmt: skip
def test_a_sane_request_id_is_kept(server: ServerProcess, given: str, kept: bool) -> None:
    request = (
        b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: "
        + given.encode("latin-1")
        + b"\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    found = re.search(rb"x-request-id: ([^\r]*)\r\n", received)
    assert found is not None
    if kept:
        assert found[1].decode() == given
    elif not received.startswith(b"HTTP/1.1 400"):
        assert re.fullmatch(rb"[0-9a-f]{32}", found[1])


def test_each_request_leaves_one_line_in_the_log(server: ServerProcess) -> None:
    body = {"query": "q", "documents": ["a", "b"]}
    server.post("/rerank", json=body, headers={"X-Request-ID": "log-1"})
    server.post("/rerank", json={"query": ""}, headers={"X-Request-ID": "log-2"})
    server.get("/health", headers={"X-Request-ID": "log-3"})
    server.get("/nowhere", headers={"X-Request-ID": "log-4"})

    def of(request_id: str) -> list[dict[str, Any]]:
        return [line for line in server.lines() if line.get("request_id") == request_id]

    until(lambda: of("log-4"), "the last line")
    (good,) = of("log-1")
    assert good["message"] == "request"
    assert (good["level"], good["method"], good["path"]) == ("info", "POST", "/rerank")
    assert (good["status"], good["documents"]) == (200, 2)
    assert good["tokens"] > 0
    assert good["duration_ms"] > good["queue_ms"] >= 0
    (bad,) = of("log-2")
    assert (bad["status"], bad["error"]) == (422, "invalid_request")
    assert "documents" in bad["detail"]
    assert of("log-3") == []  # a poller every second would drown the rest
    assert of("log-4")[0]["status"] == 404


def test_the_start_is_logged(server: ServerProcess) -> None:
    listening, ready = server.wait_for("listening"), server.wait_for("ready")
    assert (listening["pid"], listening["port"]) == (server.pid, server.port)
    assert (ready["backend"], ready["model"]) == ("pytorch", "all-MiniLM-L6-v2")
    assert ready["device"]
    assert ready["revision"].startswith("sha256:")


def test_health_tells_who_and_what(server: ServerProcess) -> None:
    health = server.health()
    assert health["status"] == "healthy"
    assert health["reason"] is None
    assert health["name"] == "local"
    assert health["pid"] == server.pid
    assert health["uptime_seconds"] > 0
    model = health["model"]
    assert model["loaded"] is True
    assert (model["family"], model["architecture"]) == ("bi-encoder", "BertModel")
    assert model["parameters"] > 22_000_000
    controller = health["controller"]
    limits = {
        "max_parallel": 4, "max_queue": 64, "max_queue_tokens": 4_000_000, "batch_size": 32,
        "cache_enabled": False, "cache_limit_bytes": 64 << 20, "dtype": model["dtype"],
    }  # fmt: skip
    used = dict.fromkeys(("active", "waiting", "queued_tokens", "cache_bytes"), 0)
    assert controller.items() >= (limits | used).items()
    assert min(controller["batch_tokens"], controller["threads"]) >= 1


@pytest.mark.parametrize("path", ["/info", "/v1/models", "/openapi.json", "/docs"])
def test_head_answers_without_a_body(client: httpx.Client, path: str) -> None:
    answer = client.head(path)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(client.get(path).content) > 0
    assert answer.content == b""


@pytest.mark.parametrize(
    ("path", "allow"), [("/rerank", "OPTIONS, POST"), ("/health", "GET, HEAD, OPTIONS")]
)
def test_options_names_the_methods(client: httpx.Client, path: str, allow: str) -> None:
    answer = client.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 200), ("application/vnd.api+json", 200),
        ("text/plain", 200), ("application/x-www-form-urlencoded", 200),  # curl -d says so
        ("multipart/form-data; boundary=x", 415), ("Multipart/Mixed", 415),
    ],
)  # fmt: skip
def test_a_body_may_not_say_it_is_json_but_no_form(
    client: httpx.Client, kind: str, status: int
) -> None:
    answer = client.post(
        "/rerank", content=b'{"query":"a","documents":[]}', headers={"Content-Type": kind}
    )
    assert answer.status_code == status
    if status == 415:
        error = error_of(answer)
        assert (error["type"], error["field"]) == ("unsupported_media_type", "Content-Type")


def test_prometheus_text_says_what_the_json_says(client: httpx.Client) -> None:
    client.post("/rerank", json={"query": "q", "documents": ["a"]})
    client.post("/v1/rerank", content=b"{")
    json_view = client.get("/metrics").json()
    answer = client.get("/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(answer.text)
        for s in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return samples[(name, tuple(sorted(labels.items())))]

    def total(name: str, **labels: str) -> float:
        return sum(
            v for (n, found), v in samples.items() if n == name and labels.items() <= set(found)
        )

    assert total("reranker_requests_total") == json_view["total_requests"]
    for status, count in json_view["requests_by_status"].items():
        assert total("reranker_requests_total", status=status) == count
    for reason, count in json_view["rejected_by_reason"].items():
        assert value("reranker_rejected_total", reason=reason) == count
    assert value("reranker_cancelled_total") == json_view["cancelled_requests"]
    assert value("reranker_pairs_total") == json_view["pairs"]
    assert value("reranker_tokens_total", kind="real") == json_view["tokens"]["real"]
    assert value("reranker_tokens_total", kind="padded") == json_view["tokens"]["padded"]
    for name, key in (("request", "latency"), ("queue", "queue_time"),
                      ("tokenize", "tokenize_time"), ("inference", "inference_time")):  # fmt: skip
        histogram = f"reranker_{name}_duration_seconds"
        view = json_view[key]
        assert value(histogram + "_count") == view["count"]
        assert value(histogram + "_sum") == view["sum_seconds"]
        found = {
            float(dict(labels)["le"]): v
            for (n, labels), v in samples.items()
            if n == histogram + "_bucket"
        }
        assert found == {float(bound): count for bound, count in view["buckets"]}
    assert value("reranker_engine_up") == 1
    assert value("reranker_inflight") == 0
    assert total("reranker_build_info", model="all-MiniLM-L6-v2", backend="pytorch") == 1
    assert total("process_resident_memory_bytes") > 50_000_000


def test_openmetrics_parses_too(client: httpx.Client) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in open_families(answer.text)}
    assert families["reranker_requests"].type == "counter"
    assert families["reranker_request_duration_seconds"].type == "histogram"
    assert client.get("/metrics?format=openmetrics").text.endswith("# EOF\n")
    assert client.get("/metrics?format=json", headers={"Accept": "text/plain"}).json()


def test_the_fleet_reads_it(server: ServerProcess) -> None:
    process = server.metrics()["process"]
    assert process["pid"] == server.pid
    assert process["resident_bytes"] > 50_000_000
    assert process["cpu_seconds"] > 0
    assert abs(process["start_time"] - server.health()["started_at"]) < 30
