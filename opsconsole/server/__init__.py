"""The HTTP service around one engine.

Names resolve on first use (PEP 562): a program that asks for the settings alone, or a server that
has yet to bind its port, pays for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsconsole.server.run import serve
    from opsconsole.server.settings import ServerSettings

__all__ = ["ServerSettings", "serve"]


def __getattr__(name: str) -> Any:
    if name == "ServerSettings":
        from opsconsole.server.settings import ServerSettings

        return ServerSettings
    if name == "serve":
        from opsconsole.server.run import serve

        return serve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
