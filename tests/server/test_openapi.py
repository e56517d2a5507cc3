"""The OpenAPI document is a valid one, and says what the code does."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest

import opsconsole.server
from opsconsole.server.app import routes
from opsconsole.server.docs import page
from opsconsole.server.errors import ERROR_TYPES, RequestError
from opsconsole.server.logs import JsonLog
from opsconsole.server.openapi import document
from opsconsole.server.routing import Route
from opsconsole.server.service import Service
from opsconsole.server.settings import ServerSettings
from opsconsole.server.wire import Limits
from tests.server.process import ServerProcess

LIMITS = Limits(100, 1000)


@pytest.fixture(scope="module")
def all_routes() -> list[Route]:
    return routes(Service(ServerSettings(), JsonLog()))


@pytest.fixture(scope="module")
def made(all_routes: list[Route]) -> dict[str, Any]:
    """The document as a client gets it."""
    return json.loads(msgspec.json.encode(document(all_routes, keys=False, limited=False)))  # type: ignore[no-any-return]


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for inner in value.values() for ref in references(inner)]
    if isinstance(value, list):
        return [ref for inner in value for ref in references(inner)]
    return []


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema | {"components": document["components"]})


def test_every_route_is_in_it_and_nothing_else(
    made: dict[str, Any], all_routes: list[Route]
) -> None:
    documented = {(method.upper(), path) for method, path, _ in operations(made)}
    assert documented == {(route.method, route.path) for route in all_routes}
    assert len(all_routes) == len(documented)
    assert {"/rerank", "/v1/rerank", "/v2/rerank", "/score", "/v1/score", "/v1/ranking", "/info",
            "/v1/models", "/ready", "/live", "/health", "/metrics", "/openapi.json",
            "/docs"} <= set(made["paths"])  # fmt: skip


def test_it_has_the_shape_of_openapi_3_1(made: dict[str, Any]) -> None:
    assert made["openapi"] == "3.1.0"
    assert set(made) == {"openapi", "info", "servers", "tags", "paths", "components"}
    assert made["info"]["title"]
    assert made["info"]["version"]
    for reference in references(made):
        kind, name = re.fullmatch(r"#/components/(\w+)/([\w.-]+)", reference).groups()  # type: ignore[union-attr]
        assert name in made["components"][kind]
    for schema in made["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert "\n" not in schema.get("description", "")
    ids = [operation["operationId"] for _, _, operation in operations(made)]
    assert len(set(ids)) == len(ids)
    for method, _, operation in operations(made):
        assert operation["summary"]
        assert ("requestBody" in operation) == (method == "post")
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[2-5]\d\d", status)
            assert response["description"]
            for content in response["content"].values():
                jsonschema.Draft202012Validator.check_schema(content["schema"])
        for parameter in operation["parameters"]:
            assert parameter["in"] in ("header", "query")
            assert parameter["schema"]


def test_its_examples_are_what_it_says_and_what_the_dialects_read(
    made: dict[str, Any], all_routes: list[Route]
) -> None:
    seen = 0
    dialects = {route.path: route.endpoint for route in all_routes if route.method == "POST"}
    for _, path, operation in operations(made):
        body = operation.get("requestBody", {"content": {"application/json": {"examples": {}}}})
        content = body["content"]["application/json"]
        for example in content["examples"].values():
            validator(made, content["schema"]).validate(example["value"])
            dialect = dialects[path].dialect  # type: ignore[attr-defined]
            assert dialect.read(json.dumps(example["value"]).encode(), LIMITS).requests
            seen += 1
    assert seen >= len(dialects)


@pytest.mark.parametrize(
    ("path", "body", "allowed"),
    [
        ("/rerank", {}, False),
        ("/rerank", {"documents": None}, False),
        ("/rerank", {"documents": None, "texts": None}, False),
        ("/rerank", {"documents": ["a"], "texts": ["a"]}, False),
        ("/rerank", {"documents": [{}]}, False),
        ("/rerank", {"documents": [{"title": "a"}]}, False),
        ("/rerank", {"documents": [{"title": "a"}], "rank_fields": []}, False),
        ("/rerank", {"documents": [{}], "rank_fields": ["title"]}, False),
        ("/rerank", {"texts": []}, False),
        ("/rerank", {"query": " ", "documents": ["a"]}, False),
        ("/rerank", {"documents": ["a"], "truncation_side": ""}, False),
        ("/rerank", {"documents": ["a"], "truncation_direction": "lefty"}, False),
        ("/rerank", {"documents": ["a"], "truncate": "ends"}, False),
        ("/rerank", {"documents": ["a"], "truncate": "eNd", "truncation_side": "LEFT"}, True),
        ("/rerank", {"documents": [], "texts": None, "rank_fields": None}, True),
        ("/rerank", {"documents": ["a", {"title": "a"}], "rank_fields": ["title"]}, True),
        ("/rerank", {"documents": None, "texts": ["a"]}, True),
        ("/v2/rerank", {"documents": [{}]}, False),
        ("/v2/rerank", {"documents": None}, False),
        ("/v2/rerank", {"documents": [{"text": "a", "id": 1}, "b"]}, True),
        ("/score", {"text_1": "q"}, False),
        ("/score", {"text_1": "q", "text_2": None}, False),
        ("/score", {"text_1": "q", "text_2": []}, False),
        ("/score", {"text_1": "q", "documents": "a"}, False),
        ("/score", {"text_1": " ", "data_1": "q", "data_2": "a"}, False),
        ("/score", {"text_1": None, "data_1": ["q"], "data_2": "a"}, True),
        ("/v1/ranking", {"query": {"text": ""}, "passages": []}, False),
        ("/v1/ranking", {"query": {"text": "q"}, "passages": [{"text": ""}]}, True),
    ],
)
def test_it_allows_what_the_dialects_read_and_nothing_else(
    made: dict[str, Any], all_routes: list[Route], path: str, body: dict[str, Any], allowed: bool
) -> None:
    whole = {"query": "q"} | body
    content = made["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert validator(made, content["schema"]).is_valid(whole) is allowed
    (endpoint,) = (route.endpoint for route in all_routes if route.path == path)
    if allowed:
        assert endpoint.dialect.read(json.dumps(whole).encode(), LIMITS).requests  # type: ignore[attr-defined]
    else:
        with pytest.raises(RequestError):
            endpoint.dialect.read(json.dumps(whole).encode(), LIMITS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("format", ["", "xml", "JSON"])
def test_metrics_come_in_the_documented_formats_alone(client: httpx.Client, format: str) -> None:
    answer = client.get("/metrics", params={"format": format})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "format")


def raised() -> set[tuple[int, str, str]]:
    """(status, type, where) of every RequestError that the code makes with constants."""
    found = set()
    for file in Path(opsconsole.server.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            if getattr(node.func, "id", None) != "RequestError":
                continue
            status, kind = node.args[:2]
            if isinstance(status, ast.Constant) and isinstance(kind, ast.Constant):
                found.add((status.value, kind.value, f"{file.name}:{node.lineno}"))
    return found


def test_every_error_that_the_code_raises_is_documented_with_its_status(
    made: dict[str, Any],
) -> None:
    answered: dict[str, set[int]] = {}
    for _, _, operation in operations(document_with_keys()):
        for status, response in operation["responses"].items():
            for kind in re.findall(r"`(\w+)`: ", response["description"]):
                answered.setdefault(kind, set()).add(int(status))
    schema = made["components"]["schemas"]["ErrorBody"]
    assert schema["properties"]["type"]["enum"] == list(ERROR_TYPES)
    found = raised()
    assert len(found) > 15
    for status, kind, where in found:
        assert status in answered.get(kind, ()), where
        assert f"| `{kind}` |" in made["info"]["description"], where
    assert set(ERROR_TYPES) == set(answered), "an error type that no route can answer"


def document_with_keys() -> dict[str, Any]:
    service = Service(ServerSettings(), JsonLog())
    return document(routes(service), keys=True, limited=True)


def test_with_keys_every_route_but_live_and_ready_needs_one(made: dict[str, Any]) -> None:
    assert all(operation["security"] == [] for _, _, operation in operations(made))
    for method, path, operation in operations(document_with_keys()):
        closed = path.rpartition("/")[2] not in ("live", "ready")
        assert operation["security"] == ([{"bearer": []}, {"header": []}] if closed else [])
        assert ("401" in operation["responses"]) is closed
        assert ("429" in operation["responses"]) is (method == "post")


class _Page(HTMLParser):
    """What a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_for_people_is_whole_and_loads_nothing(made: dict[str, Any]) -> None:
    text = page(made)
    parsed = _Page(text)
    assert parsed.open == []
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "img", "iframe", "object"}
    assert "http" not in "".join(a.get("href") or "" for _, a in parsed.tags)
    ids = {a["id"] for _, a in parsed.tags if "id" in a}
    links = [a["href"] for tag, a in parsed.tags if tag == "a"]
    assert {f"#{i}" for i in ids} == {link for link in links if link != "openapi.json"}
    for method, path, _ in operations(made):
        assert f"{method.upper()}</span> <code>{path}</code></h3>" in text
    for error in ERROR_TYPES:
        assert f"<td><code>{error}</code></td>" in text
    assert text.count("curl http://127.0.0.1:8000/") >= len(operations(made))


