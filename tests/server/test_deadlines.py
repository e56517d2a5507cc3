"""``x-request-timeout``, the token bound and TEI's timing headers, at a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.process import ServerProcess, until
from tests.server.test_queue import Blocker
from tests.server.test_routes import error_of

LARGE: dict[str, Any] = {"query": "q", "documents": [f"{i} word" * 100 for i in range(2000)]}
MEDIUM: dict[str, Any] = {"query": "q", "documents": LARGE["documents"][:40]}
SMALL: dict[str, Any] = {"query": "q", "documents": ["a"]}
TIMINGS = {
    "x-queue-time", "x-tokenization-time", "x-inference-time", "x-total-time", "x-compute-time",
    "x-compute-tokens", "x-compute-characters",
}  # fmt: skip


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One runs; what the device can do is not known before its first request."""
    env = {
        "MAX_PARALLEL_REQUESTS": "1",
        "MAX_QUEUE_TOKENS": "20000",
        "OPSCONSOLE_WARMUP": "false",
        "ENABLE_PREDICTION_CACHE": "true",
    }
    with ServerProcess(env, folder=tmp_path_factory.mktemp("narrow")) as server:
        yield server


def within(server: ServerProcess, timeout: str, body: dict[str, Any]) -> httpx.Response:
    return server.post("/v1/rerank", json=body, headers={"X-Request-Timeout": timeout})


def test_a_deadline_is_kept_and_once_the_rate_is_known_refused_early(
    narrow: ServerProcess,
) -> None:
    # A small one says nothing about what it can do with a large one.
    assert within(narrow, "1m", SMALL).status_code == 200
    missed = within(narrow, "400ms", LARGE)
    assert missed.status_code == 504
    assert error_of(missed)["type"] == "deadline_exceeded"
    # From here on the rate may be known: some of its batches may have been computed.
    until(lambda: narrow.health()["controller"]["active"] == 0, "its place to be free")
    assert within(narrow, "1m", MEDIUM).status_code == 200

    def refused() -> httpx.Response | None:
        answer = within(narrow, "0.4", LARGE)
        return answer if answer.status_code == 503 else None

    early = until(refused, "the rate to be noticed")
    assert error_of(early)["type"] == "deadline_unmeetable"
    assert "tokens ahead" in error_of(early)["message"]
    assert "retry-after" not in early.headers  # it never fits into so little
    metrics = narrow.metrics()
    assert metrics["expired_requests"] >= 1
    assert metrics["rejected_by_reason"]["deadline_unmeetable"] >= 1
    assert metrics["failed_requests"] == 0
    assert within(narrow, "1m", SMALL).status_code == 200
    assert narrow.health()["status"] == "healthy"


def test_who_is_early_behind_much_work_is_told_when_to_come_again(strict: ServerProcess) -> None:
    assert strict.post("/v1/rerank", json=MEDIUM).status_code == 200  # now the rate is known
    with Blocker(strict):
        behind = within(strict, "500ms", SMALL)
        assert error_of(behind)["type"] == "deadline_unmeetable"
        assert 1 <= int(behind.headers["retry-after"]) <= 60


def test_the_tokens_that_wait_are_bounded(narrow: ServerProcess) -> None:
    with Blocker(narrow):  # far over the bound, but alone
        refused = narrow.post("/rerank", json=SMALL)
        assert refused.status_code == 503
        assert error_of(refused)["type"] == "overloaded"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert narrow.health()["controller"]["queued_tokens"] > 20_000
    until(lambda: narrow.health()["controller"]["queued_tokens"] == 0, "it to leave")
    assert narrow.post("/rerank", json=SMALL).status_code == 200


def test_what_the_cache_knows_needs_no_time(narrow: ServerProcess) -> None:
    body = {"query": "q", "documents": [f"{i} thing" * 80 for i in range(60)]}
    first = within(narrow, "2m", body)
    assert first.status_code == 200
    # By its tokens it would take as long again.
    again = within(narrow, f"{int(first.headers['x-inference-time']) // 2}ms", body)
    assert again.status_code == 200, again.text
    assert again.json()["results"] == first.json()["results"]
    assert again.headers["x-inference-time"] == "0"
    assert narrow.metrics()["cache"]["hits"] >= 60


def test_scored_answers_say_where_the_time_went(server: ServerProcess) -> None:
    for path in ("/rerank", "/v1/rerank"):
        answer = server.post(path, json={"query": "zebra", "documents": ["one", "two words"]})
        assert answer.status_code == 200
        times = {name: int(answer.headers[name]) for name in TIMINGS}
        assert times["x-total-time"] == times["x-compute-time"] >= times["x-inference-time"]
        assert times["x-compute-characters"] == len("zebra") + len("onetwo words")
        assert times["x-compute-tokens"] > 0
        assert answer.headers["x-compute-type"] in ("cpu", "cpu+optimized", "gpu")
        assert answer.headers["x-request-id"]
    nothing = server.post("/v1/rerank", json={"query": "q", "documents": []})
    assert (nothing.status_code, nothing.headers["x-compute-tokens"]) == (200, "0")
    for other in (server.post("/rerank", json={}), server.get("/health")):
        assert not TIMINGS & other.headers.keys()


@pytest.mark.parametrize("name", ["X-Request-Timeout", "X-Request-Priority"])
def test_headers_that_say_nothing_are_refused(server: ServerProcess, name: str) -> None:
    answer = server.post("/v1/rerank", json=SMALL, headers={name: "soon"})
    assert answer.status_code == 422
    assert error_of(answer)["field"] == name.lower()


def test_a_text_that_must_not_be_cut_is_refused_by_its_place(server: ServerProcess) -> None:
    body = {"query": "q", "documents": ["short", "long " * 5000], "truncate": False}
    answer = server.post("/v1/rerank", json=body)
    assert answer.status_code == 422
    assert error_of(answer)["type"] == "input_too_long"
    assert error_of(answer)["field"] == "documents[1]"
    assert server.health()["engine"]["consecutive_failures"] == 0


def test_the_log_tells_where_the_time_went(server: ServerProcess) -> None:
    answer = server.post("/v1/rerank", json=SMALL, headers={"X-Request-ID": "a-timed-one"})
    assert answer.status_code == 200

    def find() -> dict[str, Any] | None:
        lines = [line for line in server.lines() if line.get("request_id") == "a-timed-one"]
        return lines[0] if lines else None

    line = until(find, "its line")
    for name in ("duration_ms", "queue_ms", "tokenize_ms", "inference_ms"):
        assert 0 <= line[name] <= line["duration_ms"]
    assert (line["documents"], line["status"]) == (1, 200)
