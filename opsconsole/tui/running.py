"""From any widget or screen to the console that it is part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from opsconsole.tui.app import ConsoleApp


def console_of(node: MessagePump) -> ConsoleApp:
    """The running console, with its own type."""
    from opsconsole.tui.app import ConsoleApp  # it imports the widgets

    app = node.app
    assert isinstance(app, ConsoleApp)
    return app
