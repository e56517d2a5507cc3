"""HTTP/1.1 connections: uvicorn's, with our manners towards clients that misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opsconsole.server.errors import RequestError
from opsconsole.server.exchange import new_request_id

LINGER = 3.0
"""Seconds for a client to finish sending a body that was already refused. Closing at once
would reset the connection, and the client might never see the answer."""

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Base
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Base
    except ImportError:  # httptools has no wheel for this platform
        from uvicorn.protocols.http.h11_impl import H11Protocol as _Base


class HttpProtocol(_Base):
    """One connection."""

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the shape of all our errors."""
        request_id = new_request_id()
        body = RequestError(400, "invalid_http", msg).body(request_id)
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def on_response_complete(self) -> None:
        """Close later when the answer came before the end of the body."""
        cycle = self.cycle
        super().on_response_complete()
        if cycle.more_body and not self.transport.is_closing():
            self.loop.call_later(LINGER, self._stop_lingering, cycle)

    def _stop_lingering(self, cycle: Any) -> None:
        if self.cycle is cycle and not self.transport.is_closing():
            self.transport.close()
