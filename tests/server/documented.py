"""Whether an answer is one that the server's own OpenAPI document promises."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx
import jsonschema

from tests.server.test_routes import error_of


class Documented:
    """The document of a running server, to hold its answers against."""

    def __init__(self, client: httpx.Client) -> None:
        self._document = client.get("/openapi.json").json()

    @property
    def ranking(self) -> list[str]:
        """The paths that take a body."""
        return [path for path, methods in self._document["paths"].items() if "post" in methods]

    def check(self, method: str, path: str, answer: httpx.Response) -> Any:
        """The JSON of an answer, which must be documented and of its documented shape."""
        responses = self._document["paths"][path][method.lower()]["responses"]
        assert str(answer.status_code) in responses, answer.text
        assert answer.status_code < 500, answer.text
        assert answer.headers["x-request-id"]
        if answer.status_code >= 400:
            return error_of(answer)
        # Neither NaN nor Infinity, which Python would take and nobody else.
        found = json.loads(answer.content, parse_constant=_no_json)
        self._validator(path, method.lower(), str(answer.status_code)).validate(found)
        return found

    @cache  # noqa: B019 - one document lives as long as its tests
    def _validator(self, path: str, method: str, status: str) -> Any:
        response = self._document["paths"][path][method]["responses"][status]
        schema = response["content"]["application/json"]["schema"]
        whole = schema | {"components": self._document["components"]}
        return jsonschema.Draft202012Validator(whole)


def _no_json(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
