"""The OpenAPI document: derived from the routes and from the types that they read and write.

Source: spec.openapis.org/oas/v3.1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from opsconsole import __version__
from opsconsole.server.auth import OPEN_ROUTES
from opsconsole.server.errors import ERROR_TYPES, ErrorAnswer
from opsconsole.server.exchange import respond
from opsconsole.server.routing import Route
from opsconsole.server.wire.computing import Computing
from opsconsole.server.wire.reading import any_case

Json = dict[str, Any]

_JSON = "application/json"
_DESCRIPTION = """\
A reranker service that speaks the languages of Cohere, Jina, Text Embeddings Inference, vLLM,
Infinity, llama.cpp and NVIDIA NIM: their clients work unchanged.

Every answer carries `X-Request-ID`: the client's own, when it sent one. Integers are written
without a fraction: `3`, not `3.0`. Fields that are not known here are passed over.

## Errors

Every error is JSON of one shape, `{"error": {"type", "message", "field"}, "request_id"}`; these are
its types:

| type | status | meaning |
|---|---|---|
"""
_ANYWHERE = ("not_found", "method_not_allowed", "invalid_http", "header_timeout",
             "headers_too_large", "too_many_connections", "internal_error")  # fmt: skip
"""Errors that any request can meet."""
_KEYED = ("unauthorized", "forbidden")
"""Errors of routes that need a key, when keys are set."""
_SECURITY: list[Json] = [{"bearer": []}, {"header": []}]
_TIMINGS = {
    "x-total-time": "Milliseconds from the first byte to the answer.",
    "x-queue-time": "Milliseconds of waiting.",
    "x-tokenization-time": "Milliseconds of tokenising.",
    "x-inference-time": "Milliseconds in the model.",
    "x-compute-time": "Milliseconds of computing: tokenising and the model.",
    "x-compute-tokens": "Tokens computed.",
    "x-compute-characters": "Characters of the query and the documents.",
    "x-compute-type": "`cpu` or `gpu`, with `+optimized` for a reduced precision.",
}
_DURATION = r"^(?=.*[1-9])([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12}) ?([mM]?[sS]|[mM])?$"
_REQUEST_HEADERS: tuple[tuple[str, str, Json], ...] = (
    ("X-Request-ID", "1 to 128 printable characters, given back on the answer and in the log.", {}),
    ("X-Request-Timeout", "Seconds after which nobody wants the answer: `2.5`, `500ms`, `2s`, "
     "`1m`.", {"pattern": _DURATION, "examples": ["2s"]}),
    ("X-Request-Priority", "Share of the device beside other requests: `high`, `normal` or `low`.",
     {"pattern": any_case("high", "normal", "low"), "examples": ["low"]}),
)  # fmt: skip


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What the document says about a route.

    Attributes:
        answers: The types of which a 200 is one; a media type for an answer that is no JSON.
        others: Further statuses with an answer of the same types, and what they mean.
        errors: Types of errors that this route can answer, or (status, type) where the status is
            not the type's usual one.
        ranks: It takes the headers of requests that rank, and gives back timings.
    """

    tag: str
    summary: str
    description: str = ""
    body: Any = None
    examples: dict[str, Any] = {}
    answers: tuple[Any, ...] = ()
    others: dict[int, str] = {}
    errors: tuple[str | tuple[int, str], ...] = ()
    parameters: tuple[Json, ...] = ()
    ranks: bool = False


