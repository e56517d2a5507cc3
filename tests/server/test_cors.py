"""What browsers are told, and pages of which origins."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.server.process import ServerProcess, run_to_end

KEY = "page-key-0123456789"
PAGE = "https://app.example.com"
DEV = "http://localhost:5173"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture(scope="module")
def listed() -> Iterator[ServerProcess]:
    env = {"CORS_ORIGINS": f"{PAGE}, {DEV}", "API_KEYS": KEY, "RATE_LIMIT": "1/h"}
    with ServerProcess(env, wait="listening") as server:
        yield server


def told(answer: httpx.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


def preflight(server: ServerProcess, origin: str, path: str = "/v1/rerank") -> httpx.Response:
    headers = {"Origin": origin, **ASKS}
    return httpx.options(server.url + path, headers=headers, trust_env=False, verify=False)


@pytest.mark.parametrize("origin", [PAGE, DEV])
def test_a_preflight_needs_no_key(listed: ServerProcess, origin: str) -> None:
    answer = preflight(listed, origin)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "x-request-id", "x-request-timeout",
            "x-request-priority", "x-api-key"} <= set(allowed)  # fmt: skip
    assert int(answer.headers["access-control-max-age"]) > 0
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", f"{PAGE}.evil.com", "http://app.example.com", f"{PAGE}:444",
     "null", "*", ""],
)  # fmt: skip
def test_other_origins_are_told_nothing(listed: ServerProcess, origin: str) -> None:
    answer = preflight(listed, origin)
    assert (answer.status_code, told(answer)) == (401, set())
    answer = listed.get("/live", headers={"Origin": origin})
    assert (answer.status_code, told(answer)) == (200, set())
    assert answer.headers["vary"] == "origin"  # or a cache gives it to the page that may read it


def test_errors_can_be_read_too(listed: ServerProcess) -> None:
    page, key = {"Origin": PAGE}, {"Authorization": f"Bearer {KEY}"}
    bodies = [
        listed.get("/health", headers=page),
        listed.get("/nowhere", headers=page | key),
        listed.get("/rerank", headers=page | key),
        listed.post("/nowhere", headers=page | key, content=b"{}"),
        listed.post("/rerank", headers=page | key, content=b"{}"),
    ]
    assert [answer.status_code for answer in bodies] == [401, 404, 405, 404, 429]
    for answer in bodies:
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"x-request-id", "x-inference-time", "x-total-time", "retry-after"} <= set(exposed)
        assert answer.headers["vary"] == "origin"


def test_options_that_are_no_preflight_need_a_key(listed: ServerProcess) -> None:
    headers = {"Origin": PAGE}
    answer = httpx.options(listed.url + "/rerank", headers=headers, trust_env=False, verify=False)
    assert answer.status_code == 401


def test_any_origin_but_never_with_credentials() -> None:
    with ServerProcess({"CORS_ORIGINS": "*"}, wait="listening") as server:
        answer = preflight(server, "https://whoever.example")
        assert answer.headers["access-control-allow-origin"] == "*"
        answer = server.get("/live", headers={"Origin": "null"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert told(server.get("/live")) == set()


def test_without_origins_nothing_is_said() -> None:
    with ServerProcess(wait="listening") as server:
        answer = server.get("/live", headers={"Origin": PAGE})
        assert told(answer) == set()
        assert "vary" not in answer.headers


@pytest.mark.parametrize("origins", ["app.example.com", f"{PAGE}/", f"{PAGE},x", "https://*?"])
def test_what_no_browser_sends_is_refused(origins: str) -> None:
    code, (line,) = run_to_end({"CORS_ORIGINS": origins})
    assert code == 78
    assert line["message"].startswith("environment: CORS_ORIGINS is ")
    assert "origins such as https://app.example.com" in line["message"]
