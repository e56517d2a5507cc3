"""From a method and a path to what answers there: one look-up, whatever the number of routes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from opsconsole.server.errors import RequestError

if TYPE_CHECKING:
    from opsconsole.server.openapi import Operation

_MOST_OF_A_PATH = 200
"""Characters of a path that an answer repeats."""


class Route(NamedTuple):
    """One operation: where, what answers, and what the OpenAPI document says about it."""

    method: Literal["GET", "POST"]
    path: str
    endpoint: ASGIApp
    operation: Operation


class Router:
    """The ASGI application that asks the endpoint of a request's path and method.

    ``HEAD`` is answered wherever ``GET`` is (the server leaves the body away), ``OPTIONS``
    everywhere. A path with a slash at its end is another path.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._endpoints: dict[str, dict[str, ASGIApp]] = {}
        for route in routes:
            methods = self._endpoints.setdefault(route.path, {})
            methods[route.method] = route.endpoint
            if route.method == "GET":
                methods["HEAD"] = route.endpoint
        self._allow = {p: ", ".join(sorted([*m, "OPTIONS"])) for p, m in self._endpoints.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        methods = self._endpoints.get(path)
        if methods is None:
            raise RequestError(404, "not_found", f"there is no {path[:_MOST_OF_A_PATH]} here")
        endpoint = methods.get(method)
        if endpoint is not None:
            await endpoint(scope, receive, send)
            return
        allow = (b"allow", self._allow[path].encode())
        if method == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": [allow]})
            await send({"type": "http.response.body"})
            return
        raise RequestError(
            405,
            "method_not_allowed",
            f"{path} does not take {method}, but {self._allow[path]}",
            headers=(allow,),
        )