def test_foreign_text_is_no_markup_on_the_page(made: dict[str, Any]) -> None:
    operation = made["paths"]["/rerank"]["post"] | {"summary": "<script>x</script> `a<b`"}
    text = page(made | {"paths": {"/rerank": {"post": operation}}})
    assert "<script>" not in text
    assert "<code>a&lt;b</code>" in text


def test_the_page_asks_where_it_was_found(client: httpx.Client, server: ServerProcess) -> None:
    for host, origin in (
        ("rerank.example:8443", "http://rerank.example:8443"),
        ("[::1]:80", "http://[::1]:80"),
        ("a';rm -rf /", "http://127.0.0.1:8000"),
        ("<b>", "http://127.0.0.1:8000"),
    ):
        answer = client.get("/docs", headers={"host": host})
        assert f"<pre>curl {origin}/info</pre>" in answer.text
        assert answer.headers["vary"] == "host"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_what_is_pasted_from_the_page_works(client: httpx.Client, server: ServerProcess) -> None:
    commands = [unescape(one) for one in re.findall("<pre>(.*?)</pre>", client.get("/docs").text,
                                                    re.DOTALL)]  # fmt: skip
    assert len(commands) > 20
    script = 'curl() { command curl --fail --silent --show-error --output /dev/null "$@"; }\n'
    done = subprocess.run(
        ["sh", "-e", "-c", script + "\n".join(commands)],
        env={"PATH": os.environ["PATH"], "NO_PROXY": "*"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
