"""What other servers' clients ask about a server: its models, its limits, whether it is ready."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from opsconsole import __version__
from opsconsole.server.errors import RequestError
from opsconsole.server.exchange import respond
from opsconsole.server.health import Status
from opsconsole.server.state import headers_of

if TYPE_CHECKING:
    from opsconsole.engine.records import ModelInfo
    from opsconsole.server.service import Service


class Model(msgspec.Struct, frozen=True):
    """OpenAI's fields of a model, and vLLM's beside them."""

    id: str
    object: str
    created: Annotated[int, Meta(description="Unix time in seconds at which the server started.")]
    owned_by: str
    root: str
    max_model_len: Annotated[int, Meta(description="Most tokens of a query and a document.")]


class ModelList(msgspec.Struct, frozen=True):
    """OpenAI's list of models: the one that is loaded."""

    object: str
    data: list[Model]


class Labels(msgspec.Struct, frozen=True):
    id2label: dict[str, str]
    label2id: dict[str, int]


class ModelType(msgspec.Struct, frozen=True):
    reranker: Labels


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of TEI's ``/info``.

    Source: router/src/lib.rs of huggingface/text-embeddings-inference 1.9.
    """

    model_id: str
    model_sha: str
    model_dtype: str
    served_model_name: str
    model_type: ModelType
    max_concurrent_requests: Annotated[int, Meta(description="Requests that run or wait.")]
    max_input_length: Annotated[int, Meta(description="Most tokens of a query and a document.")]
    max_batch_tokens: int
    max_batch_requests: Annotated[int, Meta(description="Most pairs in a batch.")]
    max_client_batch_size: Annotated[int, Meta(description="Most documents of a request.")]
    auto_truncate: bool = True
    tokenization_workers: int
    version: str = __version__
    sha: None = None
    docker_label: None = None


class Readiness(msgspec.Struct, frozen=True, omit_defaults=True):
    """Without a key anybody may ask: only this machine is told more than the status."""

    status: Status
    reason: str | None = None
    pid: int | None = None


class Liveness(msgspec.Struct, frozen=True):
    status: Literal["live"] = "live"


class NimHealth(msgspec.Struct, frozen=True):
    """NIM's answer to whether it is ready or live."""

    object: str
    message: str
    status: str


class ModelsRoute:
    """``GET /v1/models``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        info = loaded(self._service)
        created = int(self._service.health().started_at)
        model = Model(info.name, "model", created, "opsconsole", info.name, info.max_length)
        await respond(send, 200, msgspec.json.encode(ModelList("list", [model])))


class InfoRoute:
    """``GET /info``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, msgspec.json.encode(info_of(self._service)))


class ReadyRoute:
    """``GET /ready``: 503 while requests would be refused for the server's own sake."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        health = self._service.health()
        ready = Readiness(health.status)
        if _is_near(scope):
            ready = Readiness(health.status, health.reason, health.pid)
        body = msgspec.json.encode(ready)
        await respond(send, health.http_status, body, headers=headers_of(health.http_status))


class LiveRoute:
    """``GET /live``: the event loop turns, whatever the model does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, msgspec.json.encode(Liveness()), headers=headers_of(200))


class NimHealthRoute:
    """``GET /v1/health/ready`` and ``/v1/health/live``, as NIM has them."""

    def __init__(self, service: Service | None) -> None:
        self._service = service
        """``None``: answers whether it is live."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, word, says = 200, "live", "live"
        if self._service is not None:
            health = self._service.health()
            status = health.http_status
            word = "ready" if status == 200 else "not_ready"
            says = "ready" if status == 200 else health.status
        answer = NimHealth("health.response", f"Service is {says}.", word)
        await respond(send, status, msgspec.json.encode(answer), headers=headers_of(status))


def _is_near(scope: Scope) -> bool:
    """Whether the other end of the connection is on this machine, as the keeper is."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def loaded(service: Service) -> ModelInfo:
    """The model's facts.

    Raises:
        RequestError: 503, there is no model yet.
    """
    if service.engine is None:
        raise RequestError(503, "loading", "the model is still being loaded", retry_after=2)
    return service.engine.info


def info_of(service: Service) -> Info:
    """What ``/info`` says; TEI's names mean here what their descriptions say.

    Raises:
        RequestError: 503, there is no model yet.
    """
    info, settings = loaded(service), service.settings
    return Info(
        model_id=info.name,
        model_sha=info.revision,
        model_dtype=info.dtype,
        served_model_name=info.name,
        model_type=ModelType(Labels({"0": "LABEL_0"}, {"LABEL_0": 0})),
        max_concurrent_requests=settings.max_parallel + settings.max_queue,
        max_input_length=info.max_length,
        max_batch_tokens=info.tuning.batch_tokens,
        max_batch_requests=info.tuning.batch_size,
        max_client_batch_size=settings.max_documents,
        tokenization_workers=tokenizer_threads(),
    )


def tokenizer_threads() -> int:
    """Threads of the engine's tokenising pool, which it does not tell; a test holds them equal."""
    return min(4, max(2, (os.cpu_count() or 1) - 1))
