"""The routes that rank: from a body in some dialect to its answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from starlette.types import Receive, Scope, Send

from opsconsole.server import asking
from opsconsole.server.body import header, read_body, while_connected
from opsconsole.server.errors import RequestError
from opsconsole.server.exchange import KEY, respond
from opsconsole.server.wire import Asked, Dialect, Limits, Ranking

if TYPE_CHECKING:
    from opsconsole.server.exchange import Exchange
    from opsconsole.server.service import Service

_DOCUMENT = re.compile(r"documents\[([0-9]+)\]")


class RankRoute:
    """A route that ranks, in one dialect."""

    def __init__(self, path: str, service: Service, dialect: Dialect) -> None:
        self._path = path
        self._service = service
        self.dialect = dialect
        settings = service.settings
        self._limits = Limits(settings.max_documents, settings.max_characters)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[KEY]
        exchange.endpoint = self._path
        settings = self._service.settings
        self._service.check_open(exchange.client)
        terms = asking.read(scope, settings)
        _check_media_type(scope)
        body = await read_body(
            scope, receive, limit=settings.max_body_bytes, timeout=settings.body_timeout
        )
        asked = self.dialect.read(body, self._limits)
        del body  # tens of megabytes would else wait beside their own copies
        async with while_connected(receive):
            rankings = await self._rank(asked, terms, exchange)
        await respond(send, 200, asked.answer(rankings))

    async def _rank(self, asked: Asked, terms: asking.Terms, exchange: Exchange) -> list[Ranking]:
        """The rankings of all requests of one body, one after the other: it holds one place."""
        rankings: list[Ranking] = []
        for i, request in enumerate(asked.requests):
            request = msgspec.structs.replace(request, options=terms.of(request.options))
            try:
                rankings.append(await self._service.rank(request, exchange))
            except RequestError as error:
                raise _in_words_of(asked, i, error) from None
        return rankings


def _in_words_of(asked: Asked, request: int, error: RequestError) -> RequestError:
    """The service speaks of ``documents[3]``; the client may call it ``passages[3].text``."""
    if error.field is None:
        return error
    found = _DOCUMENT.fullmatch(error.field)
    if not found and error.field != "query":
        return error
    document = int(found[1]) if found else None
    error.field = asked.place(request, document)
    spoken = "the query" if document is None else f"document {document}"
    error.message = error.message.replace(spoken, error.field, 1)
    return error


def _check_media_type(scope: Scope) -> None:
    """Refuse what cannot be JSON.

    Not what merely does not say so: ``curl -d`` sends ``application/x-www-form-urlencoded``, and
    many clients say nothing at all.
    """
    given = header(scope, b"content-type")
    if given is not None and given.lstrip().lower().startswith(b"multipart/"):
        raise RequestError(
            415,
            "unsupported_media_type",
            "the body has to be JSON (application/json), not a form",
            field="Content-Type",
        )