def document(routes: Sequence[Route], *, keys: bool, limited: bool) -> Json:
    """The OpenAPI 3.1 document of an application with these routes.

    Args:
        routes: All of them.
        keys: Whether requests need a key.
        limited: Whether there is a limit to how often a client may ask.
    """
    types = [ErrorAnswer, *_types(routes)]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema_of = {id(type): schema for type, schema in zip(types, schemas, strict=True)}
    common = set(Computing.__struct_fields__)
    for schema in components.values():
        if "description" in schema:  # a docstring
            schema["description"] = " ".join(schema["description"].replace("``", "`").split())
        fields = schema.get("properties", {})
        if common <= fields.keys():  # what tells a body from others comes first
            schema["properties"] = dict(sorted(fields.items(), key=lambda one: one[0] in common))
    components["ErrorBody"]["properties"]["type"]["enum"] = list(ERROR_TYPES)

    def look_up(type: Any) -> Json:
        return schema_of[id(type)]

    paths: dict[str, Json] = {}
    for route in routes:
        further: tuple[str, ...] = ("rate_limited",) if limited and route.method == "POST" else ()
        keyed = keys and route.path not in OPEN_ROUTES
        operation = _operation(route, look_up, (*further, *(_KEYED if keyed else ())))
        operation["security"] = _SECURITY if keyed else []
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    table = "\n".join(f"| `{t}` | {status} | {says} |" for t, (status, says) in ERROR_TYPES.items())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opsconsole reranker",
            "version": __version__,
            "description": f"{_DESCRIPTION}{table}\n",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(r.operation.tag for r in routes)],
        "paths": paths,
        "components": {
            "schemas": components,
            "examples": {type: _example(type) for type in ERROR_TYPES},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`Authorization: Bearer KEY`, when the server has keys.",
                },
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _types(routes: Iterable[Route]) -> list[Any]:
    found: dict[int, Any] = {}
    for route in routes:
        for type in (route.operation.body, *route.operation.answers):
            if type is not None and not isinstance(type, str):
                found[id(type)] = type
    return list(found.values())


def _operation(route: Route, look_up: Callable[[Any], Json], further: tuple[str, ...]) -> Json:
    about = route.operation
    name = route.path.strip("/").replace("/", "_").replace(".", "_").replace("-", "_")
    found: Json = {
        "operationId": f"{route.method.lower()}_{name}",
        "tags": [about.tag],
        "summary": about.summary,
        "parameters": [*about.parameters],
        "responses": _responses(about, look_up, further),
    }
    if about.description:
        found["description"] = about.description
    if about.ranks:
        found["parameters"] += [
            {"name": name, "in": "header", "description": says, "schema": {"type": "string"} | more}
            for name, says, more in _REQUEST_HEADERS
        ]
    if about.body is not None:
        content: Json = {"schema": look_up(about.body)}
        if about.examples:
            content["examples"] = {name: {"value": v} for name, v in about.examples.items()}
        found["requestBody"] = {"required": True, "content": {_JSON: content}}
    return found


def _responses(about: Operation, look_up: Callable[[Any], Json], further: tuple[str, ...]) -> Json:
    schemas = [look_up(type) for type in about.answers if not isinstance(type, str)]
    content: Json = {
        type: {"schema": {"type": "string"}} for type in about.answers if isinstance(type, str)
    }
    if schemas:
        schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
        content = {_JSON: {"schema": schema}, **content}
    headers = {"x-request-id": _header("The request's id.")}
    ok = dict(headers)
    if about.ranks:
        ok |= {name: _header(says) for name, says in _TIMINGS.items()}
    responses: Json = {"200": {"description": "The answer.", "headers": ok, "content": content}}
    for status, says in about.others.items():
        responses[str(status)] = {"description": says, "headers": headers, "content": content}
    by_status: dict[int, list[str]] = {}
    for error in (*about.errors, *further, *_ANYWHERE):
        status, type = (ERROR_TYPES[error][0], error) if isinstance(error, str) else error
        by_status.setdefault(status, []).append(type)
    for status, names in sorted(by_status.items()):
        says = " ".join(f"`{name}`: {ERROR_TYPES[name][1]}" for name in names)
        if str(status) in responses:
            schema = {"anyOf": [*schemas, look_up(ErrorAnswer)]}
            responses[str(status)]["description"] += f" Or {says}"
            responses[str(status)]["content"] = {_JSON: {"schema": schema}}
            continue
        responses[str(status)] = {
            "description": says,
            "headers": headers
            | ({"retry-after": _header("Seconds.")} if status in (429, 503) else {}),
            "content": {
                _JSON: {
                    "schema": look_up(ErrorAnswer),
                    "examples": {n: {"$ref": f"#/components/examples/{n}"} for n in names},
                }
            },
        }
    return responses


def _header(description: str) -> Json:
    return {"description": description, "schema": {"type": "string"}}


def _example(type: str) -> Json:
    message = ERROR_TYPES[type][1]
    return {
        "value": {
            "error": {"type": type, "message": message, "field": None},
            "request_id": "4f1c0b7e9d2a4c55b1f0a6d3e8c7b921",
        }
    }


class OpenApiRoute:
    """``GET /openapi.json``."""

    def __init__(self, made: Callable[[], Json]) -> None:
        self._made = made
        self._body: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._body is None:  # a few milliseconds that a start need not spend
            self._body = msgspec.json.encode(self._made())
        await respond(send, 200, self._body)
