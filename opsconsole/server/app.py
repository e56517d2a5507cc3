"""The application: the layers around the routes, and the routes with what is said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp

from opsconsole.server.auth import AuthMiddleware
from opsconsole.server.cors import CorsMiddleware
from opsconsole.server.docs import DocsRoute
from opsconsole.server.exchange import ExchangeMiddleware
from opsconsole.server.health import Health
from opsconsole.server.info import (
    Info,
    InfoRoute,
    Liveness,
    LiveRoute,
    ModelList,
    ModelsRoute,
    NimHealth,
    NimHealthRoute,
    Readiness,
    ReadyRoute,
)
from opsconsole.server.metrics import MetricsView
from opsconsole.server.openapi import Json, OpenApiRoute, Operation, document
from opsconsole.server.ranking import RankRoute
from opsconsole.server.routing import Route, Router
from opsconsole.server.state import HealthRoute, MetricsRoute
from opsconsole.server.wire import (
    CohereV2Dialect,
    Dialect,
    NimDialect,
    RerankDialect,
    ScoreDialect,
)

if TYPE_CHECKING:
    from opsconsole.server.keys import Keys
    from opsconsole.server.limits import RateLimiter
    from opsconsole.server.service import Service

_RANK_ERRORS = (
    "invalid_json", "invalid_request", "text_too_long", "input_too_long", "too_many_documents",
    "body_too_large", "body_timeout", "unsupported_encoding", "unsupported_media_type",
    "engine_error", "loading", "draining", "queue_full", "overloaded", "deadline_unmeetable",
    "out_of_memory", "deadline_exceeded",
)  # fmt: skip
_QUERY = "How many people live in Berlin?"
_TEXTS = ["Berlin has 3.7 million inhabitants.", "Bananas are rich in potassium."]
_FORMAT = {
    "name": "format",
    "in": "query",
    "description": "In place of the header `Accept`.",
    "schema": {"type": "string", "enum": ["json", "prometheus", "openmetrics"]},
}


def create_app(
    service: Service, keys: Keys | None = None, limiter: RateLimiter | None = None
) -> ASGIApp:
    """The ASGI application around a service.

    Args:
        service: What answers.
        keys: Who may ask; ``None``: anybody.
        limiter: How often each of them may; ``None``: as often as they like.
    """
    app: ASGIApp = Router(routes(service, keys=keys is not None, limited=limiter is not None))
    if keys is not None or limiter is not None:
        app = AuthMiddleware(app, keys, limiter)
    if service.settings.cors_origins:
        app = CorsMiddleware(app, service.settings.cors_origins)
    return ExchangeMiddleware(app, service)


def routes(service: Service, *, keys: bool = False, limited: bool = False) -> list[Route]:
    """Everything that answers; the last two only matter to what the OpenAPI document says."""
    found = [*_ranking(service), *_about(service)]

    def made() -> Json:
        return document(found, keys=keys, limited=limited)

    found += [
        Route("GET", "/openapi.json", OpenApiRoute(made), Operation(
            tag="About", summary="This document", answers=(dict[str, Any],))),
        Route("GET", "/docs", DocsRoute(made), Operation(
            tag="About", summary="This document for people", answers=("text/html",))),
    ]  # fmt: skip
    return found


def _ranking(service: Service) -> list[Route]:
    documents = {"query": _QUERY, "documents": _TEXTS, "top_n": 1}
    rerank = {
        "documents": documents,
        "objects": documents | {"documents": [{"text": text, "id": i} for i, text in
                                              enumerate(_TEXTS)], "return_documents": True},
        "texts": {"query": _QUERY, "texts": _TEXTS, "return_text": True},
    }  # fmt: skip
    score = {
        "one against many": {"text_1": _QUERY, "text_2": _TEXTS},
        "pair by pair": {"queries": [_QUERY, "What is yellow?"], "documents": _TEXTS},
    }
    passages = {"query": {"text": _QUERY}, "passages": [{"text": text} for text in _TEXTS]}
    with_documents, without = (RerankDialect(return_documents=b) for b in (True, False))
    says = (
        "A body with `documents` gets Cohere's (v1) and Jina's answer, one with `texts` that of "
        "Text Embeddings Inference: a bare list."
    )
    found: list[tuple[str, Dialect, str, str, dict[str, Any]]] = [
        ("/rerank", with_documents, "Rank documents or texts", says, rerank),
        ("/v1/rerank", without, "Rank documents or texts", says, rerank),
        ("/v2/rerank", CohereV2Dialect(), "Rank documents, Cohere v2",
         "Documents do not come back.", {"documents": documents}),
        ("/reranking", with_documents, "llama.cpp's other name of `/rerank`", says, rerank),
        ("/v1/reranking", without, "llama.cpp's other name of `/v1/rerank`", says, rerank),
        ("/score", ScoreDialect(), "Score pairs of texts, vLLM",
         "Scores come back in the order of the request.", score),
        ("/v1/score", ScoreDialect(), "Score pairs of texts, vLLM",
         "Scores come back in the order of the request.", score),
        ("/v1/ranking", NimDialect(), "Rank passages, NVIDIA NIM",
         "Scores are the model's logits.", {"passages": passages}),
    ]  # fmt: skip
    return [
        Route(
            "POST",
            path,
            RankRoute(path, service, dialect),
            _rank_operation(dialect, summary, description, examples),
        )
        for path, dialect, summary, description, examples in found
    ]


def _rank_operation(
    dialect: Dialect, summary: str, description: str, examples: dict[str, Any]
) -> Operation:
    empty = ((400, "invalid_request"),) if isinstance(dialect, RerankDialect) else ()
    return Operation(
        tag="Ranking",
        summary=summary,
        description=description,
        body=dialect.body,
        examples=examples,
        answers=dialect.answers,
        errors=(*_RANK_ERRORS, *empty),
        ranks=True,
    )


def _about(service: Service) -> list[Route]:
    unready = {503: "Not yet, or not any more."}
    models = Operation(tag="About", summary="The model that is loaded, as OpenAI lists them",
                       answers=(ModelList,), errors=("loading",))  # fmt: skip
    return [
        Route("GET", "/health", HealthRoute(service), Operation(
            tag="State", summary="How the server is", answers=(Health,), others=unready)),
        Route("GET", "/metrics", MetricsRoute(service), Operation(
            tag="State", summary="Counters, as JSON or for Prometheus",
            answers=(MetricsView, "text/plain", "application/openmetrics-text"),
            parameters=(_FORMAT,), errors=((400, "invalid_request"),))),
        Route("GET", "/ready", ReadyRoute(service), Operation(
            tag="State", summary="Whether requests are served now", answers=(Readiness,),
            others=unready)),
        Route("GET", "/live", LiveRoute(), Operation(
            tag="State", summary="Whether the process answers", answers=(Liveness,))),
        Route("GET", "/v1/health/ready", NimHealthRoute(service), Operation(
            tag="State", summary="NIM's `/ready`", answers=(NimHealth,), others=unready)),
        Route("GET", "/v1/health/live", NimHealthRoute(None), Operation(
            tag="State", summary="NIM's `/live`", answers=(NimHealth,))),
        Route("GET", "/v1/models", ModelsRoute(service), models),
        Route("GET", "/models", ModelsRoute(service), models),
        Route("GET", "/info", InfoRoute(service), Operation(
            tag="About", summary="The model and the limits, in TEI's words", answers=(Info,),
            errors=("loading",))),
    ]  # fmt: skip
